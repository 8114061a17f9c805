import json
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the extra studies")

from digits.data.answers import ANSWERS, digests, write_answers
from digits.data.image_table import write_images
from digits.errors import InputError
from digits.evaluation.label_errors import SUSPECTS, Suspect, read_suspects
from stages import prepare
from studies import labels
from tests.conftest import LABELS
from tests.sandbox import CLASSES, ROOT, draw_images
from tests.studies.conftest import OneAfterTheOther

STUDY = """\
variants:
  plain: {recipe: params.yaml, set: {train.epochs: 8}, seeds: 2}
folds: 3
test: false
"""
MISLABELLED = 40


def test_a_wrong_label_is_the_first_suspect(clusters: list[OneAfterTheOther]) -> None:
    pixels, truth = draw_images(90)
    wrong = truth.copy()
    wrong[MISLABELLED] = (truth[MISLABELLED] + 1) % CLASSES
    write_images(Path("train.csv"), pixels, wrong)
    prepare.main()
    write_answers(ANSWERS, pixels, truth)
    labels.PUBLISHED.parent.mkdir()
    labels.PUBLISHED.write_text(f"set,index,given\ntrain,{MISLABELLED},{truth[MISLABELLED]}\n")
    Path("study.yaml").write_text(STUDY)
    labels.main()
    found = read_suspects(SUSPECTS, LABELS)
    suspects = [Suspect(*row) for row in found.itertuples(index=False, name=None)]
    assert suspects[0].sha256 == list(digests(pixels))[MISLABELLED]
    assert suspects[0].given == wrong[MISLABELLED]
    assert suspects[0].suggested == truth[MISLABELLED]
    assert all(0 <= one.given_probability < one.suggested_probability <= 1 for one in suspects)
    summary = json.loads(labels.METRICS.read_text())
    assert summary.pop("out_of_fold_errors") == len(suspects) < 9
    names = ("", "_in_rows", "_among_first_100", "_among_errors")
    assert summary == {"rows": 90} | {f"published{name}": 1 for name in names}


def test_a_published_error_in_another_label_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("set,index,given\ntrain,0,0\ntrain,1,0\n")
    with pytest.raises(InputError, match=r"published\.csv: row 3: given = 0; expected the label 1"):
        labels.read_published(path, {"a": "0", "b": "1"})


def test_ranks_count_from_1_and_leave_out_what_is_not_in_the_rows() -> None:
    order = [f"{number}" for number in range(500)]
    assert labels.summarise(order, 101, ["99", "100", "none", "300"]) == {
        "rows": 500,
        "out_of_fold_errors": 101,
        "published": 4,
        "published_in_rows": 3,
        "published_among_first_100": 1,
        "published_among_errors": 2,
    }


def test_the_readme_tells_how_many_published_errors_are_found() -> None:
    found = json.loads((ROOT / labels.METRICS).read_text())
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    told = " ".join(" ".join(page.read_text(encoding="utf-8") for page in pages).split())
    assert (
        f"{found['published_in_rows']} lie in these rows: "
        f"{found['published_among_first_100']} are among the first 100, "
        f"{found['published_among_errors']} among the {found['out_of_fold_errors']} that"
    ) in told
