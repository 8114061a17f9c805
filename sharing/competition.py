"""competition: Kaggle's files fetched, and a submission checked and sent.

    python -m sharing.competition fetch
    python -m sharing.competition submit --message TEXT
    python -m sharing.competition submit --check

fetch writes data/kaggle/: train.csv and test.csv. submit reads params.yaml, the CSV file that
`data.test` names, and submission.csv; with `--check` it sends nothing, and needs no network.
"""

import filecmp
import os
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from argparse import ArgumentParser, Namespace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from digits.errors import InputError, expecting, report
from digits.files import replacing
from digits.kaggle import SUBMISSION, count_pixels, read_pixels, read_submission
from digits.params import PARAMS, Params, load_params
from digits.tables import UNPACKED_BYTES, UNPACKED_RATIO
from sharing.kaggle_client import REFUSED, competition_page
from stages.download import MNIST

ROOT = Path(__file__).parent.parent
COMPETITION = "digit-recognizer"
FOLDER = Path("data/kaggle")
TRAIN, TEST = "train.csv", "test.csv"
DEADLINE = 900  # seconds for all that is asked of Kaggle at once
# With these, Kaggle's package prints the credentials that it sends.
_LOUD = ("VERBOSE", "VERBOSE_OUTPUT")
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, ValueError)
_UNKNOWN = (RuntimeError,)  # of an archive that is encrypted, or packed by another method


def fetch(competition: str, folder: Path) -> list[Path]:
    """Put a competition's train.csv and test.csv into `folder`; return those that are new there.

    Raises:
        InputError: Kaggle does not give them, they are not images in Kaggle's form, or there are
            files with those names and another content, which stay as they are.
    """
    with TemporaryDirectory() as name:
        came = Path(name)
        try:
            _download(competition, came)
        except InputError as error:
            raise InputError(str(error).replace(f"{came}/", f"{competition}/")) from None
        new = [file for file in (TRAIN, TEST) if _is_new(came / file, folder / file)]
        for file in new:
            with replacing(folder / file) as temporary:
                shutil.copyfile(came / file, temporary)
    return [folder / file for file in new]


def _download(competition: str, folder: Path) -> None:
    """Put a competition's files into `folder`, unpacked and with headers in Kaggle's form."""
    sent = folder / "sent"
    ask("download", competition, str(sent), TRAIN, TEST)
    for file in (TRAIN, TEST):
        unpack(sent / file, folder / file)
    pixels = count_pixels(folder / TRAIN, labelled=True)
    if count_pixels(folder / TEST, labelled=False) != pixels:
        raise InputError(f"{folder / TEST}: expected {pixels} pixel columns, as in {TRAIN}")


def unpack(folder: Path, path: Path) -> None:
    """Move the one file in `folder` to `path`, out of its zip archive if it is in one.

    Raises:
        InputError: the archive is damaged, holds no file with the name of `path`, or would unpack
            to more than images do.
    """
    [came] = folder.iterdir()
    if not zipfile.is_zipfile(came):
        came.rename(path)
        return
    limit = max(UNPACKED_BYTES, UNPACKED_RATIO * came.stat().st_size)
    expected = f"a whole zip archive with {path.name} in it"
    with expecting(came, expected, *_DAMAGED, *_UNKNOWN), zipfile.ZipFile(came) as archive:
        if archive.getinfo(path.name).file_size > limit:
            raise InputError(f"{came}: unpacks to over {limit} bytes; expected at most that")
        with archive.open(path.name) as member, path.open("wb") as file:
            shutil.copyfileobj(member, file)


def _is_new(came: Path, path: Path) -> bool:
    """Return whether there is no file at `path`.

    Raises:
        InputError: there is one, and its content is another.
    """
    if not path.exists():
        return True
    with expecting(path, "to be able to compare it with Kaggle's"):
        same = filecmp.cmp(came, path, shallow=False)
    if not same:
        raise InputError(f"{path}: not what Kaggle has; move it elsewhere, and fetch again")
    return False


def check(submission: Path, params: Params) -> int:
    """Return the number of rows of a submission that is in Kaggle's form.

    Raises:
        InputError: its header, an id, a label or the number of rows is not as expected: a row for
            each image in the CSV file that `data.test` names.
    """
    images = sum(len(pixels) for pixels in read_pixels(Path(params.data.test)))
    return len(read_submission(submission, images, params.data.classes))


def send(competition: str, submission: Path, message: str) -> str:
    """Send a submission; return what Kaggle said.

    Raises:
        InputError: Kaggle did not take it.
    """
    said = ask("submit", competition, str(submission.resolve()), message)
    return "".join(filter(str.isprintable, said))


def ask(*arguments: str) -> str:
    """Return what `sharing.kaggle_client` prints, in a process of its own.

    Raises:
        InputError: Kaggle's package is missing, or what was asked for could not be done in time.
    """
    if find_spec("kaggle") is None:
        raise InputError(
            "Kaggle's package is not installed; expected what requirements-kaggle.txt names, "
            "which make kaggle-data and make submit install"
        )
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "sharing.kaggle_client", *arguments],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name not in _LOUD},
            stdout=subprocess.PIPE,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        page = competition_page(arguments[1])
        raise InputError(
            f"Kaggle did not end in {DEADLINE} seconds; try again later ({page}/submissions shows "
            "what it has)"
        ) from None
    if ran.returncode == REFUSED:
        raise InputError(ran.stdout.strip())
    if ran.returncode != 0:
        raise InputError(
            f"Kaggle's package ended with status {ran.returncode}; its words are above"
        )
    return ran.stdout.strip()


def _run_fetch(arguments: Namespace) -> None:
    folder = arguments.folder
    new = fetch(arguments.competition, folder)
    print(f"fetch: {', '.join(map(str, new)) or f'nothing new in {folder}/'}")
    print(f"to use them, set data.train and data.test in {PARAMS} to {folder / TRAIN} and", end=" ")
    print(f"{folder / TEST}")


def _run_submit(arguments: Namespace) -> None:
    params, message = load_params(), arguments.message
    rows = check(arguments.file, params)
    checked = f"{arguments.file}: {rows:,} rows, one for each image in {params.data.test}"
    if arguments.check:
        print(f"submit: {checked}; not sent")
        return
    if not message.strip():
        raise InputError("message: empty; expected what this submission is: make submit MESSAGE=…")
    if MNIST in Path(params.data.test).parents:
        raise InputError(
            f"{PARAMS}: data.test = {params.data.test}: not in the order of Kaggle's images; "
            f"expected {FOLDER / TEST} (make kaggle-data), then make repro"
        )
    print(f"submit: {checked}")
    print(send(arguments.competition, arguments.file, message))
    print(f"its score: {competition_page(arguments.competition)}/submissions")


def main() -> None:
    """Do what the command line asks for."""
    parser = ArgumentParser(description="Fetch Kaggle's files; check a submission, and send it.")
    commands = parser.add_subparsers(required=True)
    fetching = commands.add_parser("fetch", help="fetch the competition's files")
    fetching.add_argument("--folder", type=Path, default=FOLDER)
    fetching.set_defaults(run=_run_fetch)
    submitting = commands.add_parser("submit", help="check a submission, and send it")
    submitting.add_argument("--file", type=Path, default=SUBMISSION)
    what = submitting.add_mutually_exclusive_group(required=True)
    what.add_argument("--message", help="what this submission is")
    what.add_argument("--check", action="store_true", help="send nothing")
    submitting.set_defaults(run=_run_submit)
    for command in (fetching, submitting):
        command.add_argument("--competition", default=COMPETITION)
    arguments = parser.parse_args()
    report(partial(arguments.run, arguments))


if __name__ == "__main__":
    main()
