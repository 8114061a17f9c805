import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.data.answers import digests
from digits.errors import InputError
from digits.evaluation.label_errors import SUSPECTS, Suspect, write_suspects
from stages import evaluate, prepare, report, train
from tests.conftest import LABELS, ParamsWriter
from tests.sandbox import CLASSES, draw_images


def run_pipeline() -> None:
    """Run it up to the report, on images without answers, and without labels in doubt."""
    write_suspects(SUSPECTS, [], LABELS)
    for stage in (prepare, train, evaluate):
        stage.main()
    report.SCORE.write_text('{"rows": 0, "errors": 0}')
    report.main()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that is empty until the pipeline has run there once."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def reported(project: Path, write_params: ParamsWriter, finished: Path) -> None:
    """Go to a project whose pipeline has run, with a network that makes mistakes."""
    if not any(finished.iterdir()):
        write_params({"train.epochs": 1, "train.lr": 0.02})
        run_pipeline()
        shutil.copytree(project, finished, dirs_exist_ok=True)
    shutil.copytree(finished, project, dirs_exist_ok=True)


def read_page() -> str:
    return report.PAGE.read_text(encoding="utf-8")


def read_data() -> dict[str, Any]:
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', read_page())
    found: dict[str, Any] = json.loads(data)
    return found


@pytest.mark.usefixtures("reported")
def test_the_page_holds_every_image_with_its_row_and_what_the_network_says_of_it() -> None:
    data = read_data()
    counts = np.array(json.loads(Path("metrics/confusion_matrix.json").read_text())["counts"])
    lines = Path("train.csv").read_text().splitlines()
    found = np.zeros_like(counts)
    for actual, predicted, row, pairs in data["images"]:
        found[predicted, actual] += 1
        assert lines[row - 1].startswith(f"{actual},")  # as an editor counts
        assert 998 <= sum(share for _, share in pairs) <= 1002
    assert np.array_equal(found, counts)
    errors = counts.sum() - counts.trace()
    assert data["errors"] == errors > 0
    assert all(actual != predicted for actual, predicted, *_ in data["images"][:errors])


@pytest.mark.usefixtures("reported")
def test_images_in_doubt_are_shown_where_they_lie() -> None:
    pixels, labels = draw_images(90)
    known = list(digests(pixels))
    wrong = read_data()["images"][0][2] - 2
    others = [row for row in range(90) if row != wrong][:3]
    suspects = [
        Suspect(known[row], int(labels[row]), int(labels[row] + 1) % CLASSES, 0.1, 0.7)
        for row in (others[0], wrong, others[1])
    ]
    label = int(labels[others[2]])
    mended = Suspect(known[others[2]], (label + 1) % CLASSES, label, 0.1, 0.7)
    of_more_classes = Suspect(known[others[2]], label, CLASSES, 0.1, 0.7)
    write_suspects(SUSPECTS, [*suspects, mended, of_more_classes], (*LABELS, "3"))
    told = report.main()
    listed = read_data()["suspects"]
    assert [row for _, _, _, row, *_ in listed] == [others[0] + 2, wrong + 2, others[1] + 2]
    assert [entry[1:3] for entry in listed] == [[one.given, one.suggested] for one in suspects]
    assert [entry[5:] for entry in listed] == [[100, 700]] * 3
    assert listed[1][0] == 0
    assert {(place < 30) == (part == "validation") for place, _, _, _, part, *_ in listed} == {True}
    assert any(part == "training" for _, _, _, _, part, *_ in listed)
    assert "data/suspects.csv; 1 of " in told


@pytest.mark.usefixtures("reported")
def test_a_page_that_cannot_hold_all_mistakes_says_how_many_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "The misclassified validation images" in read_page()
    monkeypatch.setattr("digits.report.sheet.MOST_IMAGES", 2)
    pixels, labels = draw_images(90)
    row = read_data()["images"][-1][2] - 2  # that the page no longer holds, but for the doubt
    digest = list(digests(pixels))[row]
    label = int(labels[row])
    write_suspects(SUSPECTS, [Suspect(digest, label, (label + 1) % CLASSES, 0.1, 0.7)], LABELS)
    report.main()
    assert "The worst 2 misclassified validation images" in read_page()
    data = read_data()
    assert len(data["images"]) == 2
    assert data["suspects"][0][0] == 2
    assert set(data["hard"]) == {0, 1}


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics/score.json", "{"),
        ("data/prepared/counts.json", '{"rows": {}}'),
        ("plots/training.csv", "epoch\n1\n"),
        ("plots/reliability.csv", "rows,raw_confidence\n1,0.5\n"),
        ("data/suspects.csv", "sha256\na\n"),
        ("data/probabilities.npy", "x"),
    ],
)
def test_what_another_stage_did_not_write_is_refused(name: str, content: str) -> None:
    before = report.PAGE.read_bytes()
    Path(name).write_text(content)
    with pytest.raises(InputError, match=f"^{name}: .*expected what"):
        report.main()
    assert report.PAGE.read_bytes() == before


def test_images_all_answered_right_are_reported(project: Path, write_params: ParamsWriter) -> None:
    write_params({"train.epochs": 10})
    run_pipeline()
    assert read_data()["errors"] == 0
