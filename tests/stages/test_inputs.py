"""What a stage reads, changed while it runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from digits.errors import InputError
from stages._inputs import unchanged

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
PARAMS, WHEN = "params.yaml", "when train began"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a project with one stage."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def edit(name: str, old: str, new: str) -> None:
    text = Path(name).read_text()
    assert old in text
    Path(name).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda: edit(PARAMS, "x: 0", "x: 1"), f"{PARAMS}: train.shift.x = 1, and 0 {WHEN}: nothi"),
        (lambda: edit("train.csv", "1", "7"), f"train.csv: not as {WHEN}: nothing is recorded; "),
        (lambda: edit("prepared/a/images", "2", "7"), f"prepared: not as {WHEN}: nothing is "),
        (lambda: Path("prepared/b").unlink(), f"prepared: not as {WHEN}"),
        (lambda: edit("code.py", "4", "7"), f"code.py: not as {WHEN}"),
        (lambda: Path(PARAMS).write_text("{"), f"{PARAMS}: row 2, column 1: "),
        (
            lambda: edit(PARAMS, "train.csv", "b"),
            f"{PARAMS}: data.train = 'b', and 'train.csv' {WHEN}",
        ),
    ],
)
def test_what_changes_while_a_stage_runs_is_named(change: Callable[[], object], line: str) -> None:
    with pytest.raises(InputError) as error, unchanged("train"):
        change()
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    "change",
    [
        lambda: edit(PARAMS, "other: 5", "other: 6"),
        lambda: edit(PARAMS, "momentum: 0.9", "momentum: 0.90"),
        lambda: edit("code.py", "4", "4"),
        lambda: Path("dvc.yaml").write_text("stages: {}"),
    ],
)
def test_what_a_stage_does_not_read_may_change_while_it_runs(change: Callable[[], object]) -> None:
    with unchanged("train"):
        change()
