"""tutorial: docs/tutorial.md run from its top to its end, and what it shows written anew.

    python -m tools.tutorial

Its `python` blocks run in their order, in one namespace; what a block prints is the `text` block
after it. A `console` block holds commands, each after `$ `, and after each what it prints. All run
in a copy of the files that Git tracks or would track, with the results of dvc.lock out of DVC's
cache; the text and the pictures that come of it are written to docs/. With --here the document runs
in this folder instead, and alone is written anew.
"""

import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from digits.errors import InputError, expecting, run_command
from digits.files import replacing
from tools.ledger import LOCK, files, find_cache, outputs, read_lock, stored
from tools.repository import copy_files

DOCUMENT = Path("docs/tutorial.md")
PICTURES = Path("docs/tutorial")
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
        printed = _run_python(block["code"], row, namespace)
        shown = f"\n```text\n{printed}```\n" if printed else ""
        return f"```python\n{block['code']}```\n{shown}"

    return BLOCK.sub(run, text)


def _run_python(code: str, row: int, namespace: dict[str, Any]) -> str:
    """Run the code of the block that begins in `row`, and return what it prints."""
    # Empty lines before it, so that a traceback names the rows of the document.
    program = compile("\n" * row + code, str(DOCUMENT), "exec")
    with redirect_stdout(StringIO()) as printed:
        exec(program, namespace)
    return _tidy(printed.getvalue())


def _run_commands(lines: str, row: int) -> Iterator[str]:
    """Run the commands of the block that begins in `row`; yield each, and what it prints.

    Raises:
        InputError: one of them fails.
    """
    for number, line in enumerate(lines.splitlines(), start=row + 1):
        if not line.startswith("$ "):
            continue
        print(f"{DOCUMENT}: row {number}: {line}", file=sys.stderr)
        command = [*SHELL, line.removeprefix("$ ")]
        ran = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if ran.returncode:
            raise InputError(
                f"{DOCUMENT}: row {number}: {line}: status {ran.returncode}, {ran.stdout.strip()}; "
                "expected status 0"
            )
        yield f"{line}\n{_tidy(ran.stdout)}"


def _tidy(printed: str) -> str:
    """Return what is printed as whole lines, without the time that a stage took, and blanks."""
    lines = (TOOK.sub("", line) for line in printed.rstrip().splitlines())
    return "".join(f"{line.rstrip()}\n" for line in lines)


def rebuild(project: Path) -> tuple[str, dict[str, bytes]]:
    """Run the document of a project in a copy of it.

    Returns:
        The document with what it shows, and the pictures that it draws, by name.

    Raises:
        InputError: a result of dvc.lock is not in DVC's cache, or the document does not run.
    """
    with TemporaryDirectory() as name:
        folder = Path(name) / "project"
        copy_files(project, folder)
        copy_results(project, folder)
        shutil.rmtree(folder / PICTURES, ignore_errors=True)
        _run(folder, "git", "init", "--quiet")
        _run(folder, "git", "add", "--all")
        author = ("-c", "user.name=tutorial", "-c", "user.email=tutorial@example.com")
        _run(folder, "git", *author, "commit", "--quiet", "--message", "Begin")
        _run(folder, "dvc", "checkout", "--quiet", "dvc.yaml")
        _run(folder, "python", "-m", "tools.tutorial", "--here")
        pictures = {path.name: path.read_bytes() for path in (folder / PICTURES).glob("*")}
        return (folder / DOCUMENT).read_text(encoding="utf-8"), pictures


def copy_results(project: Path, folder: Path) -> None:
    """Copy the results that DVC's cache holds of a project to the cache of its copy in `folder`.

    Raises:
        InputError: one of those that Git does not hold is not in the cache.
    """
    cache, new = find_cache(project), find_cache(folder)
    for output in outputs(read_lock(project / LOCK)):
        if (folder / output.path).exists():
            continue
        for md5 in (output.md5, *files(output, cache).values()):
            kept = stored(new, md5)
            kept.parent.mkdir(parents=True, exist_ok=True)
            with expecting(Path(output.path), "what `make repro` leaves in DVC's cache"):
                shutil.copy(stored(cache, md5), kept)


def _run(folder: Path, *command: str) -> None:
    """Run a command in a copy of the project.

    Raises:
        InputError: it fails; why, it says on standard error.
    """
    environment = os.environ | {
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",  # what DVC says, and what its stages say, in their order
    }
    if subprocess.run(command, cwd=folder, env=environment, check=False).returncode:
        raise InputError(
            f"{DOCUMENT}: {' '.join(command)} fails in a copy of the project: see above"
        )


def write(text: str, pictures: Mapping[str, bytes]) -> None:
    """Put the document and its pictures in the place of those in this folder."""
    with replacing(DOCUMENT) as temporary:
        temporary.write_text(text, encoding="utf-8")
    for path in PICTURES.glob("*"):
        if path.name not in pictures:
            path.unlink()
    for name, content in pictures.items():
        with replacing(PICTURES / name) as temporary:
            temporary.write_bytes(content)


def main() -> None:
    """Run the document, and write it anew."""
    parser = ArgumentParser(description="Run docs/tutorial.md, and write what it shows anew.")
    parser.add_argument("--here", action="store_true", help="in this folder, not in a copy of it")
    if parser.parse_args().here:
        text = fill(DOCUMENT.read_text(encoding="utf-8"))
        DOCUMENT.write_text(text, encoding="utf-8")
        return
    text, pictures = rebuild(Path())
    write(text, pictures)
    size = sum(map(len, pictures.values())) / 1000
    print(f"wrote {DOCUMENT}, and {len(pictures)} pictures of {size:.0f} KB to {PICTURES}/")


if __name__ == "__main__":
    run_command(main)
