"""competition: Kaggle's files fetched, and a submission checked and sent, by Kaggle's own command.

    python -m tools.kaggle fetch
    python -m tools.kaggle submit --message=TEXT

fetch writes what is missing of train.csv and test.csv in data/kaggle/. submit reads params.yaml,
the CSV file that `data.test` names, and submission.csv. Kaggle's command prints what it likes, also
credentials: one line of it is told, without what may be one.
"""

import os
import re
import sys
from argparse import ArgumentParser
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGKILL
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired
from tempfile import TemporaryDirectory
from zipfile import ZipFile, is_zipfile

from digits.data.classes import load_classes
from digits.data.forms import find_columns
from digits.data.image_table import ImageTable
from digits.data.submission import SUBMISSION, read_ids, read_submission
from digits.errors import InputError, expecting, run_command
from digits.files import replacing
from digits.params import PARAMS, load_params
from stages.download import MNIST

COMPETITION = "digit-recognizer"
PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
FOLDER, TRAIN, TEST = Path("data/kaggle"), "train.csv", "test.csv"
DEADLINE = 900  # seconds for one call
_ROOT = Path(__file__).parent.parent
_CALL = "from digits.process import end_with_parent as e; e(); from kaggle.cli import main; main()"
_MASKED = r"(?<=\?)\S+|[\w+/=-]{20,}"  # what signs an address, and what is as long as a token
_ADVICE = {  # the first whose words Kaggle says
    "No module": "expected what requirements-kaggle.txt names, which make kaggle-data installs",
    "Connect|Max retries|timed out|Could not": "expected a network that leads there; try again",
    "Authentic|Unauth|credentials|codec": "expected a token from "
    "https://www.kaggle.com/settings/api in KAGGLE_API_TOKEN or in ~/.kaggle/access_token",
    "403 |Forbidden|was denied|rules": f"join the competition and accept its rules at {PAGE}/rules",
    "": f"try again later, or tomorrow after the last submission of a day ({PAGE}/submissions)",
}


def _fetch() -> None:
    """Put what is missing of train.csv and test.csv into `FOLDER`, if all is in Kaggle's form."""
    with expecting(FOLDER.parent, "a folder"), TemporaryDirectory(dir=FOLDER.parent) as temporary:
        missing = [name for name in (TRAIN, TEST) if not (FOLDER / name).exists()]
        came = Path(temporary)
        for name in missing:
            _download(came / name)
        train, test = ((came if name in missing else FOLDER) / name for name in (TRAIN, TEST))
        pixels = len(find_columns(train, labelled=True).pixels)
        if len(find_columns(test, labelled=False).pixels) != pixels:
            raise InputError(f"{test}: expected {pixels} pixel columns, as in {train}")
        for name in missing:
            if not (FOLDER / name).exists():  # somebody may have put one there meanwhile
                with replacing(FOLDER / name) as target:
                    (came / name).rename(target)
    print(f"fetch: {', '.join(str(FOLDER / name) for name in missing) or 'nothing is missing'}")
    print(f"to use them, name {FOLDER / TRAIN} and {FOLDER / TEST} under data in {PARAMS}")


def _download(path: Path) -> None:
    """Fetch the file with the name of `path`, out of its zip archive if it comes in one."""
    folder = path.with_suffix(".sent")
    _ask("download", f"--file={path.name}", f"--path={folder.resolve()}")
    files = list(folder.glob("*"))
    if len(files) != 1:
        raise InputError(f"Kaggle's command wrote {len(files)} files; expected {path.name}")
    if not is_zipfile(files[0]):
        files[0].rename(path)
        return
    archive = files[0].rename(folder / f"{path.name}.zip")
    for _ in ImageTable(archive, labelled=False).read():
        pass  # what is damaged, or unpacks to too much, is refused here
    with expecting(archive, f"{path.name} in it", KeyError), ZipFile(archive) as opened:
        opened.extract(path.name, path.parent)


def _submit(message: str) -> None:
    """Send submission.csv, if it has a row for each image in the file that `data.test` names."""
    params = load_params()
    test = Path(params.data.test)
    rows = len(read_submission(SUBMISSION, read_ids(), load_classes()))
    if not message.strip():
        raise InputError("message: empty; expected what this submission is: make submit MESSAGE=…")
    if MNIST in test.parents:
        wrong = f"{PARAMS}: data.test = {test}: not in the order of Kaggle's images"
        raise InputError(f"{wrong}; expected {FOLDER / TEST} (make kaggle-data), then make repro")
    print(f"submit: {SUBMISSION}: {rows:,} rows, one for each image in {test}")
    print(f"Kaggle: {_ask('submit', f'--message={message}', f'--file={SUBMISSION.resolve()}')}")
    print(f"its score: {PAGE}/submissions")


def _ask(command: str, *options: str) -> str:
    """Return the last line that Kaggle's command prints, after it has ended well and in time."""
    call = [sys.executable, "-uc", _CALL, "competitions", command, "-q", *options, COMPETITION]
    with Popen(
        call, cwd=_ROOT, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    ) as child:
        try:
            printed = child.communicate(timeout=DEADLINE)[0].decode(errors="replace")
        except TimeoutExpired:
            raise InputError(f"Kaggle: no end in {DEADLINE} seconds; {_ADVICE['']}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, SIGKILL)
    said = _tell(printed)
    if child.returncode != 0 or re.search("^Could not ", printed, re.MULTILINE):  # with status 0
        advice = next(what for words, what in _ADVICE.items() if re.search(words, said))
        raise InputError(f"Kaggle: {said}; {advice}")
    return said


def _tell(printed: str) -> str:
    """Return the last line, or the first of the help with credentials, without any of these."""
    lines = ["nothing", *filter(str.strip, printed.splitlines())]
    said = next((line for line in lines if line.startswith("Authentication ")), lines[-1])
    said = "".join(filter(str.isprintable, said))
    secrets = [text for name, text in os.environ.items() if re.match("KAGGLE_.*(TOKEN|KEY)", name)]
    for path in [*map(Path, secrets), *Path.home().glob(".kaggle/*")]:
        with suppress(OSError, ValueError):
            secrets.append(path.read_text(errors="replace"))
    if any(word in said for word in re.findall(r'[^\s"]{6,}', " ".join(secrets))):
        return "words with credentials in them"
    return re.sub(_MASKED, "…", said)[:300]


def main() -> None:
    """Do what the command line asks for."""
    parser = ArgumentParser(description="Fetch Kaggle's files; check a submission, and send it.")
    parser.add_argument("command", choices=["fetch", "submit"])
    parser.add_argument("--message", default="", help="what the submission is")
    arguments = parser.parse_args()
    run_command(_fetch if arguments.command == "fetch" else partial(_submit, arguments.message))


if __name__ == "__main__":
    main()
