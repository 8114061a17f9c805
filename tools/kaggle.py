"""kaggle: Kaggle's files fetched, and a submission checked and sent, by Kaggle's own command.

That command prints what it likes, credentials too: one line is told, without what may be one.
"""

import re
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile, is_zipfile

from dvc.cli import main as dvc

from digits.data.classes import load_classes
from digits.data.forms import find_columns
from digits.data.submission import SUBMISSION, read_ids, read_submission
from digits.errors import InputError, expecting
from digits.params import PARAMS, load_params
from stages.download import MNIST

COMPETITION = "digit-recognizer"
PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
FOLDER, TRAIN, TEST = Path("data/kaggle"), "train.csv", "test.csv"
DEADLINE = 900  # seconds for one call
_MASKED = r"(?<=\?)\S+|[\w+/=-]{20,}"  # what signs an address, and what is as long as a token
_ADVICE = {  # the first whose words Kaggle says
    "No module": "expected Kaggle's package: make setup EXTRA=kaggle",
    "Connect|Max retries|timed out|Could not": "expected a network that leads there; try again",
    "Authentic|Unauth|credentials|codec": "expected a token from "
    "https://www.kaggle.com/settings/api in KAGGLE_API_TOKEN or in ~/.kaggle/access_token",
    "403 |Forbidden|was denied|rules": f"join the competition and accept its rules at {PAGE}/rules",
    "": f"try again later, or tomorrow after the last submission of a day ({PAGE}/submissions)",
}


def main(action: str, message: str) -> None:
    """Fetch Kaggle's files, or submit labels with a message."""
    fetch() if action == "fetch" else submit(message)


def fetch() -> None:
    """Put what is missing of train.csv and test.csv into `FOLDER`, if all is in Kaggle's form."""
    with expecting(FOLDER.parent, "a folder"), TemporaryDirectory(dir=FOLDER.parent) as temporary:
        paths = {name: FOLDER / name for name in (TRAIN, TEST)}
        missing = [name for name in paths if not paths[name].exists()]
        for name in missing:
            paths[name] = Path(temporary, name)
            _download(paths[name])
        pixels = len(find_columns(paths[TRAIN], labelled=True).pixels)
        if len(find_columns(paths[TEST], labelled=False).pixels) != pixels:
            raise InputError(f"{paths[TEST]}: expected {pixels} pixel columns, as in {TRAIN}")
        FOLDER.mkdir(exist_ok=True)
        for name in missing:
            paths[name].rename(FOLDER / name)
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
    with expecting(files[0], f"{path.name} in it", KeyError, BadZipFile, zlib.error):
        ZipFile(files[0]).extract(path.name, path.parent)


def submit(message: str) -> None:
    """Send submission.csv, if it has a row for each image in the file that `data.test` names."""
    test = Path(load_params().data.test)
    if dvc(["status", "--quiet", "--with-deps", "predict"]) != 0:
        raise InputError(f"{SUBMISSION}: not up to date; expected what make repro writes")
    rows = len(read_submission(SUBMISSION, read_ids(), load_classes()))
    if not message.strip():
        raise InputError("message: empty; expected what this submission is: --message=…")
    if MNIST in test.parents:
        wrong = f"{PARAMS}: data.test = {test}: not in the order of Kaggle's images"
        raise InputError(f"{wrong}; expected {FOLDER / TEST} (kaggle fetch), then make repro")
    print(f"submit: {SUBMISSION}: {rows:,} rows, one for each image in {test}")
    print(f"Kaggle: {_ask('submit', f'--message={message}', f'--file={SUBMISSION.resolve()}')}")
    print(f"its score: {PAGE}/submissions")


def _ask(command: str, *options: str) -> str:
    """Return the last line that Kaggle's command prints, after it has ended well and in time."""
    call = [sys.executable, "-m", "kaggle", "competitions", command, "-q", *options, COMPETITION]
    run = partial(subprocess.run, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        ran = run(call, stdout=subprocess.PIPE, errors="replace", timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        raise InputError(f"Kaggle: no end in {DEADLINE} seconds; {_ADVICE['']}") from None
    lines = ["nothing", *filter(str.strip, ran.stdout.splitlines())]
    # Of the help with credentials, the first line says what is wrong.
    said = next((line for line in lines if line.startswith("Authentication ")), lines[-1])
    said = re.sub(_MASKED, "…", "".join(filter(str.isprintable, said)))[:300]
    if ran.returncode != 0 or re.search("^Could not ", ran.stdout, re.MULTILINE):  # with status 0
        advice = next(what for words, what in _ADVICE.items() if re.search(words, said))
        raise InputError(f"Kaggle: {said}; {advice}")
    return said
