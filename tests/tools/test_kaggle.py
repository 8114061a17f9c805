"""Kaggle's command, played by a stand-in; or itself, without a network."""

import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from digits.data.image_table import write_images
from digits.data.submission import SUBMISSION, count_ids, write_submission
from digits.errors import InputError
from tests.conftest import LABELS, ParamsWriter, zipped
from tests.sandbox import draw_images
from tools import kaggle
from tools.kaggle import FOLDER, PAGE, TEST, TRAIN

TOKEN, SIGNATURE = "KGAT_0123456789abcdef", "Signature=fedc.ba98.7654"
FETCH = "shutil.copytree('offered/' + given['--file'], given['--path'])"
Run = Callable[..., str]


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command, and returns its words, or its one line of error."""

    def run(action: str, message: str = "x") -> str:
        line = ""
        try:
            kaggle.main(action, message)
        except InputError as error:
            line = f"error: {error}"
        out, err = capfd.readouterr()
        assert (err, "\n" in line) == ("", False)
        assert not any(secret in out + line for secret in (TOKEN, TOKEN[5:], SIGNATURE))
        return line or out

    for folder in ("data", "stand-in/kaggle"):
        Path(folder).mkdir(parents=True)
    write_submission(SUBMISSION, count_ids(12), LABELS * 4)
    monkeypatch.setattr(kaggle, "read_ids", lambda: count_ids(12))
    monkeypatch.setattr(kaggle, "load_classes", lambda: LABELS)
    monkeypatch.setattr(kaggle, "dvc", lambda _: 0)
    # Python looks there before it looks among the packages.
    monkeypatch.setenv("PYTHONPATH", str(project / "stand-in"))
    play(FETCH)
    return run


def play(line: str) -> None:
    """Write a package of Kaggle's name, which notes what it is asked, and does a line."""
    for name in ("asked", "stand-in/kaggle/__init__.py"):
        Path(name).touch()
    Path("stand-in/kaggle/__main__.py").write_text(
        "import json, shutil, sys, time\n"
        "print(json.dumps(sys.argv[1:]), file=open('asked', 'a'))\n"
        f"given = dict(part.split('=', 1) for part in sys.argv if '=' in part)\n{line}\n"
    )


def offer(name: str, content: bytes) -> None:
    path = Path("offered", name, "DownloadDataFile")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def asked() -> list[list[str]]:
    return list(map(json.loads, Path("asked").read_text().splitlines()))


def made(name: str, pixels: int = 16) -> bytes:
    """Return a train.csv or test.csv as Kaggle has it, with lines that end in CRLF."""
    images, labels = draw_images(9)
    write_images(Path("made.csv"), images[:, :pixels], labels if name == TRAIN else None)
    return Path("made.csv").read_bytes().replace(b"\n", b"\r\n")


def data() -> dict[str, bytes]:
    """Return what is in data/, folders without files too."""
    paths = [path for path in Path("data").rglob("*") if path != FOLDER]
    return {str(path): path.read_bytes() for path in paths}


def test_files_are_fetched_as_kaggle_has_them_and_only_those_that_are_missing(run: Run) -> None:
    offer(TRAIN, zipped(made(TRAIN), [TRAIN]))
    offer(TEST, made(TEST))
    assert run("fetch").startswith("fetch: data/kaggle/train.csv, data/kaggle/test.csv\n")
    assert data() == {"data/kaggle/train.csv": made(TRAIN), "data/kaggle/test.csv": made(TEST)}
    (FOLDER / TEST).unlink()
    assert run("fetch").startswith("fetch: data/kaggle/test.csv\n")
    assert run("fetch").startswith("fetch: nothing is missing\n")
    assert asked()[2][:4] == ["competitions", "download", "-q", "--file=test.csv"]
    (FOLDER / TEST).unlink()
    (FOLDER / TRAIN).write_bytes(b"mine")
    assert run("fetch").startswith("error: data/kaggle/train.csv: row 1: 'mine' and others; ")
    assert (len(asked()), data()) == (4, {"data/kaggle/train.csv": b"mine"})


@pytest.mark.parametrize(
    ("name", "sent", "told"),
    [
        (TRAIN, lambda _: b"<!doctype html>\n", "/train.csv: row 1: '<!doctype html>' and"),
        (TEST, lambda _: made(TEST, 9), "/test.csv: expected 16 pixel columns, as in"),
        (TEST, lambda plain: zipped(plain, ["other.csv"]), "; expected test.csv in"),
        (TRAIN, lambda plain: zipped(plain, [TRAIN])[:-9], "/train.csv: File is no"),
    ],
)
def test_files_of_another_form_are_refused_and_none_is_written(
    run: Run, name: str, sent: Callable[[bytes], bytes], told: str
) -> None:
    for each in (TRAIN, TEST):
        offer(each, sent(made(each)) if each == name else made(each))
    assert re.match(f"error: data/.*{told}", run("fetch"))
    assert list(Path("data").iterdir()) == []


def test_labels_that_kaggle_would_not_score_are_not_sent(
    run: Run, write_params: ParamsWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("submit", " \n").startswith("error: message: empty; ")
    rows = SUBMISSION.read_text()
    SUBMISSION.write_text(rows.rpartition("12,")[0])
    assert run("submit").startswith("error: submission.csv: row 12: the last of 11; expected 12")
    SUBMISSION.write_text(rows)
    monkeypatch.setattr(kaggle, "dvc", lambda _: 1)
    assert run("submit").startswith("error: submission.csv: not up to date; expected what make")
    monkeypatch.setattr(kaggle, "dvc", lambda _: 0)
    write_params({"data.test": "data/mnist/test.csv"})
    told = "error: params.yaml: data.test = data/mnist/test.csv: not in the order of Kaggle's"
    assert run("submit").startswith(told)
    assert asked() == []


@pytest.mark.parametrize("message", ["--x", 'it\'s $5 “ü” "%s"\n2'])
def test_a_message_is_sent_as_it_is(run: Run, message: str) -> None:
    play("print('Warning: old\\nSent\\x1b[2J!')")
    checked = "submit: submission.csv: 12 rows, one for each image in test.csv"
    assert run("submit", message) == f"{checked}\nKaggle: Sent[2J!\nits score: {PAGE}/submissions\n"
    options = [f"--message={message}", f"--file={SUBMISSION.absolute()}", "digit-recognizer"]
    assert asked() == [["competitions", "submit", "-q", *options]]


@pytest.mark.parametrize(
    ("action", "line", "told"),
    [
        ("fetch", "pass", r"'s command wrote \d+ files; expected train.csv"),
        ("submit", "print('Could not send x')", ": Could not send x; expected a network"),
        ("submit", "import nothing", ": ModuleNotFoundError: No module .* make setup EXTRA=kaggle"),
        ("submit", "time.sleep(60)", ": no end in 0.5 seconds; try again later"),
        # Neither tokens nor signatures are told.
        ("submit", f"sys.exit('http://x?{SIGNATURE} {TOKEN}')", r": http://x\?… …; try again"),
        ("submit", f"raise ValueError('Unauthorized: {TOKEN}')", ": .*: …; expected a token"),
    ],
)
def test_what_goes_wrong_is_told_with_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch, action: str, line: str, told: str
) -> None:
    play(line)
    monkeypatch.setattr(kaggle, "DEADLINE", 0.5 if "sleep" in line else 60)
    assert re.match(f"error: Kaggle{told}", run(action))
    assert list(Path("data").iterdir()) == []


@pytest.mark.long
@pytest.mark.skipif(find_spec("kaggle") is None, reason="it comes with make setup EXTRA=kaggle")
@pytest.mark.parametrize("action", ["fetch", "submit"])
def test_kaggles_own_command_takes_what_it_is_given_and_needs_a_network(
    run: Run, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    told = run(action, "-it's $5 “ü” -h")
    assert told.endswith("; expected a network that leads there; try again")
