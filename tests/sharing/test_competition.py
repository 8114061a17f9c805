import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digits.errors import InputError
from digits.kaggle import SUBMISSION, write_images, write_submission
from digits.params import load_params
from proofs.sandbox import draw_images
from sharing import competition
from sharing.competition import FOLDER, TEST, TRAIN, check, fetch
from tests.conftest import ParamsWriter

TRAINING, TESTING = draw_images(9), draw_images(6, seed=1)[0]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_zip(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


def kaggles(name: str) -> bytes:
    """Return the content of train.csv or test.csv as Kaggle has it, with lines that end in CRLF."""
    path = Path(f"{name}.made")
    write_images(path, *(TRAINING if name == TRAIN else (TESTING, None)))
    content = path.read_bytes().replace(b"\n", b"\r\n")
    path.unlink()
    return content


@pytest.fixture
def sends(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path, str], None]], None]:
    """Have `write(folder, name)` put into a folder what Kaggle sends for a file."""

    def sends(write: Callable[[Path, str], None]) -> None:
        def ask(call: str, name: str, place: str, *names: str) -> str:
            assert (call, name, names) == ("download", "digits", (TRAIN, TEST))
            for file in names:
                (Path(place) / file).mkdir(parents=True)
                write(Path(place) / file, file)
            return ""

        monkeypatch.setattr(competition, "ask", ask)

    return sends


Sends = Callable[[Callable[[Path, str], None]], None]


def send_plain(folder: Path, name: str) -> None:
    (folder / name).write_bytes(kaggles(name))


def send_zipped(folder: Path, name: str) -> None:
    write_zip(folder / f"{name}.zip", name, kaggles(name))


def send_under_another_name(folder: Path, name: str) -> None:
    write_zip(folder / "DownloadDataFile", name, kaggles(name))


@pytest.mark.parametrize("write", [send_plain, send_zipped, send_under_another_name])
def test_files_are_fetched_as_kaggle_has_them(
    here: Path, sends: Sends, write: Callable[[Path, str], None]
) -> None:
    sends(write)
    assert fetch("digits", FOLDER) == [FOLDER / TRAIN, FOLDER / TEST]
    for name in (TRAIN, TEST):
        assert (FOLDER / name).read_bytes() == kaggles(name)
    assert sorted(path.name for path in FOLDER.iterdir()) == [TEST, TRAIN]


def test_what_is_there_already_is_left_alone(here: Path, sends: Sends) -> None:
    sends(send_plain)
    fetch("digits", FOLDER)
    (FOLDER / TEST).unlink()
    before = (FOLDER / TRAIN).stat()
    assert fetch("digits", FOLDER) == [FOLDER / TEST]
    assert (FOLDER / TRAIN).stat() == before
    assert fetch("digits", FOLDER) == []


@pytest.mark.parametrize("name", [TEST, TRAIN])
def test_another_file_of_that_name_is_not_overwritten(here: Path, sends: Sends, name: str) -> None:
    sends(send_plain)
    FOLDER.mkdir(parents=True)
    (FOLDER / name).write_bytes(b"mine")
    with pytest.raises(InputError, match=rf"^data/kaggle/{name}: not what Kaggle has; move it"):
        fetch("digits", FOLDER)
    assert [path.name for path in FOLDER.iterdir()] == [name]
    assert (FOLDER / name).read_bytes() == b"mine"


def send_page(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"<!doctype html>\n")


def send_larger_test_images(folder: Path, name: str) -> None:
    send_plain(folder, name)
    if name == TEST:
        write_images(folder / name, np.zeros((2, 25), np.uint8))


def send_another_member(folder: Path, name: str) -> None:
    write_zip(folder / name, "other.csv", kaggles(name))


def send_damaged_zip(folder: Path, name: str) -> None:
    send_zipped(folder, name)
    path = folder / f"{name}.zip"
    content = bytearray(path.read_bytes())
    content[100] ^= 255
    path.write_bytes(content)


def send_half_a_zip(folder: Path, name: str) -> None:
    send_zipped(folder, name)
    path = folder / f"{name}.zip"
    path.write_bytes(path.read_bytes()[:-100])


def send_bomb(folder: Path, name: str) -> None:
    write_zip(folder / name, name, bytes(2**20))


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (send_page, r"digits/train.csv: row 1, column 1: '<!doctype html>'; expected 'label'"),
        (send_larger_test_images, r"digits/test.csv: expected 16 pixel columns, as in train.csv"),
        (send_another_member, r"digits/sent/train.csv/train.csv: .*; expected a whole zip archive"),
        (send_damaged_zip, r"digits/sent/train.csv/train.csv.zip: .*; expected a whole zip"),
        (send_half_a_zip, r"digits/train.csv: row 1: not text in UTF-8"),
        (send_bomb, r"digits/sent/train.csv/train.csv: unpacks to over \d+ bytes; expected at"),
    ],
)
def test_files_of_another_form_are_refused_and_none_is_written(
    here: Path,
    sends: Sends,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, str], None],
    told: str,
) -> None:
    sends(write)
    monkeypatch.setattr(competition, "UNPACKED_BYTES", 2**16)
    with pytest.raises(InputError, match=f"^{told}"):
        fetch("digits", FOLDER)
    assert list(here.iterdir()) == []


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["competition", *arguments])
    competition.main()


def refuse_to_ask(*arguments: str) -> str:
    raise AssertionError(f"asked Kaggle: {arguments}")


def test_a_submission_with_a_row_for_each_image_is_as_kaggle_wants_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(competition, "ask", refuse_to_ask)
    write_submission(SUBMISSION, [0, 1, 2] * 4)
    assert check(SUBMISSION, load_params()) == 12
    run(monkeypatch, "submit", "--check")
    assert capsys.readouterr().out == (
        "submit: submission.csv: 12 rows, one for each image in test.csv; not sent\n"
    )


ROWS = [f"{number},1\n" for number in range(1, 13)]


@pytest.mark.parametrize(
    ("header", "rows", "told"),
    [
        ("id,Label\n", ROWS, r"row 1: 'id,Label'; expected 'ImageId,Label'"),
        ("Label,ImageId\n", ROWS, r"row 1: 'Label,ImageId'; expected 'ImageId,Label'"),
        ("ImageId,Label\n", ["0,1\n", *ROWS[1:]], r"row 2, column 1 \(ImageId\): 0; expected 1"),
        ("ImageId,Label\n", ROWS[::-1], r"row 2, column 1 \(ImageId\): 12; expected 1"),
        ("ImageId,Label\n", ROWS[:-1], r"row 12: the last of 11; expected 12"),
        ("ImageId,Label\n", [*ROWS, "13,1\n"], r"row 14, column 1 \(ImageId\): '13'; expected"),
        ("ImageId,Label\n", ["1,3\n", *ROWS[1:]], r"row 2, column 2 \(Label\): '3'; expected"),
        ("ImageId,Label\n", ["1,1.0\n", *ROWS[1:]], r"row 2, column 2 \(Label\): '1.0'; expected"),
        ("ImageId,Label\n", [], r"row 2: no data; expected rows"),
    ],
)
def test_a_submission_that_kaggle_would_not_score_is_not_sent(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    header: str,
    rows: list[str],
    told: str,
) -> None:
    monkeypatch.setattr(competition, "ask", refuse_to_ask)
    SUBMISSION.write_text(header + "".join(rows))
    with pytest.raises(SystemExit, match=rf"^error: submission.csv: {told}"):
        run(monkeypatch, "submit", "--message", "x")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("message", ["", " \n"])
def test_a_submission_says_what_it_is(
    project: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    monkeypatch.setattr(competition, "ask", refuse_to_ask)
    write_submission(SUBMISSION, [0] * 12)
    with pytest.raises(SystemExit, match=r"^error: message: empty; .* make submit MESSAGE="):
        run(monkeypatch, "submit", "--message", message)


def test_labels_of_images_in_another_order_than_kaggles_are_not_sent(
    project: Path, monkeypatch: pytest.MonkeyPatch, write_params: ParamsWriter
) -> None:
    monkeypatch.setattr(competition, "ask", refuse_to_ask)
    write_params({"data.test": "data/mnist/test.csv"})
    write_images(Path("data/mnist/test.csv"), TESTING)
    write_submission(SUBMISSION, [0] * 6)
    with pytest.raises(SystemExit, match=r"^error: params.yaml: data.test = data/mnist/test.csv: "):
        run(monkeypatch, "submit", "--message", "x")


def test_what_kaggle_says_is_printed_without_what_could_move_the_cursor(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def ask(*call: str) -> str:
        asked.append(call)
        return "Sent\x1b[2J!"

    monkeypatch.setattr(competition, "ask", ask)
    write_submission(SUBMISSION, [0] * 12)
    run(monkeypatch, "submit", "--message=--x", "--competition", "digits")
    assert asked == [("submit", "digits", str(project / "submission.csv"), "--x")]
    assert capsys.readouterr().out == (
        "submit: submission.csv: 12 rows, one for each image in test.csv\n"
        "Sent[2J!\n"
        "its score: https://www.kaggle.com/competitions/digits/submissions\n"
    )


def test_a_missing_package_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competition, "find_spec", lambda _: None)
    with pytest.raises(
        InputError, match=r"^Kaggle's package is not installed; .* make kaggle-data"
    ):
        competition.ask("download", "digits", ".")


def test_a_bug_in_the_package_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competition, "find_spec", lambda _: "found")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InputError, match=r"^Kaggle's package ended with status 1; "):
        competition.ask("download", "digits", ".")
