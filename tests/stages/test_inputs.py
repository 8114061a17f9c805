"""What a stage reads, changed while it runs."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.errors import InputError
from stages._inputs import MISSING, NOTES, PIPELINE, describe_changes, hash_path, unchanged

PARAMS = """\
data: {train: train.csv}
train:
  momentum: 0.9
  augment: {shift: 0}
evaluate: {gallery: 5}
"""
STAGES = """\
stages:
  train:
    cmd: "true"
    deps: ["${data.train}", prepared, code.py]
    params: [data.train, train, {recipe.yaml: [train.lr]}]
    outs: [model]
    metrics: [{score.json: {cache: false}}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a project with one stage."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "params.yaml": PARAMS,
        "recipe.yaml": "train: {lr: 0.1, seed: 0}\n",
        "dvc.yaml": STAGES,
        "train.csv": "1",
        "prepared/a/images": "2",
        "prepared/b": "3",
        "code.py": "4",
        "model": "5",
        ".dvc/tmp/lock": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def replace(name: str, old: str, new: str) -> None:
    text = Path(name).read_text()
    assert old in text
    Path(name).write_text(text.replace(old, new))


def test_data_with_a_name_that_is_too_long_is_refused(folder: Path) -> None:
    replace("params.yaml", "train.csv", "x" * 300)
    with (
        pytest.raises(InputError, match=r"^x{300}: File name too long; expected what may be read$"),
        unchanged(PIPELINE, "train"),
    ):
        pytest.fail("begun")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda: replace("params.yaml", "0.9", "0.5"),
            "params.yaml: train.momentum = 0.5, and 0.9 when train began: nothing is recorded",
        ),
        (
            lambda: replace("params.yaml", "shift: 0", "shift: 1"),
            "params.yaml: train.augment.shift = 1, and 0 when train began",
        ),
        (
            lambda: replace("recipe.yaml", "lr: 0.1", "lr: 0.2"),
            "recipe.yaml: train.lr = 0.2, and 0.1 when train began",
        ),
        (
            lambda: replace("params.yaml", "train: train.csv", "train: code.py"),
            "params.yaml: data.train = 'code.py', and 'train.csv' when train began",
        ),
        (lambda: replace("train.csv", "1", "7"), "train.csv: written while train ran: nothing is"),
        (
            lambda: replace("prepared/a/images", "2", "7"),
            "prepared: written while train ran: nothing is",
        ),
        (lambda: Path("prepared/b").unlink(), "prepared: written while train ran: nothing is"),
        (lambda: Path("prepared/c").touch(), "prepared: written while train ran: nothing is"),
        (lambda: replace("code.py", "4", "7"), "code.py: not as when train began"),
        (lambda: Path("code.py").unlink(), "code.py: not as when train began"),
        (lambda: Path("train.csv").write_text("1"), "train.csv: written while train ran: nothing "),
        (lambda: Path("prepared/b").write_text("3"), "prepared: written while train ran: nothing"),
        (lambda: Path("params.yaml").write_text("{"), "params.yaml: row 1, column 2: "),
        (lambda: Path("params.yaml").write_text("1"), "params.yaml: data.train = None, and 'tra"),
    ],
)
def test_what_changes_while_a_stage_runs_is_named_and_nothing_is_recorded(
    folder: Path, change: Callable[[], object], line: str
) -> None:
    with pytest.raises(InputError) as error, unchanged(PIPELINE, "train"):
        change()
    assert str(error.value).startswith(line)
    assert str(error.value).isprintable()
    assert not NOTES.exists()


def test_content_counts_and_not_time_alone(folder: Path) -> None:
    path = Path("prepared/b")
    before = path.stat()
    with (
        pytest.raises(InputError, match=r"^prepared: not as when train began: nothing is recorded"),
        unchanged(PIPELINE, "train"),
    ):
        time.sleep(0.5)  # until what is there is hashed
        path.write_text("7")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda: replace("params.yaml", "gallery: 5", "gallery: 6"),
        lambda: replace("params.yaml", "momentum: 0.9", "momentum: 0.90 # a comment"),
        lambda: replace("recipe.yaml", "seed: 0", "seed: 1"),
        lambda: Path("model").write_text("other"),
        lambda: Path("dvc.yaml").write_text("stages: {}"),
    ],
)
def test_what_a_stage_does_not_read_may_change_while_it_runs(
    folder: Path, change: Callable[[], object]
) -> None:
    with unchanged(PIPELINE, "train"):
        change()
    assert len(list(NOTES.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "old", "new"), [("params.yaml", "0.9", "0.5"), ("code.py", "4", "7")]
)
def test_what_is_put_back_after_it_was_read_is_found_before_a_stage_begins(
    folder: Path, name: str, old: str, new: str
) -> None:
    with unchanged(PIPELINE, "train") as check:
        check()
        replace(name, old, new)
        with pytest.raises(InputError, match=rf"^{name}: .* when train began: nothing is recorded"):
            check()
        replace(name, new, old)


def test_a_file_inside_has_the_name_that_dvc_records(folder: Path) -> None:
    replace("params.yaml", "train: train.csv", f"train: {folder}/train.csv")
    with unchanged(PIPELINE, "train"):
        pass
    [path] = NOTES.iterdir()
    assert "train.csv" in json.loads(path.read_text())["inputs"]


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    assert hash_path(Path("/dev/zero")) == MISSING


def test_code_that_changes_while_it_is_imported_is_named(folder: Path) -> None:
    with (
        pytest.raises(InputError, match=r"^code.py: not as when train began: nothing is recorded"),
        unchanged(PIPELINE, "train", {"code.py": "0" * 32, "other.py": "1" * 32}),
    ):
        pass


def test_a_stage_leaves_a_note_of_what_it_was_made_from(folder: Path) -> None:
    with unchanged(PIPELINE, "train"):
        Path("score.json").write_text("{}")
    [path] = NOTES.iterdir()
    note = json.loads(path.read_text())
    assert (note["stage"], note["lock"]) == ("train", "dvc.lock")
    assert note["inputs"] == {
        "params.yaml: data.train": "train.csv",
        "params.yaml: train.momentum": 0.9,
        "params.yaml: train.augment.shift": 0,
        "recipe.yaml: train.lr": 0.1,
        **{name: hash_path(Path(name)) for name in ("train.csv", "prepared", "code.py")},
    }
    assert note["outputs"] == {name: hash_path(Path(name)) for name in ("model", "score.json")}


def test_a_stage_that_fails_keeps_its_own_error(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), unchanged(PIPELINE, "train"):
        replace("code.py", "4", "7")
        raise ZeroDivisionError
    assert not NOTES.exists()


def test_what_nobody_records_may_change(folder: Path) -> None:
    with unchanged(PIPELINE, "other"):
        replace("code.py", "4", "7")
    PIPELINE.unlink()
    with unchanged(PIPELINE, "train"):
        replace("code.py", "7", "4")
    assert not NOTES.exists()


def test_many_changes_are_cut_short() -> None:
    names = [f"{number}.py" for number in range(5)]
    told = describe_changes(dict.fromkeys(names, "a"), dict.fromkeys(names, "b"), "before")
    assert told == "0.py: not as before, 1.py: not as before, 2.py: not as before and 2 more"
    assert describe_changes({"a": "b"}, {"a": "b"}, "before") == ""
