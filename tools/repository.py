"""What Git holds."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from digits.errors import InputError


def git(*arguments: str, folder: Path = Path()) -> bytes:
    """Return what a Git command prints.

    Raises:
        InputError: Git refused; the message is its own.
    """
    ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    if ran.returncode != 0:
        raise InputError(" ".join(ran.stderr.decode(errors="replace").split()))
    return ran.stdout


def find_commit(revision: str) -> str:
    """Return the full hash of the commit that a revision names.

    Raises:
        InputError: there is none.
    """
    try:
        found = git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except InputError as error:
        raise InputError(f"{revision}: {error}; expected a revision of this repository") from None
    return found.decode().strip()


@contextmanager
def files_of(revision: str | None) -> Iterator[Path]:
    """Yield a folder with the files of a revision, for as long as the block lasts.

    Without a revision it is the working tree.

    Raises:
        InputError: there is no such revision.
    """
    if revision is None:
        yield Path()
        return
    packed = io.BytesIO(git("archive", "--format=zip", find_commit(revision)))
    with TemporaryDirectory() as name, ZipFile(packed) as archive:
        archive.extractall(name)
        yield Path(name)


def copy_files(source: Path, folder: Path, *names: str) -> None:
    """Copy the files that Git tracks, or would track, as they are, to `folder`.

    All of them, or those of the given names and folders.
    """
    options = ("-z", "--cached", "--others", "--exclude-standard", "--")
    listed = git("ls-files", *options, *names, folder=source)
    for name in listed.decode().removesuffix("\0").split("\0"):
        if (source / name).exists():  # it may have been deleted since it was committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, folder / name)
