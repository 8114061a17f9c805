import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from digits.data.predictions import TEST, VALIDATION, read_probabilities
from digits.data.straightening import straighten
from digits.data.tensors import PREPARED, map_labels
from digits.evaluation.measures import Predictions
from digits.novelty import Novelty
from digits.recogniser import Recogniser
from stages import evaluate, predict, prepare, train
from tests.conftest import LABELS, ParamsWriter
from tests.sandbox import CLASSES

PARTS = ("train", "validation")


@pytest.fixture
def evaluated(project: Path, write_params: ParamsWriter) -> None:
    write_params({"train.epochs": 1, "train.lr": 0.02})
    for stage in (prepare, train, evaluate):
        stage.main()


def read_metrics(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"metrics/{name}.json").read_text())
    return found


@pytest.mark.usefixtures("evaluated")
def test_numbers_tables_and_training_agree() -> None:
    summary, trained = read_metrics("evaluation"), read_metrics("train")
    pairs = pd.read_csv("plots/confusion.csv")
    labels = map_labels(PREPARED / "validation", CLASSES)
    predictions = Predictions(labels, read_probabilities(VALIDATION, LABELS, 30))
    assert pairs["actual"].tolist() == labels.tolist()
    assert pairs["predicted"].tolist() == predictions.predicted.tolist()
    assert 0 < summary["errors"] == (pairs["actual"] != pairs["predicted"]).sum() < 30
    assert summary["accuracy"] == trained["validation_accuracy"] == (30 - summary["errors"]) / 30
    assert summary["negative_log_likelihood"] == pytest.approx(trained["validation_loss"])
    assert list(summary)[3:] == ["brier_score", "expected_calibration_error"]

    confusion = read_metrics("confusion_matrix")
    counts = np.array(confusion["counts"])
    expected = pd.crosstab(pairs["actual"], pairs["predicted"]).reindex(
        columns=range(3), fill_value=0
    )
    assert np.array_equal(counts, expected)
    assert confusion["rows"] == ["actual 0", "actual 1", "actual 2"]
    classes = pd.read_csv("plots/classes.csv")
    assert classes["rows"].tolist() == [10, 10, 10]
    assert classes["recall"].tolist() == (counts.diagonal() / 10).tolist()

    raw, scaled = pd.read_csv("plots/calibration.csv").to_dict("records")
    for name in ("expected_calibration_error", "negative_log_likelihood"):
        assert raw[name] == pytest.approx(summary[name])
    assert scaled["negative_log_likelihood"] < raw["negative_log_likelihood"]
    assert (raw["temperature"], scaled["temperature"] < 1) == (1, True)


@pytest.mark.usefixtures("evaluated")
def test_classes_have_their_names_wherever_they_are_told(write_params: ParamsWriter) -> None:
    names = ["T-shirt/top", "Größe, < b>", "two"]
    write_params({"data.class_names": names})
    evaluate.main()
    assert read_metrics("confusion_matrix")["columns"] == [f"predicted {name}" for name in names]
    assert pd.read_csv("plots/classes.csv")["class"].tolist() == names
    assert set(pd.read_csv("plots/confusion.csv")["actual"]) == set(names)


def test_the_large_digit_is_the_clearest_of_all(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.5, 0.3, 0.2], [0, 0.05, 0.95]])
    predictions, drawn = Predictions(np.array([0, 0, 0, 1]), shares), list[tuple[Any, ...]]()
    pictures = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    monkeypatch.setattr(evaluate, "draw_digit", lambda *found: drawn.append(found))
    evaluate.draw(predictions, pictures, np.arange(4), ("a", "b", "c"), 3, [])
    [(_, image, title, _)] = drawn
    assert (image.tolist(), title) == ([[12, 13], [14, 15]], "label b")


@pytest.mark.usefixtures("evaluated")
def test_params_say_how_many_images_are_shown_and_whether_rows_are_held_out(
    write_params: ParamsWriter,
) -> None:
    heights = []
    for gallery, rows in ((5, "train"), (15, "all")):
        write_params({"evaluate.gallery": gallery, "train.rows": rows})
        errors = read_metrics("evaluation")["errors"]
        told = f"{errors} of 30 validation images misclassified"
        told += " (NOT held out: trained on)" * (rows == "all")
        said = f"read models/mlp.safetensors; {told}, accuracy {(30 - errors) / 30:.4f}; wrote "
        assert evaluate.main().startswith(said)
        with Image.open("plots/samples.png") as picture:
            heights.append(picture.height)
    assert heights[0] < heights[1]
    drawn = {picture.stem for picture in Path("plots").glob("*.png")}
    assert drawn == {"confusion", "digit", "hard", "misclassified", "samples"}


def test_the_tables_name_the_lines_of_their_own_files_and_novelty_is_of_upright_images(
    project: Path, write_params: ParamsWriter
) -> None:
    train_csv = Path("train.csv")
    train_csv.write_text(train_csv.read_text().partition("\n")[2])  # no header
    write_params({"train.epochs": 1, "train.lr": 0.02, "prepare.straighten": True})
    for stage in (prepare, train, evaluate, predict):
        stage.main()
    for path, first in ((VALIDATION, 1), (TEST, 2)):
        table = pd.read_csv(path)
        assert (table["line"] - table["row_index"] == first).all()
    straight = [straighten(np.load(PREPARED / part / "pixels.npy")) for part in PARTS]
    labels = np.load(PREPARED / "train/labels.npy")
    found, expected = Recogniser.load().novelty, Novelty.fit(straight[:1], labels, straight[1:])
    assert np.array_equal(found.mean, expected.mean)
    assert np.array_equal(found.precision, expected.precision)
    assert found.limit == expected.limit == found.measure(straight[1]).max()


def test_without_an_error_to_calibrate_on_probabilities_are_as_they_are(
    project: Path, write_params: ParamsWriter
) -> None:
    write_params({"train.epochs": 3})
    for stage in (prepare, train, evaluate):
        stage.main()
    assert read_metrics("evaluation")["errors"] == 0
    assert Recogniser.load().description.temperature == 1.0
