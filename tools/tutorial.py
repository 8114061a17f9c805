"""tutorial: docs/tutorial.md run from its top to its end, and what it shows written anew.

Its `python` blocks run in their order, in one namespace; what a block prints is the `text` block
after it. A `console` block holds commands, each after `$ `, and after each what it prints. All run
in a copy of the files that Git tracks or would track, with the results of dvc.lock out of DVC's
cache; the text and the pictures that come of it are written to docs/.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from digits.errors import InputError
from tools.project import copy_files, find_cache

DOCUMENT, PICTURES = Path("docs/tutorial.md"), Path("docs/tutorial")
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n.*?^```\n)?|^```console\n(?P<lines>.*?)^```\n",
    re.MULTILINE | re.DOTALL,
)
TOOK = re.compile(r"; \d+\.\d s$")
SHELL = ("bash", "-eu", "-o", "pipefail", "-c")


def fill(text: str) -> str:
    """Run the blocks of a document in this folder; return it with what they print."""
    namespace: dict[str, Any] = {"__name__": "tutorial"}

    def run(block: re.Match[str]) -> str:
        row = text.count("\n", 0, block.start()) + 1
        if block["lines"] is not None:
            return f"```console\n{''.join(_run_commands(block['lines'], row))}```\n"
        # Empty lines before it, so that a traceback names the rows of the document.
        program = compile("\n" * row + block["code"], str(DOCUMENT), "exec")
        with redirect_stdout(StringIO()) as printed:
            exec(program, namespace)
        told = _tidy(printed.getvalue())
        shown = f"\n```text\n{told}```\n" if told else ""
        return f"```python\n{block['code']}```\n{shown}"

    return BLOCK.sub(run, text)


def _run_commands(lines: str, row: int) -> Iterator[str]:
    """Run the commands of the block that begins in `row`; yield each, and what it prints."""
    for number, line in enumerate(lines.splitlines(), start=row + 1):
        if line.startswith("$ "):
            where = f"{DOCUMENT}: row {number}: {line}"
            print(where, file=sys.stderr)
            command = [*SHELL, f"exec 2>&1; {line.removeprefix('$ ')}"]
            ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if ran.returncode:
                told = f"status {ran.returncode}, {ran.stdout.strip()}; expected status 0"
                raise InputError(f"{where}: {told}")
            yield f"{line}\n{_tidy(ran.stdout)}"


def _tidy(printed: str) -> str:
    """Return what is printed as whole lines, without the time that a stage took, and blanks."""
    lines = (TOOK.sub("", line) for line in printed.rstrip().splitlines())
    return "".join(f"{line.rstrip()}\n" for line in lines)


def rebuild(project: Path, folder: Path) -> None:
    """Run the document of a project in a new copy of it, in `folder`."""
    copy_files(project, folder)
    shutil.rmtree(folder / PICTURES, ignore_errors=True)
    author = ("-c", "user.name=tutorial", "-c", "user.email=tutorial@example.com")
    _run(folder, "git", "init", "--quiet")
    _run(folder, "git", "add", "--all")
    _run(folder, "git", *author, "commit", "--quiet", "--message", "Begin")
    # A cache is laid out as a remote is.
    cache = str(find_cache(project.resolve()))
    _run(folder, "dvc", "remote", "add", "--quiet", "--local", "--default", "project", cache)
    _run(folder, "dvc", "pull", "--quiet", "dvc.yaml")
    _run(folder, "python", "-m", "tools", "tutorial", "--here")


def _run(folder: Path, *command: str) -> None:
    """Run a command in a copy of the project, in this environment, with a state of DVC's own."""
    environment = os.environ | {
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",  # what DVC says, and what its stages say, in their order
    }
    if subprocess.run(command, cwd=folder, env=environment, check=False).returncode:
        failed = f"{' '.join(command)} fails in a copy of the project: see above"
        raise InputError(f"{DOCUMENT}: {failed}")


def main(*, here: bool) -> None:
    """Run the document in a copy of the project, or here, and write it and its pictures anew."""
    if here:
        DOCUMENT.write_text(fill(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
        return
    with TemporaryDirectory() as name:
        folder = Path(name, "project")
        rebuild(Path(), folder)
        shutil.rmtree(PICTURES, ignore_errors=True)
        shutil.copytree(folder / PICTURES, PICTURES)
        shutil.copy(folder / DOCUMENT, DOCUMENT)
    print(f"wrote {DOCUMENT}, and its pictures to {PICTURES}/")
