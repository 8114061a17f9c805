"""Kaggle's own package against a server on loopback that answers as Kaggle does.

With KAGGLE_API_ENVIRONMENT=LOCALHOST the package asks http://localhost, without a port; a proxy in
the environment leads that to the server's own port.
"""

import io
import json
import os
import re
import sys
import threading
import zipfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from digits.kaggle import SUBMISSION, write_images, write_submission
from proofs.sandbox import draw_images
from sharing import competition
from sharing.competition import FOLDER, TEST, TRAIN

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        find_spec("kaggle") is None, reason="Kaggle's package comes with `make test-results`"
    ),
]
TOKEN = "KGAT_0123456789abcdef"
SIGNATURE = "Signature=fedcba9876543210"
PAGE = "https://www.kaggle.com/competitions/digit-recognizer"


@dataclass
class Answer:
    """What the server answers: JSON, or bytes; a status of 0 is no answer at all."""

    status: int = 200
    content: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """What the server was asked for."""

    method: str
    url: str
    authorization: str | None
    body: bytes

    @property
    def name(self) -> str:
        """The last part of the address."""
        return urlsplit(self.url).path.rpartition("/")[2]

    @property
    def fields(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


class Kaggle:
    """What the server answers to each name, and what it was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self.answers: dict[str, Answer] = {
            "IntrospectToken": Answer(content={"active": True, "username": "somebody"}),
            "StartSubmissionUpload": Answer(
                content={
                    "token": "blob-1",
                    "createUrl": f"http://storage.test/upload?{SIGNATURE}",
                }
            ),
            "upload": Answer(),
            "CreateSubmission": Answer(content={"message": "Successfully submitted", "ref": 7}),
        }

    def answer(self, asked: Asked) -> Answer:
        """Return the answer to what is asked; files come from a storage, by a signed address."""
        self.asked.append(asked)
        if asked.name in self.answers:
            return self.answers[asked.name]
        if asked.name == "DownloadDataFile":
            sent = f"{asked.fields['fileName']}.zip"
            sent = sent if sent in self.answers else asked.fields["fileName"]
            return Answer(302, headers={"Location": f"http://storage.test/{sent}?{SIGNATURE}"})
        return Answer(404, {"code": 404, "message": "NotFound"})

    def by_name(self, name: str) -> Asked:
        """Return the one request with that name."""
        [asked] = [asked for asked in self.asked if asked.name == name]
        return asked


def handler(kaggle: Kaggle) -> type[BaseHTTPRequestHandler]:
    """Return a handler that answers for `kaggle`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            asked = Asked(
                self.command, self.path, self.headers["Authorization"], self.rfile.read(length)
            )
            answer = kaggle.answer(asked)
            if answer.status == 0:
                kaggle.over.wait()
                return
            content = answer.content
            body = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
            kind = "application/octet-stream" if content is body else "application/json"
            self.send_response(answer.status)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                **answer.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def kaggle(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    """Serve as Kaggle to the package, which has a token."""
    kaggle = Kaggle()
    for name in os.environ:
        if name.startswith("KAGGLE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(kaggle)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            "HOME": str(project / "home"),
            "XDG_CONFIG_HOME": str(project / "home" / ".config"),
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_API_TOKEN": TOKEN,
            "http_proxy": f"http://127.0.0.1:{server.server_port}",
        }.items():
            monkeypatch.setenv(name, value)
        yield kaggle
        kaggle.over.set()
        server.shutdown()


@dataclass
class Ran:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(
    kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> "Run":
    return Run(monkeypatch, capfd)


@dataclass
class Run:
    """Runs the command; whatever happens, no credentials are printed."""

    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Ran:
        self.monkeypatch.setattr(sys, "argv", ["competition", *arguments])
        status, last = 0, ""
        try:
            competition.main()
        except SystemExit as end:
            status, last = 1, f"{end.code}\n"
        out, err = self.capfd.readouterr()
        for secret in (TOKEN, "0123456789abcdef", SIGNATURE):
            assert secret not in out + err + last
        return Ran(status, out, err + last)

    def refused(self, *arguments: str) -> str:
        """Return the one line with which the command ends."""
        ran = self(*arguments)
        assert ran.status == 1
        assert ran.err.count("\n") == 1
        return ran.err.removesuffix("\n")


def made(name: str) -> bytes:
    """Return a train.csv or test.csv in Kaggle's form."""
    path = Path(f"{name}.made")
    pixels, labels = draw_images(9)
    write_images(path, pixels, labels if name == TRAIN else None)
    return path.read_bytes()


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, made(name))
    return file.getvalue()


DATED = {"Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT", "Accept-Ranges": "bytes"}


def offer(kaggle: Kaggle) -> None:
    """Have train.csv come in a zip archive, and test.csv as it is."""
    kaggle.answers["train.csv.zip"] = Answer(content=zipped(TRAIN), headers=DATED)
    kaggle.answers[TEST] = Answer(content=made(TEST), headers=DATED)


def keep(path: str, content: str) -> None:
    file = Path(os.environ["HOME"]) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    file.chmod(0o600)


def test_files_come_zipped_or_as_they_are(kaggle: Kaggle, run: Run) -> None:
    offer(kaggle)
    ran = run("fetch")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        "fetch: data/kaggle/train.csv, data/kaggle/test.csv\n"
        "to use them, set data.train and data.test in params.yaml to data/kaggle/train.csv and "
        "data/kaggle/test.csv\n"
    )
    for name in (TRAIN, TEST):
        assert (FOLDER / name).read_bytes() == made(name)
    wanted = [asked for asked in kaggle.asked if asked.name == "DownloadDataFile"]
    assert [asked.fields for asked in wanted] == [
        {"competitionName": "digit-recognizer", "fileName": name} for name in (TRAIN, TEST)
    ]
    assert {asked.url for asked in wanted} == {
        "http://localhost/api/v1/competitions.CompetitionApiService/DownloadDataFile"
    }


KEY = f"Basic {b64encode(f'somebody:{TOKEN}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("variables", "files", "sent"),
    [
        ({"KAGGLE_API_TOKEN": TOKEN}, {}, f"Bearer {TOKEN}"),
        ({}, {".kaggle/access_token": f"{TOKEN}\n"}, f"Bearer {TOKEN}"),
        ({"KAGGLE_USERNAME": "somebody", "KAGGLE_KEY": TOKEN}, {}, KEY),
        (
            {},
            {".kaggle/kaggle.json": json.dumps({"username": "somebody", "key": TOKEN})},
            KEY,
        ),
    ],
)
def test_credentials_are_taken_from_where_kaggle_documents_them(
    kaggle: Kaggle,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    files: dict[str, str],
    sent: str,
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for path, content in files.items():
        keep(path, content)
    offer(kaggle)
    assert run("fetch").status == 0
    for asked in kaggle.asked:
        if asked.name == "DownloadDataFile":
            assert asked.authorization == sent
        if "storage.test" in asked.url:
            assert asked.authorization is None


def test_nothing_of_the_credentials_is_printed_where_everything_is(
    kaggle: Kaggle, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERBOSE", "true")
    offer(kaggle)
    ran = run("fetch")
    assert (ran.status, ran.err) == (0, "")


def test_without_credentials_one_line_says_where_they_come_from(
    kaggle: Kaggle, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert run.refused("fetch") == (
        "error: Kaggle: there are no credentials; expected a token from "
        "https://www.kaggle.com/settings/api in KAGGLE_API_TOKEN or in ~/.kaggle/access_token"
    )
    assert kaggle.asked == []


@pytest.mark.parametrize(
    "answer", [Answer(content={"active": False}), Answer(400, {"code": 400, "message": "no"})]
)
def test_a_token_that_has_expired_is_named_by_its_place(
    kaggle: Kaggle, run: Run, answer: Answer
) -> None:
    kaggle.answers["IntrospectToken"] = answer
    told = "error: Kaggle: the token in KAGGLE_API_TOKEN is not accepted; expected a token from "
    assert run.refused("fetch").startswith(told)


@pytest.mark.parametrize("token", [f"{TOKEN}\nsecond line", f"{TOKEN}\u2026"])
def test_a_token_that_cannot_be_sent_is_refused_unseen(
    kaggle: Kaggle, run: Run, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    assert run.refused("fetch").startswith("error: Kaggle's package cannot use the credentials, or")


RULES = "You must accept this competition's rules before you'll be able to download files."


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(401, {"code": 401, "message": "Unauthenticated"}), r"401: .*; expected a token"),
        (
            Answer(403, {"code": 403, "message": RULES}),
            rf"403: {RULES}; join the competition and accept its rules, once, at {PAGE}/rules",
        ),
        (Answer(404, {"code": 404, "message": "NotFound"}), r"404: NotFound; expected a compet"),
        (Answer(429, b"slow down"), r"429: Client Error: Too Many Requests; try again later"),
        (Answer(500, {"code": 500, "message": "Oops"}), r"500: Oops; try again later"),
        (Answer(503, b"<html>"), r"503: Server Error: Service Unavailable; try again later"),
    ],
)
@pytest.mark.parametrize("name", ["DownloadDataFile", TEST])
def test_what_kaggle_refuses_is_told_with_what_to_do(
    kaggle: Kaggle, run: Run, name: str, answer: Answer, told: str
) -> None:
    offer(kaggle)
    kaggle.answers[name] = answer
    assert re.match(f"error: Kaggle answers {told}", run.refused("fetch"))
    assert not FOLDER.exists()


@pytest.mark.parametrize("content", [b"{", b"[]", b"null"])
def test_an_answer_that_the_package_does_not_know_is_told_in_one_line(
    kaggle: Kaggle, run: Run, content: bytes
) -> None:
    kaggle.answers["IntrospectToken"] = Answer(
        content=content, headers={"Content-Type": "application/json"}
    )
    assert run.refused("fetch").startswith("error: Kaggle")


def test_without_a_network_one_line_says_so(
    kaggle: Kaggle, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(kaggle)) as server:
        port = server.server_port
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    assert run.refused("fetch") == (
        "error: Kaggle cannot be reached (Connection refused); expected a network that leads there"
    )


@pytest.mark.parametrize("name", ["IntrospectToken", TEST])
def test_a_server_that_says_nothing_is_not_waited_for(
    kaggle: Kaggle, run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(competition, "DEADLINE", 5)
    offer(kaggle)
    kaggle.answers[name] = Answer(0)
    assert run.refused("fetch").startswith("error: Kaggle did not end in 5 seconds; try again")
    assert not FOLDER.exists()


@pytest.fixture
def submission(project: Path) -> bytes:
    write_submission(SUBMISSION, [0, 1, 2] * 4)
    return SUBMISSION.read_bytes()


def test_a_submission_is_sent_with_its_message(kaggle: Kaggle, run: Run, submission: bytes) -> None:
    ran = run("submit", "--message", "it's $5 “ü”")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        "submit: submission.csv: 12 rows, one for each image in test.csv\n"
        "Successfully submitted\n"
        f"its score: {PAGE}/submissions\n"
    )
    start = kaggle.by_name("StartSubmissionUpload").fields
    assert (start["competitionName"], start["fileName"]) == ("digit-recognizer", "submission.csv")
    assert start["contentLength"] == len(submission)
    upload = kaggle.by_name("upload")
    assert (upload.method, upload.body, upload.authorization) == ("PUT", submission, None)
    assert kaggle.by_name("CreateSubmission").fields == {
        "competitionName": "digit-recognizer",
        "blobFileTokens": "blob-1",
        "submissionDescription": "it's $5 “ü”",
    }


LIMIT = "Your team has used its daily submission allowance (10) today"


@pytest.mark.parametrize(
    ("name", "answer", "told"),
    [
        (
            "CreateSubmission",
            Answer(400, {"code": 400, "message": LIMIT}),
            rf"Kaggle answers 400: {re.escape(LIMIT)}; see {PAGE}",
        ),
        (
            "CreateSubmission",
            Answer(429, {"code": 429, "message": LIMIT}),
            rf"Kaggle answers 429: {re.escape(LIMIT)}; try again later, or tomorrow",
        ),
        (
            "StartSubmissionUpload",
            Answer(403, {"code": 403, "message": "Permission was denied"}),
            rf"Kaggle answers 403: Permission was denied; join the competition .* {PAGE}/rules",
        ),
        ("upload", Answer(403, b"<xml>"), r"Kaggle: .*submission.csv could not be uploaded"),
    ],
)
def test_a_submission_that_kaggle_refuses_is_told_with_its_words(
    kaggle: Kaggle, run: Run, submission: bytes, name: str, answer: Answer, told: str
) -> None:
    kaggle.answers[name] = answer
    assert re.match(f"error: {told}", run.refused("submit", "--message", "x"))
    assert SUBMISSION.read_bytes() == submission


def test_a_submission_that_is_not_in_kaggles_form_is_not_sent(kaggle: Kaggle, run: Run) -> None:
    write_submission(SUBMISSION, [0] * 11)
    assert "expected 12" in run.refused("submit", "--message", "x")
    assert kaggle.asked == []
