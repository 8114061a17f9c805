.DEFAULT_GOAL := help
# As macOS has them: make 3.81, which ignores .SHELLFLAGS, and bash 3.2. So `&&`, and not `;`, is what
# stops a recipe.
SHELL := /bin/bash

PYTHON ?= python3
# What is given as NAME=VALUE is text and no part of a script: make expands nothing in it, and the
# shell of a recipe has it in its environment.
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
export PYTHON $(GIVEN)
# What shells, notebooks and Git's hooks export for programs of their own is not for these.
unexport FREETYPE_PROPERTIES GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE MPLBACKEND TQDM_MININTERVAL TQDM_MINITERS
unexport PYTHONHOME PYTHONINSPECT PYTHONOPTIMIZE PYTHONPATH PYTHONSAFEPATH PYTHONWARNINGS
export SHELL
VENV := .venv
# What an environment is made with: never the python of the environment that it is to replace.
base_python = "$$("$$PYTHON" -c 'import sys; print(sys._base_executable)')"
READY := $(VENV)/ready
PEERS := .peers
ARM := .aarch64
# On a terminal, pip shows how far it is.
PIP_INSTALL := pip install --disable-pip-version-check $(shell [ -t 2 ] || echo --quiet)
# Fail unless a stage and all before it are up to date: the stage, and the file in question.
up_to_date = dvc status --quiet --with-deps $(1) || { echo "error: $(2) is not up to date; expected what make repro writes" >&2; exit 1; }
export PATH := $(CURDIR)/$(VENV)/bin:$(value PATH)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Make .venv with every version in requirements.txt; the others do it when need be

$(READY): requirements.txt
	@command -v "$$PYTHON" > /dev/null || { echo "error: no $$PYTHON; expected Python 3.11 or newer" >&2; exit 1; }
	@$(base_python) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: this is Python %s; expected 3.11 or newer: make setup PYTHON=python3.12" % sys.version.split()[0])'
	rm -rf $(VENV)
	$(base_python) -m venv $(VENV)
	python -m $(PIP_INSTALL) --requirement requirements.txt
	touch $(READY)

# What is optional, each installed by the targets that need it.
EXTRAS := $(patsubst requirements-%.txt,$(VENV)/%,$(wildcard requirements-*.txt))
$(EXTRAS): $(VENV)/%: requirements-%.txt $(READY)
	python -m $(PIP_INSTALL) --constraint requirements.txt --requirement $<
	touch $@

.PHONY: repro
repro: $(READY) ## Run what is not up to date of the pipeline, on the real data
	@echo python -m tools.recovery # of an output that is full, DVC would show a traceback
	@python -m tools.recovery
	dvc repro
	@rm -f models/*.checkpoint # of runs that were stopped, and whose results DVC had all the same
	@echo "Now: open report/index.html; make diff says what changed; change params.yaml and make repro"

# It installs nothing: without an environment, it says what else there is.
.PHONY: doctor
doctor: ## Say what this machine has, and whether the pipeline can run on it
	@$(if $(wildcard $(VENV)/bin/python),python,"$$PYTHON") -m tools.doctor

# Two processes share the cores: threads that wait by spinning would take them from each other.
.PHONY: test
test: $(READY) ## Run the tests
	OMP_WAIT_POLICY=passive pytest

.PHONY: check
check: $(READY) ## Check format, lint and types
	ruff format --check
	ruff check
	mypy

.PHONY: verify
verify: $(READY) ## Rebuild a commit from nothing, and compare every result (REV=, by default the last)
	python -m tools.verify -- $${REV:+"$$REV"}

.PHONY: faults
faults: $(READY) ## Kill the pipeline at random moments and break what it stands on (KILLS=50)
	python -m tests.long.faults --kills "$${KILLS:-50}"

.PHONY: fuzz
fuzz: $(READY) ## Search for bytes that a reader of files gets wrong (TRIES=20000 for each reader)
	TRIES="$${TRIES:-20000}" pytest tests/test_readers.py tests/digits/data/test_mnist.py

.PHONY: audit
audit: $(VENV)/proofs ## Look every version up in a database of known vulnerabilities
	pip-audit --strict --no-deps --disable-pip $(addprefix --requirement ,$(wildcard requirements*.txt))
	pip-audit --strict --no-deps --disable-pip --requirement benchmarks/requirements.txt

.PHONY: diff
diff: $(READY) ## Show how metrics and training differ from those of a commit (REV=, the last one by default)
	@commit=$$(python -m tools.ledger "$${REV:-HEAD}") && table=$$(dvc metrics diff --md "$$commit") && \
	if [[ $$table == *metrics/* ]]; then echo "$$table"; else echo "No metric differs from those of $${REV:-HEAD}."; fi && \
	echo && python -m tools.difference "$$commit"

.PHONY: diff-plots
diff-plots: $(READY) ## Draw the plots beside those of a commit in .plots/index.html, and list what differs (REV=)
	@commit=$$(python -m tools.ledger "$${REV:-HEAD}") && \
	dvc plots diff "$$commit" --out .plots > /dev/null && \
	git diff --name-only "$$commit" -- plots | sed 's/.*/- `&` differs/'

.PHONY: compare
compare: $(READY) ## Say whether this network is better than that of a commit, or only luckier (REV=, TO=)
	@python -m tools.compare $${TO:+--to="$$TO"} -- "$${REV:-HEAD}"

# The page runs in a copy of the project, with what `make repro` made.
.PHONY: tutorial
tutorial: $(READY) ## Run docs/tutorial.md, and write what it shows into it anew
	python -m tools.tutorial

.PHONY: hooks
hooks: $(VENV)/hooks ## Have `git commit` check format, lint, line ends and large files
	pre-commit install

.PHONY: study
study: $(VENV)/studies ## Run a study on Ray: recipes, seeds and folds against each other (STUDY=fast)
	dvc repro "studies/dvc.yaml:$${STUDY:-fast}"

# `dvc repro` alone does not look for doubtful labels, which takes minutes: what it reads is a copy.
.PHONY: labels
labels: $(VENV)/studies ## Find the labels that are in doubt, and show them in the report
	dvc repro studies/dvc.yaml:labels
	cp studies/results/labels.csv labels/suspects.csv
	dvc repro report

.PHONY: ray
ray: $(VENV)/studies ## Install what a machine of a Ray cluster needs

.PHONY: table
table: $(READY) ## Put what the study of the recipes found into the README
	python -m studies.table

.PHONY: test-long
test-long: $(VENV)/studies $(VENV)/remotes ## Run the long tests: studies on Ray, experiments, faults, DVC remotes
	OMP_WAIT_POLICY=passive pytest -m 'long or not long' tests/studies tests/long/test_nodes.py tests/long/test_faults.py tests/test_experiments.py tests/test_remotes.py

.PHONY: screenshots
screenshots: $(VENV)/browser ## Photograph the report, for a look at it and for the README
	python -m tools.browser

.PHONY: export
export: $(VENV)/export ## Write the network as ONNX, for other runtimes, to models/mlp.onnx
	@$(call up_to_date,evaluate,models/mlp.safetensors)
	python -m digits.network.export

.PHONY: test-results
test-results: $(VENV)/browser $(VENV)/export $(VENV)/kaggle ## Run the tests of what make repro made: page, exports and tutorial
	OMP_WAIT_POLICY=passive pytest -m 'long or not long' tests/long/test_browser.py tests/digits/network/test_export.py tests/tools/test_kaggle.py tests/tools/test_tutorial.py tests/digits/pictures/test_photographs.py

.PHONY: remotes
remotes: $(VENV)/remotes ## Install what DVC needs to push and pull by SSH and to S3 (docs/remotes.md)

.PHONY: kaggle-data
kaggle-data: $(VENV)/kaggle ## Fetch Kaggle's train.csv and test.csv into data/kaggle/
	@python -m tools.kaggle fetch

# The message comes through the environment: a quote in it is no part of the command.
.PHONY: submit
submit: $(VENV)/kaggle ## Check submission.csv, and send it to Kaggle (MESSAGE=)
	@$(call up_to_date,predict,submission.csv)
	@python -m tools.kaggle submit --message="$${MESSAGE-}"

.PHONY: nodes
nodes: $(VENV)/studies ## Kill one of two nodes of Ray under a study, and compare what it finds (STUDY=fast)
	python -m tests.long.nodes "studies/$${STUDY:-fast}.yaml"

.PHONY: emulate
emulate: $(ARM)/ready ## Check that other processors, emulated, give the same bytes (needs qemu-user; RECIPE=)
	python -m tests.long.emulation $${RECIPE:+"$$RECIPE"}

$(ARM)/ready: tests/long/aarch64.py requirements.txt $(READY)
	python -m tests.long.aarch64
	touch $@

# fastai and the others are measured as their users have them, and nothing of ours is in the way.
$(PEERS)/ready: benchmarks/requirements.txt $(READY)
	rm -rf $(PEERS)
	$(base_python) -m venv $(PEERS)
	$(PEERS)/bin/python -m $(PIP_INSTALL) --constraint $< torch
	$(PEERS)/bin/python -m $(PIP_INSTALL) --no-deps --requirement $<
	touch $@

.PHONY: bench
bench: $(PEERS)/ready ## Measure this pipeline beside fastai and others, and the machine's limit (RUNS=5)
	python -m benchmarks.compare --peers $(PEERS)/bin/python --runs "$${RUNS:-5}"

.PHONY: bench-scale
bench-scale: $(READY) ## Measure every stage on 1, 3 and 10 times the rows (RUNS=3)
	python -m benchmarks.scale --runs "$${RUNS:-3}"

.PHONY: clean
clean: ## Remove the environment and what the stages made; DVC's cache and all in Git stay
	rm -rf $(VENV) $(PEERS) $(ARM) .verify .plots .screenshots .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf data/mnist data/prepared data/*.partial data/tutorial data/probabilities.npy report submission.csv
	rm -f models/*.safetensors models/*.checkpoint models/*.onnx models/*.partial
