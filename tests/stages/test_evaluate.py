import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from digits.data.tensors import Statistics, map_labelled
from digits.evaluation.measures import Predictions
from digits.report.figures import RIGHT, WRONG
from digits.report.galleries import Tile
from stages import evaluate, prepare, train
from tests.conftest import ParamsWriter
from tests.sandbox import CLASSES


@pytest.fixture
def evaluated(project: Path, write_params: ParamsWriter) -> None:
    write_params({"train.epochs": 1, "train.lr": 0.02})
    prepare.main()
    train.main()
    evaluate.main()


@pytest.mark.usefixtures("evaluated")
def test_numbers_tables_and_training_agree() -> None:
    summary = json.loads(Path("metrics/evaluation.json").read_text())
    confusion = json.loads(Path("metrics/confusion_matrix.json").read_text())
    counts = np.array(confusion["counts"])
    trained = json.loads(Path("metrics/train.json").read_text())
    with Path("plots/confusion.csv").open(newline="") as file:
        pairs = [(int(row["actual"]), int(row["predicted"])) for row in csv.DictReader(file)]

    _, labels = map_labelled(Path("data/prepared/validation"), CLASSES)
    assert [actual for actual, _ in pairs] == labels.tolist()
    for predicted in range(CLASSES):
        for actual in range(CLASSES):
            assert counts[predicted, actual] == pairs.count((actual, predicted))
    assert confusion["rows"] == ["predicted 0", "predicted 1", "predicted 2"]
    assert confusion["columns"] == ["actual 0", "actual 1", "actual 2"]
    assert summary["rows"] == len(pairs) == 30
    assert summary["errors"] == sum(actual != predicted for actual, predicted in pairs)
    assert 0 < summary["errors"] < 30
    assert summary["accuracy"] == trained["validation_accuracy"] == (30 - summary["errors"]) / 30
    assert summary["negative_log_likelihood"] == pytest.approx(trained["validation_loss"])
    assert summary["recall"]["1"] == counts[1, 1] / 10
    assert summary["recall"].keys() == {"0", "1", "2"}
    assert summary["precision"].keys() == {str(predicted) for _, predicted in pairs}


@pytest.mark.usefixtures("evaluated")
def test_classes_have_their_names_wherever_they_are_told(write_params: ParamsWriter) -> None:
    write_params({"data.class_names": ["T-shirt/top", "Größe, < b>", "two"]})
    evaluate.main()
    summary = json.loads(Path("metrics/evaluation.json").read_text())
    confusion = json.loads(Path("metrics/confusion_matrix.json").read_text())
    with Path("plots/confusion.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(summary["recall"]) == ["T-shirt/top", "Größe, < b>", "two"]
    assert confusion["columns"] == ["actual T-shirt/top", "actual Größe, < b>", "actual two"]
    assert {row["actual"] for row in rows} == set(summary["recall"])
    assert {row["predicted"] for row in rows} == set(summary["precision"])


def test_shares_of_nothing_are_no_metrics() -> None:
    predictions = Predictions(np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.8, 0.2, 0]]))
    confusion = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]])
    summary = evaluate.summarise(predictions, 0.5, confusion, NAMES, held_out=True)
    assert summary["recall"] == {"zero": 1, "one": 0}
    assert summary["precision"] == {"zero": 0.5}


@pytest.mark.usefixtures("evaluated")
def test_rows_that_were_trained_on_are_said_not_to_be_held_out(
    write_params: ParamsWriter,
) -> None:
    for rows, held_out in (("train", True), ("all", False)):
        write_params({"train.rows": rows})
        told = evaluate.main()
        assert json.loads(Path("metrics/evaluation.json").read_text())["held_out"] is held_out
        assert ("NOT held out" in told) is not held_out


@pytest.mark.usefixtures("evaluated")
def test_every_picture_is_drawn_the_same_each_time() -> None:
    pictures = sorted(Path("plots").glob("*.png"))
    names = ["confusion", "digit", "hard", "misclassified", "samples", "training"]
    assert [picture.stem for picture in pictures] == names
    before = [picture.read_bytes() for picture in pictures]
    evaluate.main()
    assert [picture.read_bytes() for picture in pictures] == before


@pytest.mark.usefixtures("evaluated")
def test_the_gallery_has_the_size_of_the_params(write_params: ParamsWriter) -> None:
    heights = []
    for gallery in (5, 15):
        write_params({"evaluate.gallery": gallery})
        evaluate.main()
        with Image.open("plots/samples.png") as picture:
            heights.append(picture.height)
    assert heights[0] < heights[1]


NAMES = ("zero", "one", "two")


class Shown(NamedTuple):
    title: str
    tiles: list[Tile]


@pytest.fixture
def shown(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Shown]:
    """Return the galleries of four images, the network right, wrong, unsure and wrong again."""
    shares = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.5, 0.3, 0.2], [0.05, 0.05, 0.9]])
    predictions = Predictions(np.array([0, 0, 0, 1]), shares)
    statistics = Statistics(mean=0, std=1, pixels=4)
    images = np.arange(16, dtype=np.float32).reshape(4, 4)
    drawn = evaluate.galleries(predictions, images, statistics, NAMES, size=3)
    return {name: Shown(title, tiles) for name, title, tiles in drawn}


def corner(tile: Tile) -> int:
    """Return the first pixel: four times the row that the image comes from."""
    return int(tile.image[0, 0]) // 4


def test_the_misclassified_are_named_and_come_worst_first(shown: dict[str, Shown]) -> None:
    title, tiles = shown["misclassified"]
    assert title == "Misclassified, worst first: 2 of 2"
    assert [corner(tile) for tile in tiles] == [3, 1]
    assert [tile.title for tile in tiles] == [
        "predicted two\nactual one",
        "predicted one\nactual zero",
    ]
    assert {tile.colour for tile in tiles} == {WRONG}
    assert tiles[0].image.tolist() == [[12, 13], [14, 15]]


def test_the_hardest_show_how_their_probabilities_divide(shown: dict[str, Shown]) -> None:
    _, tiles = shown["hard"]
    assert [corner(tile) for tile in tiles] == [2, 1, 3]
    assert tiles[0].title == "zero: 50%, one: 30%\nactual zero"
    assert [tile.colour for tile in tiles] == [RIGHT, WRONG, WRONG]


def test_samples_are_spread_over_all_rows(shown: dict[str, Shown]) -> None:
    _, tiles = shown["samples"]
    assert [corner(tile) for tile in tiles] == [0, 1, 3]
    assert [tile.colour for tile in tiles] == [RIGHT, WRONG, WRONG]
    assert tiles[0].title == "predicted zero"


def test_a_network_without_errors_is_drawn_as_well(
    project: Path, write_params: ParamsWriter
) -> None:
    write_params({"train.epochs": 10})
    prepare.main()
    train.main()
    evaluate.main()
    assert json.loads(Path("metrics/evaluation.json").read_text())["errors"] == 0
