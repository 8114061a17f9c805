"""What Git holds."""

import subprocess
from pathlib import Path

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
        return git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    except InputError as error:
        raise InputError(f"{revision}: {error}; expected a revision of this repository") from None
