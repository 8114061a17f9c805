"""What dvc.lock says of every output, and where DVC's cache keeps its bytes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.errors import expecting

LOCK = Path("dvc.lock")
CACHE = Path(".dvc/cache/files/md5")
_DIRECTORY = ".dir"

Lock = Mapping[str, Any]


@dataclass(frozen=True)
class Output:
    """An output of a stage.

    Attributes:
        stage: its name.
        path: a file or a directory.
        md5: of the file; of a directory, of the list of its files, and then ".dir".
    """

    stage: str
    path: str
    md5: str

    @property
    def is_directory(self) -> bool:
        """Whether the output is a directory."""
        return self.md5.endswith(_DIRECTORY)


def read_lock(text: str, name: str = str(LOCK)) -> Lock:
    """Return the content of a dvc.lock.

    Raises:
        InputError: it is not whole.
    """
    damaged = (YAMLError, AttributeError, KeyError, TypeError)
    with expecting(Path(name), "what DVC writes, whole", *damaged):
        lock: Lock = YAML(typ="safe").load(text)
        list(outputs(lock))
    return lock


def outputs(lock: Lock) -> Iterator[Output]:
    """Yield the outputs of all stages, in the order of dvc.lock."""
    for stage, entry in lock["stages"].items():
        for out in entry.get("outs", []):
            yield Output(stage, out["path"], out["md5"])


def stored(cache: Path, md5: str) -> Path:
    """Return where the cache keeps the bytes with that hash, if it has them."""
    return cache / md5[:2] / md5[2:]


def files(output: Output, cache: Path) -> dict[str, str]:
    """Return the hash of each file of an output; of a directory, as far as the cache lists them."""
    if not output.is_directory:
        return {output.path: output.md5}
    listing = stored(cache, output.md5)
    if not is_whole(listing, output.md5):
        return {}
    entries = json.loads(listing.read_bytes())
    return {f"{output.path}/{entry['relpath']}": entry["md5"] for entry in entries}


def hash_file(path: Path) -> str:
    """Return the MD5 of a file's bytes, as DVC takes it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def is_whole(path: Path, md5: str) -> bool:
    """Return whether there is a file, and its bytes have that hash."""
    return path.is_file() and hash_file(path) == md5.removesuffix(_DIRECTORY)
