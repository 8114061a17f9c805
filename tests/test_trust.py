"""A pickle with code in it, in the place of each file that a stage reads, is never executed."""

import io
import pickle
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from digits.data.answers import write_answers
from digits.errors import InputError
from digits.evaluation.label_errors import SUSPECTS, write_suspects
from stages import evaluate, predict, prepare, report, score, train
from tests.sandbox import ROOT, draw_images

STAGES: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.mkdir, (Path("executed"),))


def as_pickle() -> bytes:
    return pickle.dumps(Malicious())


def as_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Malicious()], dtype=object), allow_pickle=True)
    return file.getvalue()


def as_weights() -> bytes:
    file = io.BytesIO()
    torch.save(Malicious(), file)
    return file.getvalue()


FORMS = (as_pickle, as_array, as_weights)


def files_read(stage: str) -> list[Path]:
    """Return the files that a stage reads, code and the page's sources aside."""
    deps = [dep for dep in STAGES[stage]["deps"] if not dep.startswith(("digits/", "stages/"))]
    named = {"${data.train}": "train.csv", "${data.test}": "test.csv"}
    paths = [Path("params.yaml"), *(Path(named.get(dep, dep)) for dep in deps)]
    files = [file for path in paths for file in (sorted(path.glob("*")) or [path])]
    # In the folders of those that train and evaluate read, but for the report alone.
    return [file for file in files if stage == "report" or file.name != "rows.npy"]


@pytest.fixture
def finished(project: Path) -> Path:
    """Go to a project in which every stage but download has run."""
    write_answers(Path("data/mnist/answers.csv"), *draw_images(12, seed=1))
    write_suspects(SUSPECTS, [], ())
    for stage in (prepare, train, evaluate, predict, score, report):
        stage.main()
    return project


@pytest.mark.parametrize("form", FORMS)
def test_the_pickles_would_do_harm(project: Path, form: Callable[[], bytes]) -> None:
    content = form()
    if form is as_pickle:
        pickle.loads(content)  # noqa: S301
    elif form is as_array:
        np.load(io.BytesIO(content), allow_pickle=True)
    else:
        torch.load(io.BytesIO(content), weights_only=False)
    assert Path("executed").is_dir()


@pytest.mark.parametrize("form", FORMS)
def test_no_stage_executes_a_pickle_whichever_file_it_stands_for(
    finished: Path, form: Callable[[], bytes]
) -> None:
    content = form()
    tried = 0
    for stage in STAGES:
        for path in files_read(stage):
            before = path.read_bytes()
            path.write_bytes(content)
            with pytest.raises(InputError) as error:
                import_module(f"stages.{stage}").main()
            path.write_bytes(before)
            assert "\n" not in str(error.value)
            assert not Path("executed").exists()
            tried += 1
    assert tried == 44  # every file of every stage
