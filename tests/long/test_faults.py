"""A short form of `make faults`: a few kills, and the faults that take least time."""

import re
import shutil
from pathlib import Path

import pytest

from digits.data.submission import SUBMISSION
from digits.errors import InputError
from tests.long.faults import Proof, corrupt_cache, damaged, kill_runs, small_disk, suffer, truncate


@pytest.mark.long
def test_runs_that_are_killed_are_made_good_by_the_next(
    proof: Proof, capsys: pytest.CaptureFixture[str]
) -> None:
    before = proof.comparisons
    kill_runs(proof, kills=2, seconds={"prepare": 4.0, "score": 1.5}, seed=1)
    assert proof.kills == 2
    assert proof.comparisons == before + 2
    assert len(re.findall(r"^kill .*: the same bytes$", capsys.readouterr().out, re.MULTILINE)) == 2


def test_a_full_disk_is_told_in_one_line_and_all_comes_back(proof: Proof) -> None:
    before = proof.faults
    line = "^error: data/prepared: File too large; expected to be able to write it$"
    suffer(proof, "disk full", small_disk(proof, 2000), "prepare", line)
    assert proof.faults == before + 1


def test_a_truncated_download_is_told_in_one_line_and_all_comes_back(proof: Proof) -> None:
    cause = damaged(proof.box.mirror, truncate)
    suffer(proof, "a download truncated", cause, "download", "^error: MNIST could not be downl")


@pytest.mark.long
def test_damaged_bytes_in_the_cache_are_found_and_built_again(proof: Proof) -> None:
    corrupt_cache(proof, SUBMISSION)


@pytest.mark.long
@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_damaged_bytes_in_a_shared_cache_are_found_and_built_again(
    proof: Proof, tmp_path: Path, link: str
) -> None:
    box = proof.box
    shutil.copytree(box.folder / ".dvc" / "cache", tmp_path / "shared")
    box.run("dvc", "cache", "dir", "--local", str(tmp_path / "shared"))
    box.run("dvc", "config", "--local", "cache.type", link)
    box.run("dvc", "checkout", "--relink")
    linked = (box.folder / SUBMISSION).is_symlink(), (box.folder / SUBMISSION).stat().st_nlink > 1
    assert linked == (link == "symlink", link == "hardlink")
    corrupt_cache(proof, SUBMISSION)
    (box.folder / ".dvc" / "config.local").unlink()
    box.run("dvc", "checkout", "--relink")


def test_a_fault_that_is_not_told_is_an_error(proof: Proof) -> None:
    nothing = small_disk(proof, 10**9)
    with pytest.raises(InputError, match="nothing: status 0"):
        suffer(proof, "nothing", nothing, "score", "^error:")


def test_a_stray_file_and_another_byte_are_errors(proof: Proof) -> None:
    stray, changed = proof.box.folder / "models" / "stray", proof.box.folder / "submission.csv"
    content = changed.read_bytes()
    stray.touch()
    changed.write_bytes(content + b"\n")
    with pytest.raises(InputError, match=r"\['models/stray', 'submission.csv'\]; expected"):
        proof.compare("a test")
    stray.unlink()
    changed.write_bytes(content)
    proof.compare("a test")


def test_a_result_that_dvc_does_not_know_is_an_error(proof: Proof) -> None:
    path = Path("params.yaml")
    proof.box.edit(str(path), "gallery: 60", "gallery: 61")
    proof.quiet[str(path)], before = "", proof.quiet[str(path)]
    with pytest.raises(InputError, match="after a test"):
        proof.compare("a test")
    proof.box.edit(str(path), "gallery: 61", "gallery: 60")
    proof.quiet[str(path)] = before
    proof.compare("a test")
