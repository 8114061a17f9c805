import json
import re
from base64 import b64decode
from contextlib import redirect_stdout
from hashlib import md5
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binomtest

from digits.data.answers import digests
from digits.data.tensors import PREPARED, map_pixels
from digits.errors import InputError
from digits.evaluation.label_errors import SUSPECTS, Suspect, write_suspects
from digits.recogniser import RECOGNISER, Recogniser
from stages import evaluate, prepare, report, train
from tests.conftest import LABELS, ParamsWriter
from tests.sandbox import CLASSES, draw_images

PIXELS, ACTUAL = draw_images(90)
DIGESTS = list(digests(PIXELS))


def run_pipeline(write_params: ParamsWriter, epochs: int, lr: float) -> None:
    """Run it up to the report, on images without answers, and without labels in doubt."""
    write_params({"train.epochs": epochs, "train.lr": lr})
    write_suspects(SUSPECTS, [], LABELS)
    for stage in (prepare, train, evaluate):
        stage.main()
    report.SCORE.write_text('{"rows": 0}')
    report.main()


@pytest.fixture
def reported(project: Path, write_params: ParamsWriter) -> None:
    """Go to a project whose pipeline has run, with a network that makes mistakes."""
    run_pipeline(write_params, epochs=1, lr=0.02)


def read_data() -> dict[str, Any]:
    page = report.PAGE.read_text(encoding="utf-8")
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    found: dict[str, Any] = json.loads(data)
    return found


def doubt(row: int) -> Suspect:
    """Return a row of the labelled images whose label is in doubt."""
    label = int(ACTUAL[row])
    return Suspect(DIGESTS[row], label, (label + 1) % CLASSES, 0.1, 0.7)


@pytest.mark.usefixtures("project")
def test_the_recogniser_has_the_temperature_of_rows_that_were_held_out(
    write_params: ParamsWriter,
) -> None:
    for rows in ("train", "all"):
        write_params({"train.epochs": 1, "train.lr": 0.002, "train.rows": rows})
        for stage in (prepare, train, evaluate):
            stage.main()
        assert json.loads(Path("metrics/evaluation.json").read_text())["errors"] > 0
        found = Recogniser.load().description.temperature
        scaled = pd.read_csv("plots/calibration.csv").set_index("probabilities").loc["scaled"]
        assert found == (scaled["temperature"] if rows == "train" else 1.0) != 0
        assert (found == 1.0) == (rows == "all")


@pytest.mark.usefixtures("reported")
def test_the_page_holds_every_image_with_its_row_and_what_the_network_says_of_it() -> None:
    data = read_data()
    counts = np.array(json.loads(Path("metrics/confusion_matrix.json").read_text())["counts"])
    lines = Path("train.csv").read_text().splitlines()
    found = np.zeros_like(counts)
    for actual, predicted, row, pairs in data["images"]:
        found[actual, predicted] += 1
        assert lines[row + data["first_line"] - 1].startswith(f"{actual},")
        assert 998 <= sum(share for _, share in pairs) <= 1002
    assert np.array_equal(found, counts)
    page = report.PAGE.read_text(encoding="utf-8")
    assert f"git log --oneline -S {md5(RECOGNISER.read_bytes()).hexdigest()} -- dvc.lock" in page
    errors = counts.sum() - counts.trace()
    assert errors > 0
    assert all(actual != predicted for actual, predicted, *_ in data["images"][:errors])


@pytest.mark.usefixtures("reported")
def test_the_page_tells_the_score_if_there_is_one_and_how_many_images_lie_on_both_sides() -> None:
    assert "Test accuracy" not in report.PAGE.read_text("utf-8")
    report.SCORE.write_text('{"rows": 40, "errors": 10, "accuracy": 0.75}')
    counts = PREPARED / "counts.json"
    copies = {"validation_in_training": 5, "test_in_labelled": 7}
    counts.write_text(json.dumps(json.loads(counts.read_text()) | {"copies": copies}))
    report.main()
    page, card = (path.read_text("utf-8") for path in (report.PAGE, report.CARD))
    low, high = binomtest(30, 40).proportion_ci(method="wilson")
    assert f"<b>75.00 %</b>, {100 * low:.2f} % to {100 * high:.2f} %" in page
    assert "| 40 test images | 75.00 % |" in card
    told = "5 of the 30 validation images are among the training images as well, and 7 of the 12"
    assert told in " ".join(page.split())


@pytest.mark.usefixtures("reported")
def test_images_in_doubt_are_shown_where_they_lie() -> None:
    held = [row for _, _, row, _ in read_data()["images"]]
    first, second = [row for row in range(90) if row not in held][:2]
    lying = [(30, first, "training"), (0, held[0], "validation"), (31, second, "training")]
    suspects = [doubt(row) for _, row, _ in lying]
    write_suspects(SUSPECTS, suspects, LABELS)
    assert "data/suspects.csv; 1 of " in report.main()
    assert read_data()["suspects"] == [
        [place, one.given, one.suggested, row, part, 100, 700]
        for one, (place, row, part) in zip(suspects, lying, strict=True)
    ]
    [png] = re.findall('src="data:image/png;base64,([^"]*)"', report.PAGE.read_text("utf-8"))
    sheet = np.asarray(Image.open(BytesIO(b64decode(png))))
    for place, row, _ in lying:
        down, across = (4 * part for part in divmod(place, len(sheet) // 4))
        assert np.array_equal(sheet[down : down + 4, across : across + 4].ravel(), PIXELS[row])


@pytest.mark.usefixtures("reported")
def test_a_page_that_cannot_hold_all_mistakes_says_how_many_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "The misclassified validation images" in report.PAGE.read_text("utf-8")
    monkeypatch.setattr("digits.report.sheet.MOST_PIXELS", 2 * 16)
    left_out = read_data()["images"][-1][2]  # but for the doubt
    write_suspects(SUSPECTS, [doubt(left_out)], LABELS)
    report.main()
    assert "The worst 2 misclassified validation images" in report.PAGE.read_text("utf-8")
    data = read_data()
    assert (len(data["images"]), data["suspects"][0][0]) == (2, 2)
    assert set(data["hard"]) == {0, 1}


@pytest.mark.usefixtures("reported")
def test_the_example_in_the_card_runs_and_prints_the_hash_of_logits_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "ANSWERED", 7)
    report.main()
    card = report.CARD.read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    known: dict[str, Any] = {}
    with redirect_stdout(StringIO()) as printed:
        exec(example, known)
    assert f"\n\n    {printed.getvalue()}\n" in card
    assert known["logits"].shape == (7, CLASSES)
    expected = Recogniser.load().answer(map_pixels(PREPARED / "test", 16)[:7])
    assert np.array_equal(known["logits"], expected)


@pytest.mark.usefixtures("reported")
def test_what_another_stage_did_not_write_is_refused() -> None:
    before = report.PAGE.read_bytes()
    for name, content in (
        ("metrics/score.json", "{"),
        ("plots/training.csv", "epoch\n1\n"),
        ("data/suspects.csv", "sha256\na\n"),
        ("data/predictions/validation.csv", "x"),
        ("models/digits.safetensors", "x"),
    ):
        path = Path(name)
        whole = path.read_bytes()
        path.write_text(content)
        with pytest.raises(InputError, match=f"^{name}: .*; expected (what|YAML)"):
            report.main()
        path.write_bytes(whole)
    assert report.PAGE.read_bytes() == before


def test_images_all_answered_right_are_reported(project: Path, write_params: ParamsWriter) -> None:
    run_pipeline(write_params, epochs=10, lr=0.1)
    assert all(actual == predicted for actual, predicted, *_ in read_data()["images"])
