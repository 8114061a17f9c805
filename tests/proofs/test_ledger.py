import hashlib
import json
from pathlib import Path

from proofs.ledger import Output, files, is_whole, outputs, read_lock, stored

LOCK = """
schema: '2.0'
stages:
  prepare:
    cmd: python -m stages.prepare
    outs:
    - {path: data/statistics.json, hash: md5, md5: aa11, size: 3}
    - {path: data/train, hash: md5, md5: bb22.dir, size: 3, nfiles: 1}
  score:
    cmd: python -m stages.score
"""


def test_every_output_of_every_stage_is_found() -> None:
    first, second = outputs(read_lock(LOCK))
    assert first == Output("prepare", "data/statistics.json", "aa11")
    assert second == Output("prepare", "data/train", "bb22.dir")
    assert (first.is_directory, second.is_directory) == (False, True)


def test_the_cache_lists_the_files_of_a_directory(tmp_path: Path) -> None:
    listing = json.dumps([{"md5": "cc33", "relpath": "images.npy"}]).encode()
    md5 = hashlib.md5(listing).hexdigest() + ".dir"
    output = Output("prepare", "data/train", md5)
    assert files(output, tmp_path) == {}
    path = stored(tmp_path, md5)
    path.parent.mkdir()
    path.write_bytes(listing)
    assert files(output, tmp_path) == {"data/train/images.npy": "cc33"}
    path.write_bytes(listing.replace(b"cc33", b"cc34"))
    assert files(output, tmp_path) == {}


def test_a_file_lists_itself(tmp_path: Path) -> None:
    assert files(Output("score", "a.json", "aa11"), tmp_path) == {"a.json": "aa11"}


def test_bytes_are_whole_when_their_hash_holds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert is_whole(path, hashlib.md5(b"content").hexdigest())
    assert not is_whole(path, "aa11")
    assert not is_whole(tmp_path / "none", "aa11")
