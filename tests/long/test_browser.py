"""The report of the committed results in Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.tensors import Statistics, map_images
from digits.evaluation.label_errors import SUSPECTS, write_suspects
from digits.network.inference import infer, probabilities
from digits.network.model import load_model
from digits.params import load_params
from stages import evaluate, prepare, report, train
from tests.conftest import ParamsWriter
from tests.sandbox import ROOT
from tests.strokes import PAPER, STROKES, parse

pytest.importorskip("playwright", reason="the extra browser")
from tools.browser import REPORT, chromium, find_chromium, open_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("plain_products"),
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium: Debian's package chromium"),
    pytest.mark.skipif(not (ROOT / REPORT).exists(), reason="no report: `make repro` makes it"),
]
ADDRESS = (ROOT / REPORT).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    opened = open_report(browser, ADDRESS)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def errors() -> NDArray[np.int64]:
    """Return the confusion matrix without what is right."""
    counts = np.array(json.loads((ROOT / "metrics/confusion_matrix.json").read_text())["counts"])
    return counts - np.diag(counts.diagonal())


def show_all(page: "Page", gallery: str) -> int:
    """Show all images of a gallery; return how many there are."""
    more = page.locator(f"{gallery} .more")
    if more.count():
        more.click()
    count: int = page.locator(f"{gallery} figure").count()
    return count


def read_pixels(page: "Page", canvas: str) -> list[int]:
    """Return the red of each pixel of the first such canvas."""
    pixels: list[int] = page.locator(canvas).first.evaluate(
        "shown => [...shown.getContext('2d').getImageData(0, 0, shown.width, shown.height).data]"
    )
    return pixels[::4]


@pytest.mark.parametrize("width", [400, 1100])  # of a phone and of a desk
def test_the_page_is_no_wider_than_the_window_and_asks_for_nothing_else(
    browser: "Browser", width: int
) -> None:
    assert (ROOT / REPORT).stat().st_size < 5_000_000
    page = browser.new_page(viewport={"width": width, "height": 1000})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url[:200]))
    page.goto(ADDRESS)
    page.wait_for_selector("html[data-ready]")
    page.click("#example")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()
    assert [one for one in said if not one.startswith("data:")] == [ADDRESS]


def test_cells_open_the_images_that_they_count(page: "Page", errors: NDArray[np.int64]) -> None:
    assert show_all(page, "#wrong-gallery") == errors.sum()
    for row, column in np.argwhere(errors)[[0, -1]].tolist():
        cell = page.locator(f'.matrix [data-predicted="{row}"][data-actual="{column}"]')
        cell.focus()
        page.keyboard.press("Enter")
        assert page.locator('.matrix [aria-pressed="true"]').all_inner_texts() == [
            str(errors[row, column])
        ]
        assert show_all(page, "#cell-gallery") == errors[row, column]
        words = page.locator("#cell-gallery figcaption").all_inner_texts()
        assert all(text.startswith(f"predicted {row} actual {column}") for text in words)


def test_an_image_shows_the_pixels_of_its_row_and_has_words_for_who_cannot_see_it(
    page: "Page",
) -> None:
    statistics = Statistics.load(ROOT / "data/prepared/statistics.json")
    folder = ROOT / "data/prepared/validation"
    words = page.locator("#wrong-gallery .row").first.inner_text()
    row = np.load(folder / "rows.npy").tolist().index(int(words.split()[1]))
    expected = statistics.restore(map_images(folder / "images.npy")[row])
    assert read_pixels(page, "#wrong-gallery canvas") == expected.tolist()
    for kind in ("canvas", "svg", ".bars"):
        assert page.locator(kind).count() > 0
        assert page.locator(f"{kind}:not([aria-label])").count() == 0


def find_paper(page: "Page") -> tuple[float, float, float]:
    """Return the left and upper edge of the place to draw, and the width of one of its pixels."""
    page.locator("#paper").scroll_into_view_if_needed()
    box = page.locator("#paper").bounding_box()
    assert box
    return box["x"], box["y"], box["width"] / PAPER


def draw(page: "Page", strokes: list[list[tuple[int, int]]]) -> None:
    page.click("#clear")
    left, top, unit = find_paper(page)
    for first, *others in strokes:
        page.mouse.move(left + first[0] * unit, top + first[1] * unit)
        page.mouse.down()
        for x, y in others:
            page.mouse.move(left + x * unit, top + y * unit, steps=4)
        page.mouse.up()


def test_at_least_nine_of_ten_drawn_digits_are_recognised(page: "Page") -> None:
    answers = {}
    for digit, strokes in STROKES.items():
        draw(page, parse(strokes))
        answers[digit] = page.locator("#answer").inner_text()
    wrong = [digit for digit, told in answers.items() if not told.startswith(f"That is {digit} ")]
    assert len(wrong) <= 1, answers


def test_a_small_drawing_in_a_corner_is_seen_centred_and_as_large_as_the_images_are(
    page: "Page",
) -> None:
    for scale, offset in ((1.0, 0), (0.4, 150)):
        strokes = parse(STROKES[8])
        draw(page, [[(int(x * scale) + offset, int(y * scale)) for x, y in one] for one in strokes])
        assert page.locator("#answer").inner_text().startswith("That is 8 ")
        image = np.array(read_pixels(page, "#seen"), dtype=np.float64).reshape(28, 28)
        places = np.arange(28) + 0.5
        for axis in (0, 1):
            assert (image.sum(axis=axis) @ places) / image.sum() == pytest.approx(14, abs=0.5)
        rows = np.flatnonzero(image.max(axis=1) > 50)
        assert 18 <= rows[-1] - rows[0] + 1 <= 21
        assert image.max() == 255


def test_the_paper_can_be_cleared_also_in_the_midst_of_a_stroke(page: "Page") -> None:
    page.click("#example")
    assert page.locator("#answers div").count() == 10
    assert page.locator("#answer").inner_text().startswith("That is 3")
    page.click("#clear")
    assert page.locator("#answers div").count() == 0
    left, top, _ = find_paper(page)
    page.mouse.move(left + 50, top + 50)
    page.mouse.down()
    page.mouse.move(left + 90, top + 90)
    page.locator("#clear").evaluate("button => button.click()")
    page.mouse.move(left + 150, top + 90)
    page.mouse.up()
    assert page.locator("#answers div").count() == 0


def test_only_the_first_finger_draws(page: "Page") -> None:
    for primary, count in ((False, 0), (True, 10)):
        page.locator("#paper").dispatch_event(
            "pointerdown", {"isPrimary": primary, "button": 0, "pointerId": 1, "clientX": 5}
        )
        assert page.locator("#answers div").count() == count


def check_answers(page: "Page", folder: Path, images: NDArray[np.float32], classes: int) -> None:
    """Check that the page answers normalised images as PyTorch does with a folder's network."""
    statistics = Statistics.load(folder / "data/prepared/statistics.json")
    shift = load_params(folder / "params.yaml").predict.shift
    model = load_model(folder / "models/mlp.safetensors", images.shape[1], classes)
    expected, _ = probabilities(infer(model, torch.from_numpy(images), shift))
    pixels = statistics.restore(images).tolist()
    found = np.array(page.evaluate("images => images.map((image) => classify(image))", pixels))
    assert np.abs(found - expected).max() < 1e-4


def test_the_network_answers_as_pytorch_does(page: "Page") -> None:
    images = map_images(ROOT / "data/prepared/test/images.npy")[:1000]
    check_answers(page, ROOT, images, classes=10)


def test_an_ensemble_over_shifts_answers_as_pytorch_does_whatever_its_classes_are_called(
    project: Path, write_params: ParamsWriter, browser: "Browser"
) -> None:
    names = [f'"><3 onclick="hacked={label}"\' {{{{7*7}}}}&lt;b&gt;' for label in range(3)]
    network = {"train.networks": 2, "predict.shift": 1, "train.widths": [8, 6]}
    write_params({"data.class_names": names, **network})
    write_suspects(SUSPECTS, [], ())
    for stage in (prepare, train, evaluate):
        stage.main()
    report.SCORE.write_text('{"rows": 0, "errors": 0}')
    report.main()
    page = open_report(browser, report.PAGE.resolve().as_uri())
    page.locator(".matrix button:not([disabled])").first.click()
    page.click("#example")
    check_answers(page, project, map_images(Path("data/prepared/validation/images.npy")), classes=3)
    assert page.locator("img").count() == 1
    assert page.evaluate("typeof hacked") == "undefined"
    shown = page.locator("body").inner_text()
    assert all(one in shown for one in names)
    page.close()
