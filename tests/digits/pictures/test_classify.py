import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.data.submission import read_ids, read_submission
from digits.data.tensors import PREPARED
from digits.errors import InputError, run_command
from digits.network.model import MODEL
from digits.pictures import classify
from digits.pictures.classify import Answer, as_json, as_table
from stages import evaluate, predict, train
from stages import prepare as prepare_stage
from tests.conftest import LABELS, ParamsWriter, read_images, save_huge
from tests.strokes import draw

ANSWERS = [
    Answer("a.png", (0, 0, 28, 28), np.array([0.1, 0.7, 0.2])),
    Answer("a longer name.png", (10, 200, 30, 40), np.array([0.0, 1e-7, 1 - 1e-7])),
    Answer("two\nlines.png", (1, 2, 3, 4), np.array([0.5, 0.5, 0.0])),
]


@pytest.fixture
def trained(project: Path) -> Path:
    """Go to a project with a network, and with the test images as pictures 0.png to 11.png."""
    for stage in (prepare_stage, train):
        stage.main()
    _, images = read_images(Path("test.csv"))
    for number, image in enumerate(images):
        Image.fromarray(image.reshape(4, 4)).save(f"{number}.png")
    return project


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["classify", *arguments])
    try:
        run_command(classify.main)
    except SystemExit as end:
        # Python itself prints what is no number.
        print(end.code if isinstance(end.code, str) else "", file=sys.stderr)
        return 1 if isinstance(end.code, str) else int(end.code or 0)
    return 0


def answers(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_pictures_of_the_networks_size_are_answered_as_predict_answers_them(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predict.main()
    capsys.readouterr()
    files = [f"{number}.png" for number in range(12)]
    assert run(monkeypatch, "--json", *files) == 0
    found = answers(capsys)
    assert [answer["file"] for answer in found] == files
    labels = read_submission(Path("submission.csv"), read_ids(), LABELS)
    assert [answer["label"] for answer in found] == labels.tolist()
    assert [answer["predicted"] for answer in found] == [str(label) for label in labels]


def test_answers_are_averaged_over_the_shifts_of_predict(
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_params: ParamsWriter,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(monkeypatch, "--json", "0.png")
    plain = answers(capsys)
    write_params({"predict.shift": 1})
    run(monkeypatch, "--json", "0.png")
    assert answers(capsys)[0]["probabilities"] != plain[0]["probabilities"]


def test_a_table_aligns_the_two_likeliest_classes() -> None:
    assert as_table(ANSWERS, ["zero", "one", "two"]).splitlines() == [
        "file               place         answer  probability  second  probability",
        "a.png              28x28+0+0     one          0.7000  two          0.2000",
        "a longer name.png  30x40+10+200  two          1.0000  one          0.0000",
        r"'two\nlines.png'   3x4+1+2       zero         0.5000  one          0.5000",
    ]


def test_json_has_all_probabilities_by_class() -> None:
    assert json.loads(as_json(ANSWERS, ["zero", "one", "two"]))[1] == {
        "file": "a longer name.png",
        "place": [10, 200, 30, 40],
        "predicted": "two",
        "label": 2,
        "probabilities": {"zero": 0, "one": 0, "two": 1},
    }


def test_a_bad_picture_among_good_ones_has_a_line_and_the_others_their_answers(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (9, 9), 7).save("blank.png")
    Path("text.png").write_text("no picture")
    assert run(monkeypatch, "0.png", "text.png", "1.png", "blank.png", "none.png", "0.png") == 1
    told = capsys.readouterr()
    names = [line.split()[0] for line in told.out.splitlines()]
    assert names == ["file", "0.png", "1.png", "0.png"]
    formats = "a picture: PNG, JPEG, GIF, BMP, WebP, TIFF or HEIC"
    assert told.err.splitlines()[:3] == [
        f"error: text.png: no picture of a format that is read; expected {formats}",
        "error: blank.png: blank; expected something that stands out from its background",
        f"error: none.png: no such file; expected {formats}",
    ]


def test_the_digits_of_a_sheet_are_told_with_their_places(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = Image.new("RGB", (1200, 600), (240, 240, 230))
    for left, digit in ((0, 3), (500, 5)):
        sheet.paste(draw(digit, size=560, paper=(240, 240, 230)), (left, 20))
    sheet.save("sheet.png")
    capsys.readouterr()
    assert run(monkeypatch, "--sheet", "--json", "sheet.png", "0.png") == 0
    found = answers(capsys)
    assert [answer["file"] for answer in found] == ["sheet.png", "sheet.png", "0.png"]
    assert found[0]["place"] == pytest.approx([136, 76, 278, 448], abs=6)
    assert found[1]["place"] == pytest.approx([636, 86, 278, 438], abs=6)
    assert found[2]["place"] == [0, 0, 4, 4]


@pytest.mark.parametrize(("option", "expected"), [([], ""), (["--json"], "[]\n")])
def test_where_no_picture_can_be_used_there_is_no_answer(
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: list[str],
    expected: str,
) -> None:
    capsys.readouterr()
    assert run(monkeypatch, *option, "none.png") == 1
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("missing", [classify.STATISTICS, MODEL])
def test_without_a_network_it_says_how_to_make_one(trained: Path, missing: Path) -> None:
    missing.unlink()
    with pytest.raises(InputError) as error:
        classify.load_network(3)
    assert str(error.value) == f"{missing}: no such file; expected what `make repro` makes"


def test_standard_input_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    draw(3, size=50).save(path)
    monkeypatch.setattr(classify, "STANDARD_INPUT", {"-": str(path)})
    [piped], [named] = classify.read("-", 28), classify.read(str(path), 28)
    assert np.array_equal(piped.views, named.views)


def test_class_names_that_the_network_was_not_made_for_are_refused(
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_params: ParamsWriter,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evaluate.main()
    assert run(monkeypatch, "0.png") == 0
    write_params({"data.class_names": ["shirt", "boot", "bag"]})
    capsys.readouterr()
    assert run(monkeypatch, "0.png") == 1
    assert capsys.readouterr().err == (
        "error: params.yaml: data.class_names = ['shirt', 'boot', 'bag']; the network in "
        "models/mlp.safetensors was made for ['0', '1', '2']; expected make repro to have run\n"
    )


def test_names_of_classes_without_validation_rows_are_known_as_well(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.load(PREPARED / "validation" / "labels.npy")
    np.save(PREPARED / "validation" / "labels.npy", np.minimum(labels, 1))
    evaluate.main()
    assert run(monkeypatch, "0.png") == 0


def test_answers_that_are_not_finite_are_refused_with_the_file_of_the_network(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_huge(MODEL)
    capsys.readouterr()
    assert run(monkeypatch, "--json", "0.png") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "error: models/mlp.safetensors: the network's answers are not finite; "
        "expected a network that train wrote\n"
    )


@pytest.mark.parametrize("content", ["[]", "{}", '{"columns": 1}', '{"columns": [1]}', "torn"])
def test_a_confusion_matrix_that_is_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    classify.CONFUSION.parent.mkdir()
    classify.CONFUSION.write_text(content)
    with pytest.raises(InputError, match=r"matrix.json: .*; expected what evaluate writes"):
        classify.check_names(["a", "b"])
