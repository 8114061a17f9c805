import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.errors import InputError
from tools.ledger import LOCK, Output, files, find_cache, is_whole, outputs, read_lock, stored
from tools.ledger import inputs as inputs_of

A, B, C = "a" * 32, "b" * 32, "c" * 32
TEXT = f"""
schema: '2.0'
stages:
  prepare:
    cmd: python -m stages.prepare
    deps:
    - {{path: data/train.csv, hash: md5, md5: {C}, size: 3}}
    params:
      params.yaml:
        prepare: {{seed: 0, validation: 7}}
        data.classes: 10
    outs:
    - {{path: data/statistics.json, hash: md5, md5: {A}, size: 3}}
    - {{path: data/train, hash: md5, md5: {B}.dir, size: 3, nfiles: 1}}
  score:
    cmd: python -m stages.score
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.chdir(tmp_path)

    def to_lock(text: str) -> None:
        LOCK.write_bytes(text.encode("utf-8", "surrogateescape"))

    return to_lock


def test_every_output_and_all_inputs_of_a_stage_are_found(write: Callable[[str], None]) -> None:
    write(TEXT)
    first, second = outputs(read_lock())
    assert first == Output("prepare", "data/statistics.json", A)
    assert second == Output("prepare", "data/train", f"{B}.dir")
    assert (first.is_directory, second.is_directory) == (False, True)
    assert inputs_of(read_lock()["stages"]["prepare"]) == {
        "params.yaml: prepare.seed": 0,
        "params.yaml: prepare.validation": 7,
        "params.yaml: data.classes": 10,
        "data/train.csv": C,
    }


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (A, "..//../../some/file", r"stages.prepare.outs.0.md5 = '..//../../some/file': expected"),
        (A, A[1:], "stages.prepare.outs.0.md5 = 'a"),
        (A, A.upper(), "stages.prepare.outs.0.md5 = 'A"),
        (C, "'x'", "stages.prepare.deps.0.md5 = 'x'"),
        (A, "1", "stages.prepare.outs.0.md5 = 1: expected a valid string"),
        ("data/statistics.json", "/etc/passwd", "path = '/etc/passwd': expected a path inside"),
        ("data/statistics.json", "a/../../b", "path = 'a/../../b': expected a path inside"),
        ("data/statistics.json", "2020-01-01", "path = datetime.date(2020, 1, 1): expected a val"),
        ("prepare:\n", "2020-01-01:\n", "= datetime.date(2020, 1, 1): expected a valid string"),
        ("schema", "\udcff", "not a text file; expected YAML"),
        ("stages:", "x:", "stages is missing"),
        ("'2.0'", "!!timestamp x", "expected"),
        ("'2.0'", "&a [*a]", "over 262144 values; expected YAML"),
    ],
)
def test_what_dvc_does_not_write_is_refused_in_one_line(
    write: Callable[[str], None], old: str, new: str, line: str
) -> None:
    assert old in TEXT
    write(TEXT.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        read_lock()
    assert str(error.value).startswith("dvc.lock: ")
    assert line in str(error.value)
    assert str(error.value).isprintable()


def test_a_directory_in_the_place_of_dvc_lock_is_refused(write: Callable[[str], None]) -> None:
    LOCK.mkdir()
    with pytest.raises(InputError, match=r"^dvc.lock: Is a directory; expected what DVC writes"):
        read_lock()


def test_the_cache_lists_the_files_of_a_directory(tmp_path: Path) -> None:
    listing = json.dumps([{"md5": C, "relpath": "images.npy"}]).encode()
    md5 = hashlib.md5(listing).hexdigest() + ".dir"
    output = Output("prepare", "data/train", md5)
    assert files(output, tmp_path) == {}
    path = stored(tmp_path, md5)
    path.parent.mkdir(parents=True)
    path.write_bytes(listing)
    assert files(output, tmp_path) == {"data/train/images.npy": C}
    path.write_bytes(listing.replace(b"c", b"d"))
    assert files(output, tmp_path) == {}


@pytest.mark.parametrize(
    "listed", [{"md5": C, "relpath": "../x"}, {"md5": "..//x", "relpath": "x"}, {"md5": C}, 1]
)
def test_a_list_of_what_lies_elsewhere_is_refused(tmp_path: Path, listed: object) -> None:
    listing = json.dumps([listed]).encode()
    md5 = hashlib.md5(listing).hexdigest() + ".dir"
    stored(tmp_path, md5).parent.mkdir(parents=True)
    stored(tmp_path, md5).write_bytes(listing)
    with pytest.raises(InputError, match=r"\.dir: .*; expected what DVC writes"):
        files(Output("prepare", "data/train", md5), tmp_path)


def test_a_file_lists_itself(tmp_path: Path) -> None:
    assert files(Output("score", "a.json", A), tmp_path) == {"a.json": A}


def test_bytes_are_whole_when_their_hash_holds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert is_whole(path, hashlib.md5(b"content").hexdigest())
    assert not is_whole(path, A)
    assert not is_whole(tmp_path / "none", A)


def test_the_cache_is_where_dvc_says(tmp_path: Path) -> None:
    def dvc(*arguments: str) -> None:
        command = [sys.executable, "-m", "dvc", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    dvc("init", "--no-scm", "--quiet")
    assert find_cache(tmp_path).resolve() == tmp_path / ".dvc" / "cache"
    for place in ("../shared", str(tmp_path / "absolute")):
        dvc("cache", "dir", "--local", place)
        assert find_cache(tmp_path).resolve() == (tmp_path / place).resolve()
    with pytest.raises(InputError, match=r"^dvc cache dir: .*; expected a folder"):
        find_cache(tmp_path.parent)
