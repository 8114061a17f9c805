import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from digits.__main__ import main
from digits.classify import as_table
from digits.data.predictions import TEST
from digits.data.submission import read_ids, read_submission
from digits.errors import run_command
from digits.pictures.reading import EXPECTED
from digits.recogniser import RECOGNISER, WRITTEN, Prediction, Recogniser
from stages import evaluate, predict, train
from stages import prepare as prepare_stage
from tests.conftest import LABELS, ParamsWriter, read_images
from tests.strokes import draw

Run = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs `python -m digits classify` in a project with a network and 0.png to 11.png.

    It returns what the command prints, and the lines on standard error with that of its end.
    """
    for stage in (prepare_stage, train, evaluate):
        stage.main()
    for number, image in enumerate(read_images(Path("test.csv"))[1]):
        Image.fromarray(image.reshape(4, 4)).save(f"{number}.png")

    def run(*arguments: str) -> tuple[str, list[str]]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["digits", "classify", *arguments])
        ends: list[str] = []
        try:
            run_command(main)
        except SystemExit as end:
            ends = [str(end.code)]
        told = capsys.readouterr()
        return told.out, told.err.splitlines() + ends

    return run


def answers(run: Run, *arguments: str) -> list[dict[str, Any]]:
    out, errors = run("--json", *arguments)
    assert not errors
    found: list[dict[str, Any]] = json.loads(out)
    return found


def test_pictures_of_the_networks_size_are_answered_as_predict_answers_them(
    run: Run, write_params: ParamsWriter
) -> None:
    predict.main()
    files = [f"{number}.png" for number in range(12)]
    found = answers(run, *files)
    assert [answer["file"] for answer in found] == files
    labels = read_submission(Path("submission.csv"), read_ids(), LABELS)
    assert [answer["label"] for answer in found] == list(map(str, labels.tolist()))
    told = pd.read_csv(TEST).filter(like="probability_")
    shares = [list(answer["probabilities"].values()) for answer in found]
    assert shares == told.to_numpy().tolist()
    assert all(type(answer["is_familiar"]) is bool for answer in found)
    write_params({"predict.shift": 1, "data.class_names": ["shirt", "boot", "bag"]})
    other = RECOGNISER.rename("other.safetensors")
    evaluate.main()
    [shifted], [before] = answers(run, "0.png"), answers(run, "--model", str(other), "0.png")
    assert before == found[0]
    assert list(shifted["probabilities"]) == ["shirt", "boot", "bag"]
    assert Recogniser.load().description.views.shift == 1


def test_a_bad_picture_among_good_ones_has_a_line_and_the_others_answers(run: Run) -> None:
    Image.new("L", (9, 9), 7).save("blank.png")
    Path("text.png").write_text("no picture")
    Path("1.png").rename("two\nlines.png")
    out, errors = run("0.png", "text.png", "two\nlines.png", "blank.png", "none.png", "0.png")
    names, *rows = (line.split() for line in out.splitlines())
    assert names == ["file", "place", "answer", "probability", "second", "probability", "familiar"]
    assert [row[0] for row in rows] == ["0.png", r"'two\nlines.png'", "0.png"]
    assert rows[0] == rows[2]
    assert errors == [
        f"error: text.png: no picture of a format that is read; expected {EXPECTED}",
        "error: blank.png: blank; expected something that stands out from its background",
        f"error: none.png: no such file; expected {EXPECTED}",
        "1",
    ]
    assert [run(*more, "none.png")[0] for more in ([], ["--json"])] == ["", "[]\n"]
    RECOGNISER.unlink()
    expected = f"error: {RECOGNISER}: no such file; expected {WRITTEN}"
    assert run("0.png") == ("", [expected])


def test_a_table_has_the_two_likeliest_classes_of_each_digit_in_aligned_columns() -> None:
    shares = {"bag": 0.24996, "7": 0.69999, "9": 0.05005}
    seven = Prediction("7", shares, is_familiar=True, place=(3, 104, 20, 30))
    even = Prediction("a", {"a": 0.5, "b": 0.5}, is_familiar=False, place=(0, 0, 4, 4))
    table = as_table([("1.png", seven), ("two\nlines.png", even)])
    assert table.splitlines() == [
        "            file       place answer probability second probability familiar",
        "           1.png 20x30+3+104      7      0.7000    bag      0.2500      yes",
        r"'two\nlines.png'     4x4+0+0      a      0.5000      b      0.5000       no",
    ]


def test_the_digits_of_a_sheet_are_told_with_their_places(run: Run) -> None:
    sheet = Image.new("RGB", (1200, 600), (240, 240, 230))
    for left, digit in ((0, 3), (500, 5)):
        sheet.paste(draw(digit, size=560, paper=(240, 240, 230)), (left, 20))
    sheet.save("sheet.png")
    for options in ([], ["--sheet"]):
        first, second = (one["place"] for one in answers(run, *options, "sheet.png"))
        assert first == pytest.approx([136, 76, 278, 448], abs=6)
        assert second == pytest.approx([636, 86, 278, 438], abs=6)
