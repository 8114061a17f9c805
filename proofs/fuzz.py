"""fuzz: a coverage-guided search for bytes that a reader of files gets wrong.

    python -m proofs.fuzz --seconds 600 images params

Searches with atheris for bytes from which a reader gives a wrong value, an error of more than one
line, a traceback, a hang or memory out of proportion: what `proofs.readers` says must never be. The
bytes that are found lie in .fuzz, and belong into a test.
"""

import re
import subprocess
import sys
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

READERS = (
    *("images", "submission", "params", "weights", "tensors", "statistics", "answers"),
    "picture",
)
FOUND = Path(".fuzz")
SEARCHED = ["digits", "ruamel.yaml", "csv", "gzip", "zipfile", "json", "PIL"]
HANG = 10  # seconds for one input
MEMORY = 2048  # MB, torch's own half included


def search(reader: str, seconds: int) -> None:
    """Search for `seconds`, and end this process: with status 0 if nothing was found."""
    with atheris.instrument_imports(include=SEARCHED):
        from proofs import readers  # noqa: PLC0415  (instrumented as it is imported)
    with TemporaryDirectory() as name:
        corpus, folder = Path(name) / "corpus", Path(name) / "files"
        corpus.mkdir()
        folder.mkdir()
        for number, content in enumerate(readers.examples(reader)):
            (corpus / str(number)).write_bytes(content)
        options = [
            f"-max_total_time={seconds}",
            f"-timeout={HANG}",
            f"-rss_limit_mb={MEMORY}",
            "-max_len=8192",
            f"-artifact_prefix={FOUND}/{reader}-",
        ]
        check = readers.READERS[reader]
        atheris.Setup([sys.argv[0], *options, str(corpus)], lambda found: check(found, folder))
        atheris.Fuzz()


def run(reader: str, seconds: int) -> bool:
    """Search in another process; print what came of it, and return whether nothing was found."""
    command = [sys.executable, "-m", "proofs.fuzz", "--alone", "--seconds", str(seconds), reader]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode == 0:
        done = re.findall(r"Done (\d+) runs", ran.stderr)
        print(f"{reader}: {int(done[-1]):,} inputs in {seconds} s, nothing found", flush=True)
        return True
    written = re.findall(r"Test unit written to (\S+)", ran.stderr)
    print(f"{reader}: found {', '.join(written)}\n{ran.stdout or ran.stderr[-2000:]}", flush=True)
    return False


def main() -> None:
    """Run the search."""
    parser = ArgumentParser(description="Search for bytes that a reader of files gets wrong.")
    parser.add_argument("--seconds", type=int, default=600, help="for each reader")
    parser.add_argument("--alone", action="store_true", help="one reader, in this process")
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.readers) - set(READERS):
        parser.error(f"{min(unknown)}: expected {', '.join(READERS)}")
    FOUND.mkdir(exist_ok=True)
    if arguments.alone:
        search(arguments.readers[0], arguments.seconds)
    with ThreadPoolExecutor(max_workers=2) as pool:
        quiet = list(
            pool.map(partial(run, seconds=arguments.seconds), arguments.readers or READERS)
        )
    if not all(quiet):
        sys.exit(f"error: {quiet.count(False)} of {len(quiet)} readers; see {FOUND}/")


if __name__ == "__main__":
    main()
