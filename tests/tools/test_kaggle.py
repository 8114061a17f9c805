"""Kaggle's command, played by a stand-in; or itself, with a server on loopback as Kaggle."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest

from digits.data import lines
from digits.data.image_table import write_images
from digits.data.submission import SUBMISSION, count_ids, write_submission
from tests.conftest import LABELS, ParamsWriter
from tests.sandbox import ROOT, draw_images
from tools import kaggle as competition
from tools.kaggle import FOLDER, PAGE, TEST, TRAIN

TOKEN, SECRET = "KGAT_0123456789abcdef", "s3cret.key"  # the second is unlike any token
SIGNATURE = "Signature=fedc.ba98.7654"
SUBMIT = ("submit", "--message=x")
Run = Callable[..., str]


@pytest.fixture
def run(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Yield a function that runs the command, and returns its words, or its one line of error."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["competition", *arguments])
        line = ""
        try:
            competition.main()
        except SystemExit as end:
            line = str(end.code)
        out, err = capfd.readouterr()
        assert (err, "\n" in line) == ("", False)
        assert not any(secret in out + line for secret in (TOKEN, TOKEN[5:], SECRET, SIGNATURE))
        return line or out

    Path("data").mkdir()
    write_submission(SUBMISSION, count_ids(12), LABELS * 4)
    prepared: dict[str, Any] = {"read_ids": lambda: count_ids(12), "load_classes": lambda: LABELS}
    with patch.dict(os.environ), patch.multiple(competition, **prepared):
        for name in list(os.environ):
            if name.startswith(("KAGGLE_", "XDG_")) or name.lower().endswith("_proxy"):
                del os.environ[name]
        # Kaggle is http://localhost then, through a proxy: here where nobody listens.
        os.environ |= {"HOME": str(project), "KAGGLE_API_ENVIRONMENT": "LOCALHOST"}
        os.environ["http_proxy"] = "http://127.0.0.1:9"
        yield run


class StandIn:
    """A package of Kaggle's name, and what it was asked."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.offered, self.numbers = folder / "offered", folder / "numbers"
        self.log, self.cli, self.run = folder / "log", folder / "kaggle/cli.py", run
        self.cli.parent.mkdir(parents=True)
        (self.cli.parent / "__init__.py").touch()
        os.environ["PYTHONPATH"] = f"{folder}:{ROOT}"
        self.does("pass")

    def does(self, line: str) -> None:
        self.cli.write_text(
            "import json, os, shutil, subprocess, sys, time\n"
            "def main():\n"
            f"    print(json.dumps(sys.argv[1:]), file=open({str(self.log)!r}, 'a'))\n"
            "    options = dict(part.split('=', 1) for part in sys.argv if '=' in part)\n"
            f"    {line}\n"
        )

    def offers(self, name: str, content: bytes, sent: str = "", then: str = "") -> None:
        path = self.offered / name / (sent or name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        place = f"{str(self.offered)!r} + '/' + options['--file'], options['--path']"
        self.does(f"shutil.copytree({place}){then}")

    def sleeps(self) -> None:
        """Have it start another process, write both numbers to a file, and sleep."""
        sleeper, file = "subprocess.Popen(['sleep', '60']).pid", f"open({str(self.numbers)!r}, 'w')"
        self.does(f"print(os.getpid(), {sleeper}, file={file}, flush=True); time.sleep(60)")

    def running(self) -> Iterator[str]:
        """Yield the numbers of those that run still."""
        for number in self.numbers.read_text().split():
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(int(number)).status() != psutil.STATUS_ZOMBIE:
                    yield number

    @property
    def asked(self) -> list[list[str]]:
        return list(map(json.loads, self.log.read_text().splitlines())) if self.log.exists() else []


@pytest.fixture
def stand_in(project: Path, run: Run) -> StandIn:
    return StandIn(project / "stand-in", run)


def made(name: str, pixels: int = 16) -> bytes:
    """Return a train.csv or test.csv as Kaggle has it, with lines that end in CRLF."""
    images, labels = draw_images(9)
    write_images(Path("made.csv"), images[:, :pixels], labels if name == TRAIN else None)
    return Path("made.csv").read_bytes().replace(b"\n", b"\r\n")


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def data() -> dict[str, bytes]:
    """Return what is in data/, folders without files too."""
    paths = [path for path in Path("data").rglob("*") if path != FOLDER]
    return {str(path): path.read_bytes() for path in paths}


@pytest.mark.parametrize("sent", ["train.csv", "train.csv.zip", "DownloadDataFile"])
def test_files_are_fetched_as_kaggle_has_them(stand_in: StandIn, sent: str) -> None:
    stand_in.offers(TRAIN, made(TRAIN) if sent == TRAIN else zipped(TRAIN, made(TRAIN)), sent)
    stand_in.offers(TEST, made(TEST))
    assert stand_in.run("fetch").startswith("fetch: data/kaggle/train.csv, data/kaggle/test.csv\n")
    assert data() == {"data/kaggle/train.csv": made(TRAIN), "data/kaggle/test.csv": made(TEST)}


def test_what_is_there_is_neither_fetched_again_nor_touched(stand_in: StandIn) -> None:
    stand_in.offers(TEST, made(TEST))
    FOLDER.mkdir()
    (FOLDER / TRAIN).write_bytes(made(TRAIN))
    before = (FOLDER / TRAIN).stat()
    assert stand_in.run("fetch").startswith("fetch: data/kaggle/test.csv\n")
    assert stand_in.run("fetch").startswith("fetch: nothing is missing\n")
    after = (FOLDER / TRAIN).stat()  # it was read, so not all is the same
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (FOLDER / TRAIN).read_bytes() == made(TRAIN)
    [asked] = stand_in.asked
    assert asked[:4] == ["competitions", "download", "-q", "--file=test.csv"]


@pytest.mark.parametrize(
    ("name", "told"),
    [(TRAIN, "row 1: 'mine' and others; expected a column"), (TEST, "expected 16 pixel columns")],
)
def test_a_file_of_mine_stays_as_it_is(stand_in: StandIn, name: str, told: str) -> None:
    stand_in.offers(TRAIN, made(TRAIN))
    stand_in.offers(TEST, made(TEST))
    FOLDER.mkdir()
    (FOLDER / name).write_bytes(b"mine")
    assert stand_in.run("fetch").startswith(f"error: data/kaggle/{name}: {told}")
    assert data() == {f"data/kaggle/{name}": b"mine"}


def test_a_file_that_somebody_puts_there_meanwhile_stays(stand_in: StandIn) -> None:
    FOLDER.mkdir()
    stand_in.offers(TRAIN, made(TRAIN))
    then = f"; open({str((FOLDER / TRAIN).absolute())!r}, 'w').write('mine')"
    stand_in.offers(TEST, made(TEST), then=then)
    stand_in.run("fetch")
    assert data() == {"data/kaggle/train.csv": b"mine", "data/kaggle/test.csv": made(TEST)}


def test_none_is_written_where_the_second_does_not_come(stand_in: StandIn) -> None:
    stand_in.offers(TRAIN, made(TRAIN))
    assert "error: Kaggle: FileNotFoundError: " in stand_in.run("fetch")
    assert (len(stand_in.asked), list(Path("data").iterdir())) == (2, [])


ROW = b"0" + b",0" * 15 + b"\n"


def damaged(archive: bytes) -> bytes:
    return archive[:100] + bytes([archive[100] ^ 255]) + archive[101:]


@pytest.mark.parametrize(
    ("name", "sent", "told"),
    [
        (TRAIN, lambda _: b"<!doctype html>\n", "/train.csv: row 1: '<!doctype html>' and"),
        (TEST, lambda _: made(TEST, 9), "/test.csv: expected 16 pixel columns, as in"),
        (TEST, lambda plain: zipped("other.csv", plain), "test.csv.zip: .*; expected test.csv in"),
        (TRAIN, lambda plain: damaged(zipped(TRAIN, plain)), "/train.csv.zip: .*a whole CSV file"),
        (
            TEST,
            lambda plain: zipped(TEST, plain)[:-100],
            "/test.csv: File is not a zip file; expected",
        ),
        (TEST, lambda plain: zipped(TEST, plain + ROW * 2**14), "/test.csv.zip: unpacks to over"),
    ],
)
def test_files_of_another_form_are_refused_and_none_is_written(
    stand_in: StandIn, name: str, sent: Callable[[bytes], bytes], told: str
) -> None:
    for each in (TRAIN, TEST):
        stand_in.offers(each, sent(made(each)) if each == name else made(each))
    with patch.object(lines, "UNPACKED_BYTES", 2**12):
        assert re.match(f"error: data/.*{told}", stand_in.run("fetch"))
    assert list(Path("data").iterdir()) == []


ROWS = "ImageId,Label\n" + "".join(f"{number},1\n" for number in range(1, 13))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ROWS.replace("ImageId", "id"), r"row 1: 'id,Label'; expected 'ImageId,Label'"),
        (ROWS.replace("\n3,", "\n4,"), r"row 4, column 1 \(ImageId\): '4'; expected 3"),
        (ROWS.removesuffix("12,1\n"), r"row 12: the last of 11; expected 12"),
        (ROWS + "13,1\n", r"row 14: the last of 13; expected 12"),
        (ROWS.replace("7,1", "7,3"), r"row 8, column 2 \(Label\): '3'; expected"),
        ("ImageId,Label\n", r"row 1: the last of 0; expected 12"),
    ],
)
def test_a_submission_that_kaggle_would_not_score_is_not_sent(
    stand_in: StandIn, content: str, told: str
) -> None:
    SUBMISSION.write_text(content)
    assert re.match(f"error: submission.csv: {told}", stand_in.run(*SUBMIT))
    assert stand_in.asked == []


@pytest.mark.parametrize("options", [[], ["--message="], ["--message= \n"]])
def test_a_submission_says_what_it_is(stand_in: StandIn, options: list[str]) -> None:
    assert stand_in.run("submit", *options).startswith("error: message: empty; ")
    assert stand_in.asked == []


def test_labels_of_images_in_another_order_than_kaggles_are_not_sent(
    stand_in: StandIn, write_params: ParamsWriter
) -> None:
    write_params({"data.test": "data/mnist/test.csv"})
    write_images(Path("data/mnist/test.csv"), draw_images(12)[0])
    told = "error: params.yaml: data.test = data/mnist/test.csv: not in the order of Kaggle's"
    assert stand_in.run(*SUBMIT).startswith(told)
    assert stand_in.asked == []


@pytest.mark.parametrize("message", ["--x", "-h", 'it\'s $5 “ü” "%s"', "two\nlines"])
def test_a_message_is_sent_as_it_is(stand_in: StandIn, message: str) -> None:
    stand_in.does("print('Warning: old\\nSent\\x1b[2J!')")
    checked = "submit: submission.csv: 12 rows, one for each image in test.csv"
    said = f"{checked}\nKaggle: Sent[2J!\nits score: {PAGE}/submissions\n"
    assert stand_in.run("submit", f"--message={message}") == said
    options = [f"--message={message}", f"--file={SUBMISSION.absolute()}", "digit-recognizer"]
    assert stand_in.asked == [["competitions", "submit", "-q", *options]]


def keep(place: str, secret: str, user: str = "somebody") -> None:
    """Keep credentials in a variable, or in a file, where Kaggle's command looks for them."""
    if place.startswith("KAGGLE"):
        os.environ |= {place: secret} | ({"KAGGLE_USERNAME": user} if "KEY" in place else {})
        return
    Path(place).parent.mkdir(exist_ok=True)
    key = {"username": user, "key": secret}
    Path(place).write_text(json.dumps(key) if "json" in place else f"{secret}\n")
    Path(place).chmod(0o600)


PLACES = ["KAGGLE_API_TOKEN", ".kaggle/access_token", "KAGGLE_KEY", ".kaggle/kaggle.json"]


@pytest.mark.parametrize("line", ["print({})", "sys.exit({})", "raise ValueError({})"])
@pytest.mark.parametrize("place", [*PLACES, "token"])
def test_credentials_that_the_command_prints_are_not_told(
    stand_in: StandIn, place: str, line: str
) -> None:
    keep(place, SECRET)
    if place == "token":
        keep("KAGGLE_API_TOKEN", place)
    stand_in.does(line.format(repr(f"Authorization: {SECRET}\r\n")))
    assert "words with credentials in them" in stand_in.run(*SUBMIT)


@pytest.mark.parametrize(
    ("command", "line", "told"),
    [
        ("fetch", "pass", "'s command wrote 0 files; expected train.csv"),
        (
            "fetch",
            "shutil.copytree('plots', options['--path'])",
            r"'s command wrote \d+ files; expect",
        ),
        ("submit", "print('Could not send x')", ": Could not send x; expected a network"),
        (
            "submit",
            "import nothing",
            ": ModuleNotFoundError: No module .* requirements-kaggle.txt ",
        ),
        ("submit", "sys.exit(3)", ": nothing; try again later"),
        ("submit", "os.kill(os.getpid(), 9)", ": nothing; try again later"),
        # Neither other tokens nor signatures are told.
        (
            "submit",
            f"sys.exit('at http://x?{SIGNATURE} {TOKEN}')",
            r": at http://x\?… …; try again",
        ),
    ],
)
def test_what_goes_wrong_is_told_with_what_to_do(
    stand_in: StandIn, command: str, line: str, told: str
) -> None:
    stand_in.does(line)
    assert re.match(f"error: Kaggle{told}", stand_in.run(command, "--message=x"))
    assert list(Path("data").iterdir()) == []


def wait_until(happens: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_command_and_what_it_started_are_ended_in_time(stand_in: StandIn) -> None:
    stand_in.sleeps()
    start = time.monotonic()
    with patch.object(competition, "DEADLINE", 0.7):
        told = "error: Kaggle: no end in 0.7 seconds; try again later"
        assert stand_in.run("fetch").startswith(told)
    assert time.monotonic() - start < 20
    wait_until(lambda: not list(stand_in.running()))
    assert list(Path("data").iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_with_the_one_that_started_it(
    stand_in: StandIn, how: signal.Signals
) -> None:
    stand_in.sleeps()
    with subprocess.Popen([sys.executable, "-m", "tools.kaggle", "fetch"]) as process:
        wait_until(lambda: stand_in.numbers.exists() and stand_in.numbers.read_text())
        command, other = stand_in.running()
        process.send_signal(how)
        process.wait(timeout=20)
    ended = {command, other} if how == signal.SIGINT else {command}
    wait_until(lambda: ended.isdisjoint(stand_in.running()))
    for number in stand_in.running():
        os.kill(int(number), signal.SIGKILL)


class Kaggle(ThreadingHTTPServer):
    """A server that answers each name, an address's last part, with a status and a content."""

    def __init__(self, run: Run) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.run = run
        self.asked: list[tuple[str, str | None, bytes]] = []  # name, authorization, body
        upload = {"token": "blob-1", "createUrl": f"http://storage.test/upload?{SIGNATURE}"}
        self.answers: dict[str, tuple[int, object]] = {
            "IntrospectToken": (200, {"active": True, "username": "somebody"}),
            "StartSubmissionUpload": (200, upload),
            "upload": (200, {}),
            "CreateSubmission": (200, {"message": "Successfully submitted", "ref": 7}),
            TRAIN: (200, zipped(TRAIN, made(TRAIN))),
            TEST: (200, made(TEST)),
        }


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        kaggle, name = self.server, self.path.partition("?")[0].rpartition("/")[2]
        assert isinstance(kaggle, Kaggle)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kaggle.asked.append((name, self.headers["Authorization"], body))
        status, content = kaggle.answers.get(name, (302, {}))
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if status == 302:  # files come from a storage, by a signed address
            file = json.loads(body)["fileName"]
            self.send_header("Location", f"http://storage.test/{file}?{SIGNATURE}")
        self.send_header("Content-Type", f"application/{'zip' if content is sent else 'json'}")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_PUT = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def kaggle(run: Run) -> Iterator[Kaggle]:
    """Serve as Kaggle to its own package, which has a token."""
    if find_spec("kaggle") is None:
        pytest.skip("Kaggle's package comes with `make test-results`")
    with Kaggle(run) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["KAGGLE_API_TOKEN"] = TOKEN
        os.environ["http_proxy"] = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
def test_kaggle_is_asked_with_credentials_from_where_it_documents_them(
    kaggle: Kaggle, place: str
) -> None:
    del os.environ["KAGGLE_API_TOKEN"]
    os.environ["VERBOSE"] = "true"  # prints them as well
    keep(place, TOKEN)
    kaggle.run("fetch")
    assert data() == {"data/kaggle/train.csv": made(TRAIN), "data/kaggle/test.csv": made(TEST)}
    asked = [each for each in kaggle.asked if each[0] == "DownloadDataFile"]
    assert [json.loads(body)["fileName"] for _, _, body in asked] == [TRAIN, TEST]
    basic = f"Basic {b64encode(f'somebody:{TOKEN}'.encode()).decode()}"
    authorization = basic if place in PLACES[2:] else f"Bearer {TOKEN}"
    assert {sent for _, sent, _ in asked} == {authorization}
    assert {sent for name, sent, _ in kaggle.asked if "csv" in name} == {None}


@pytest.mark.long
@pytest.mark.parametrize("token", ["", f"{TOKEN}\nsecond line", f"{TOKEN}\u2026"])
def test_a_token_that_cannot_be_one_is_neither_sent_nor_told(kaggle: Kaggle, token: str) -> None:
    os.environ["KAGGLE_API_TOKEN"] = token
    assert "; expected a token from https://www.kaggle.com/settings/api" in kaggle.run("fetch")
    assert kaggle.asked == []


RULES = "You must accept this competition's rules before you'll be able to download files."
LIMIT = "Your team has used its daily submission allowance"


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "status", "content", "told"),
    [
        ("IntrospectToken", 200, {"active": False}, "Authentication .*expected a token"),
        ("DownloadDataFile", 401, {}, "Authentication required .*; expected a token"),
        ("DownloadDataFile", 403, {"code": 403, "message": RULES}, f"{RULES}; join the"),
        (TEST, 403, b"", f"403 Client Error: .*; join the competition .* {PAGE}/rules"),
        (TEST, 503, b"<html>", "503 Server Error: .*; try again later"),
        ("upload", 403, b"<xml>", "Could not submit to competition; expected a network"),
        ("CreateSubmission", 400, {"code": 400, "message": LIMIT}, f"{LIMIT}; .*{PAGE}"),
    ],
)
def test_what_kaggle_refuses_is_told_with_its_words(
    kaggle: Kaggle, name: str, status: int, content: object, told: str
) -> None:
    kaggle.answers[name] = (status, content)
    command = SUBMIT if name in ("upload", "CreateSubmission") else ("fetch",)
    assert re.match(f"error: Kaggle: {told}", kaggle.run(*command))
    assert list(Path("data").iterdir()) == []


@pytest.mark.long
def test_without_a_network_one_line_says_so(kaggle: Kaggle) -> None:
    os.environ["http_proxy"] = "http://127.0.0.1:9"
    assert kaggle.run("fetch").endswith("; expected a network that leads there; try again")


@pytest.mark.long
def test_a_submission_is_sent_with_its_message(kaggle: Kaggle) -> None:
    message = "-it's $5 “ü” -h"
    assert "Kaggle: Successfully submitted\n" in kaggle.run("submit", f"--message={message}")
    assert ("upload", None, SUBMISSION.read_bytes()) in kaggle.asked
    assert json.loads(kaggle.asked[-1][2]) == {
        "competitionName": "digit-recognizer",
        "blobFileTokens": "blob-1",
        "submissionDescription": message,
    }
