import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from digits.data.tensors import PREPARED, PROBABILITIES, map_array, map_labelled
from digits.evaluation.measures import Predictions
from stages import evaluate, prepare, train
from tests.conftest import ParamsWriter
from tests.sandbox import CLASSES


@pytest.fixture
def evaluated(project: Path, write_params: ParamsWriter) -> None:
    write_params({"train.epochs": 1, "train.lr": 0.02})
    prepare.main()
    train.main()
    evaluate.main()


def read_metrics(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"metrics/{name}.json").read_text())
    return found


@pytest.mark.usefixtures("evaluated")
def test_numbers_tables_and_training_agree() -> None:
    summary, trained = read_metrics("evaluation"), read_metrics("train")
    pairs = pd.read_csv("plots/confusion.csv")
    _, labels = map_labelled(PREPARED / "validation", CLASSES)
    predictions = Predictions(labels, map_array(PROBABILITIES, np.float64, 30, CLASSES))
    assert pairs["actual"].tolist() == labels.tolist()
    assert pairs["predicted"].tolist() == predictions.predicted.tolist()
    assert 0 < summary["errors"] == (pairs["actual"] != pairs["predicted"]).sum() < 30
    assert summary["accuracy"] == trained["validation_accuracy"] == (30 - summary["errors"]) / 30
    assert summary["negative_log_likelihood"] == pytest.approx(trained["validation_loss"])
    assert list(summary)[3:] == ["brier_score", "expected_calibration_error"]

    confusion = read_metrics("confusion_matrix")
    counts = np.array(confusion["counts"])
    expected = pd.crosstab(pairs["predicted"], pairs["actual"]).reindex(range(3), fill_value=0)
    assert np.array_equal(counts, expected)
    assert confusion["rows"] == ["predicted 0", "predicted 1", "predicted 2"]
    classes = pd.read_csv("plots/classes.csv")
    assert classes["rows"].tolist() == [10, 10, 10]
    assert classes["recall"].tolist() == (counts.diagonal() / 10).tolist()
    with np.errstate(invalid="ignore"):  # of a class that was never predicted
        precision = counts.diagonal() / counts.sum(axis=1)
    np.testing.assert_array_equal(classes["precision"], precision)

    raw, scaled = pd.read_csv("plots/calibration.csv").to_dict("records")
    for name in ("expected_calibration_error", "negative_log_likelihood"):
        assert raw[name] == pytest.approx(summary[name])
    assert scaled["negative_log_likelihood"] < raw["negative_log_likelihood"]
    assert (raw["temperature"], scaled["temperature"] < 1) == (1, True)


@pytest.mark.usefixtures("evaluated")
def test_classes_have_their_names_wherever_they_are_told(write_params: ParamsWriter) -> None:
    names = ["T-shirt/top", "Größe, < b>", "=two"]
    write_params({"data.class_names": names})
    evaluate.main()
    assert read_metrics("confusion_matrix")["columns"] == [f"actual {name}" for name in names]
    told = ["T-shirt/top", "Größe, < b>", "'=two"]  # or a spreadsheet would run it
    assert pd.read_csv("plots/classes.csv")["class"].tolist() == told
    assert set(pd.read_csv("plots/confusion.csv")["actual"]) == set(told)


@pytest.mark.usefixtures("evaluated")
def test_rows_that_were_trained_on_are_said_not_to_be_held_out(
    write_params: ParamsWriter,
) -> None:
    for rows, held_out in (("train", True), ("all", False)):
        write_params({"train.rows": rows})
        assert ("NOT held out" in evaluate.main()) is not held_out


@pytest.mark.usefixtures("evaluated")
def test_every_picture_is_drawn_with_as_many_images_as_the_params_say(
    write_params: ParamsWriter,
) -> None:
    heights = []
    for gallery in (5, 15):
        write_params({"evaluate.gallery": gallery})
        evaluate.main()
        with Image.open("plots/samples.png") as picture:
            heights.append(picture.height)
    assert heights[0] < heights[1]
    drawn = {picture.stem for picture in Path("plots").glob("*.png")}
    assert drawn == {"confusion", "digit", "hard", "misclassified", "samples"}
