"""What a stage reads, changed while it runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from digits.errors import InputError
from stages._inputs import PIPELINE, describe_changes, unchanged

FILES = {
    "params.yaml": "data: {train: train.csv}\ntrain: {momentum: 0.9, shift: {x: 0}}\nother: 5\n",
    "dvc.yaml": """
stages:
  train:
    deps: ["${data.train}", prepared, code.py]
    params: [data.train, train]
""",
    "train.csv": "1",
    "prepared/a/images": "2",
    "prepared/b": "3",
    "code.py": "4",
}


P, WHEN = "params.yaml", "when train began"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a project with one stage."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    return tmp_path


def edit(name: str, old: str, new: str) -> None:
    text = Path(name).read_text()
    assert old in text
    Path(name).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda: edit("params.yaml", "0.9", "0.5"), f"{P}: train.momentum = 0.5, and 0.9 {WHEN}:"),
        (lambda: edit("params.yaml", "x: 0", "x: 1"), f"{P}: train.shift.x = 1, and 0 {WHEN}"),
        (lambda: edit("params.yaml", "train.csv", "b"), f"{P}: data.train = 'b', and 'train.csv' "),
        (lambda: edit("train.csv", "1", "7"), f"train.csv: not as {WHEN}"),
        (lambda: edit("prepared/a/images", "2", "7"), f"prepared: not as {WHEN}"),
        (lambda: Path("prepared/b").unlink(), f"prepared: not as {WHEN}"),
        (lambda: edit("code.py", "4", "7"), f"code.py: not as {WHEN}"),
        (lambda: Path("code.py").unlink(), f"code.py: not as {WHEN}"),
        (lambda: Path("params.yaml").write_text("{"), f"{P}: row 2, column 1: "),
        (lambda: Path("params.yaml").write_text("1"), f"{P}: data.train = None, and 'tra"),
    ],
)
def test_what_changes_while_a_stage_runs_is_named(change: Callable[[], object], line: str) -> None:
    with pytest.raises(InputError) as error, unchanged(PIPELINE, "train"):
        change()
    assert str(error.value).startswith(line)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "change",
    [
        lambda: edit("params.yaml", "other: 5", "other: 6"),
        lambda: edit("params.yaml", "momentum: 0.9", "momentum: 0.90"),
        lambda: edit("code.py", "4", "4"),
        lambda: Path("dvc.yaml").write_text("stages: {}"),
    ],
)
def test_what_a_stage_does_not_read_may_change_while_it_runs(change: Callable[[], object]) -> None:
    with unchanged(PIPELINE, "train"):
        change()


def test_what_is_put_back_after_it_was_read_is_found_before_a_stage_begins() -> None:
    with unchanged(PIPELINE, "train") as check:
        check()
        edit("code.py", "4", "7")
        with pytest.raises(InputError, match=r"^code.py: not as when train began: nothing is rec"):
            check()
        edit("code.py", "7", "4")


def test_a_stage_that_fails_keeps_its_own_error() -> None:
    with pytest.raises(ZeroDivisionError), unchanged(PIPELINE, "train"):
        edit("code.py", "4", "7")
        raise ZeroDivisionError


def test_what_nobody_records_may_change() -> None:
    with unchanged(PIPELINE, "other"):
        edit("code.py", "4", "7")
    PIPELINE.unlink()
    with unchanged(PIPELINE, "train"):
        edit("code.py", "7", "4")


def test_many_changes_are_cut_short() -> None:
    names = [f"{number}.py" for number in range(5)]
    told = describe_changes(dict.fromkeys(names, "a"), dict.fromkeys(names, "b"), "before")
    assert told == "0.py: not as before, 1.py: not as before, 2.py: not as before and 2 more"
    assert describe_changes({"a": "b"}, {"a": "b"}, "before") == ""
