"""Kaggle's API, asked through Kaggle's own package, in a process of its own.

    python -m sharing.kaggle_client download COMPETITION FOLDER FILE …
    python -m sharing.kaggle_client submit COMPETITION FILE MESSAGE

`sharing.competition` starts it, and ends it when it takes too long. The package signs in while it
is imported, ends the process where it cannot, waits without a limit and prints what it likes: here
none of that does harm. What Kaggle said goes to standard output with status 0, and what went wrong,
in one line, with status `REFUSED`.
"""

import io
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Protocol

from requests import exceptions

from digits.errors import InputError, one_line
from digits.process import end_with_parent

REFUSED = 3  # the status of this process
SITE = "https://www.kaggle.com"
TOKEN = f"a token from {SITE}/settings/api in KAGGLE_API_TOKEN or in ~/.kaggle/access_token"
# What the package raises where the way to Kaggle is cut.
_CUT = (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError)
# And of credentials or answers that it cannot use.
_UNUSABLE = (exceptions.RequestException, ValueError, LookupError, TypeError, AttributeError)


class Answer(Protocol):
    """What Kaggle says of a submission."""

    message: str


class KaggleApi(Protocol):
    """What is used here of the package's class of that name."""

    COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE: str

    def authenticate(self) -> None:
        """Find credentials, or end the process."""

    def competition_download_file(
        self, competition: str, file_name: str, path: str, *, force: bool, quiet: bool
    ) -> None:
        """Download a file, as it is or zipped, into the folder `path`."""

    def competition_submit(
        self, file_name: str, message: str, competition: str, *, quiet: bool
    ) -> Answer:
        """Upload a file, and submit it."""


def competition_page(competition: str) -> str:
    """Return the address of a competition."""
    return f"{SITE}/competitions/{competition}"


def perform(arguments: Sequence[str]) -> str:
    """Do what the arguments ask for, and return what Kaggle said.

    Raises:
        InputError: it could not be done.
    """
    match arguments:
        case ["download", competition, folder, *names]:
            with _explaining(competition):
                return _download(sign_in(), competition, Path(folder), names)
        case ["submit", competition, path, message]:
            with _explaining(competition):
                return _submit(sign_in(), competition, path, message)
    raise ValueError(f"no such call: {arguments}")


def sign_in() -> KaggleApi:
    """Return Kaggle's `KaggleApi`, with the credentials that it finds.

    Raises:
        InputError: it finds none, or they are not accepted.
    """
    try:
        api: KaggleApi = import_module("kaggle.api.kaggle_api_extended").KaggleApi()
        api.authenticate()
    except SystemExit:
        _, place = import_module("kagglesdk.kaggle_env").get_access_token_from_env()
        found = f"the token in {place} is not accepted" if place else "there are no credentials"
        raise InputError(f"Kaggle: {found}; expected {TOKEN}") from None
    return api


def _download(api: KaggleApi, competition: str, folder: Path, names: Sequence[str]) -> str:
    """Download each file into a folder of its own, with the file's name."""
    for name in names:
        place = str(folder / name)
        api.competition_download_file(competition, name, place, force=True, quiet=_is_quiet())
    return ""


def _submit(api: KaggleApi, competition: str, path: str, message: str) -> str:
    answer = api.competition_submit(path, message, competition, quiet=_is_quiet())
    if answer.message == api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE:
        raise InputError(f"Kaggle: {path} could not be uploaded; try again later")
    return answer.message


def _is_quiet() -> bool:
    """Return whether nobody would see the progress."""
    return not sys.stderr.isatty()


@contextmanager
def _explaining(competition: str) -> Iterator[None]:
    """Raise an `InputError` of whatever the package raises in the block."""
    try:
        yield
    except exceptions.HTTPError as error:
        raise InputError(_explain(error, competition)) from None
    except _CUT as error:
        raise InputError(
            f"Kaggle cannot be reached ({_first_cause(error)}); expected a network that leads there"
        ) from None
    except _UNUSABLE as error:
        # The error's own text may hold the credentials.
        raise InputError(
            "Kaggle's package cannot use the credentials, or what Kaggle answers "
            f"({type(error).__name__}); expected {TOKEN}"
        ) from None
    except OSError as error:
        place = error.filename or "the files"
        raise InputError(f"{place}: {error.strerror or one_line(error)}") from None


def _explain(error: exceptions.HTTPError, competition: str) -> str:
    """Return what Kaggle answered, and what to do about it."""
    status = 0 if error.response is None else error.response.status_code
    said = one_line(error)
    if " for url: " in said:  # not Kaggle's words, and the address may be signed
        said = said.partition(" for url: ")[0].removeprefix(f"{status} ")
    page = competition_page(competition)
    advice = {
        400: f"see {page}",
        401: f"expected {TOKEN}",
        403: f"join the competition and accept its rules, once, at {page}/rules",
        404: f"expected a competition, and files of it, that {page}/data shows",
        429: "try again later, or tomorrow if it was the last submission of the day",
    }
    return f"Kaggle answers {status}: {said}; {advice.get(status, 'try again later')}"


def _first_cause(error: BaseException) -> str:
    """Return what the first of a chain of errors says: the last ones hold whole addresses."""
    while error.__context__ is not None:
        error = error.__context__
    reason = error.strerror if isinstance(error, OSError) else None
    return reason or (one_line(error) if isinstance(error, Exception) else type(error).__name__)


def main() -> None:
    """Do what the command line asks for."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # it is the other process that says "interrupted"
    logging.disable()  # of addresses that are signed
    try:
        with redirect_stdout(io.StringIO()):
            said = perform(sys.argv[1:])
    except InputError as error:
        print(error)
        sys.exit(REFUSED)
    print(said)


if __name__ == "__main__":
    main()
