.DEFAULT_GOAL := help
# As macOS has them: make 3.81 and bash 3.2.
SHELL := /bin/bash

PYTHON ?= python3
# What is given as NAME=VALUE reaches a recipe by the environment, and is no text of its script.
export PYTHON EXTRA REV STUDY RUNS FAULTS
# What shells, notebooks and Git's hooks export for programs of their own.
unexport GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE MPLBACKEND PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONWARNINGS
READY := .venv/ready
EXTRAS := .[studies,export,pictures,service,kaggle,remotes,browser]
PEERS := .peers
# What an environment is made with: never the python of the environment that it is to replace.
base_python = "$$("$$PYTHON" -c 'import sys; print(sys._base_executable)')"
# On a terminal, pip shows how far it is.
PIP_INSTALL := pip install --disable-pip-version-check $(shell [ -t 2 ] || echo --quiet)
export PATH := $(CURDIR)/.venv/bin:$(value PATH)
# An environment works where it was made: in a clone that was moved, it is made anew.
# Without Git's folder, DVC asks for settings that say so.
ifeq ($(shell git rev-parse --git-dir 2> /dev/null),)
export DVC_SYSTEM_CONFIG_DIR := $(CURDIR)/.dvc/without-git
endif
$(shell [ ! -f $(READY) ] || [ -L .venv ] || [ "$$(cat $(READY))" = "$(CURDIR)" ] || rm -f $(READY))

.PHONY: help setup repro check test verify mutation diff compare study bench docs doctor clean
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv; the others do it when need be (EXTRA=studies,export adds to it)
	$(if $(EXTRA),python -m $(PIP_INSTALL) --constraint constraints.txt --editable ".[$$EXTRA]")

$(READY): constraints.txt pyproject.toml
	@command -v "$$PYTHON" > /dev/null || { echo "error: no $$PYTHON; expected Python 3.11 or newer" >&2; exit 1; }
	@$(base_python) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: this is Python %s; expected 3.11 or newer: make setup PYTHON=python3.12" % sys.version.split()[0])'
	rm -rf .venv
	$(base_python) -m venv .venv
	python -m $(PIP_INSTALL) --constraint constraints.txt --editable ".[pipeline,dev]"
	@echo "$(CURDIR)" > $(READY)

repro: $(READY) ## Run what is not up to date of the pipeline, on the real data
	python -m tools recover
	dvc repro
	@echo "Now: open report/index.html; make diff says what changed; change params.yaml and make repro"

check: $(READY) ## Check format, lint and types
	ruff format --check
	ruff check
	mypy

# Two processes share the cores: threads that wait by spinning would take them from each other.
test: $(READY) ## Run the tests (LONG=1 for those that take long as well, with all extras)
	$(if $(LONG),python -m $(PIP_INSTALL) --constraint constraints.txt --editable "$(EXTRAS)")
	OMP_WAIT_POLICY=passive pytest $(if $(LONG),-m 'long or not long')

verify: $(READY) ## Rebuild a commit from nothing, and compare every result (REV=, by default the last)
	python -m tools verify -- $${REV:+"$$REV"}

mutation: $(READY) ## Put faults into the code, and say which the tests catch (REV=, of what differs from it; FAULTS=400)
	python -m $(PIP_INSTALL) --constraint constraints.txt --editable ".[mutation]"
	python -m tools mutation $${REV:+"$$REV"} --most "$${FAULTS:-400}"

diff: $(READY) ## Show how metrics and training differ from those of a commit (REV=, by default the last)
	@python -m tools diff -- "$${REV:-HEAD}"

compare: $(READY) ## Say which networks are better, or only luckier (REV="v1.0 exp-a exp-b")
	@set -f; python -m tools compare -- $${REV}

study: $(READY) ## Run a study on Ray: recipes, seeds and folds against each other (STUDY=steps)
	python -m $(PIP_INSTALL) --constraint constraints.txt --editable ".[studies]"
	dvc repro "studies/dvc.yaml:$${STUDY:-steps}"

# fastai and the others are measured as their users have them, and nothing of ours is in the way.
$(PEERS)/ready: benchmarks/requirements.txt constraints.txt $(READY)
	rm -rf $(PEERS)
	$(base_python) -m venv $(PEERS)
	$(PEERS)/bin/python -m $(PIP_INSTALL) --constraint constraints.txt torch
	$(PEERS)/bin/python -m $(PIP_INSTALL) --constraint constraints.txt --no-deps --requirement $<
	touch $@

bench: $(PEERS)/ready ## Measure this pipeline beside fastai and others (RUNS=5)
	python -m benchmarks --peers $(PEERS) --runs "$${RUNS:-5}"

docs: $(READY) ## Run the tutorial and photograph the report, and write what they show into docs/
	python -m $(PIP_INSTALL) --constraint constraints.txt --editable ".[browser]"
	python -m tools tutorial
	python -m tools screenshots

doctor: ## Say what this machine has, and whether the pipeline can run on it
	@$(if $(wildcard .venv/bin/python),python,"$$PYTHON") -m tools doctor

clean: ## Remove the environment and what the stages made; DVC's cache and all in Git stay
	rm -rf .venv $(PEERS) .aarch64 build dist digits.egg-info .verify .plots mutants .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf data/mnist data/prepared data/*.partial data/tutorial data/predictions report submission.csv
	rm -f models/*.safetensors models/*.checkpoint models/*.onnx models/*.partial
