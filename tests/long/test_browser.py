"""The report of the committed results in Chromium: `make test-results`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from digits.data.tensors import Statistics, map_images
from digits.evaluation.label_errors import SUSPECTS, write_suspects
from digits.network.inference import infer, probabilities
from digits.network.model import load_model
from digits.params import load_params
from stages import evaluate, prepare, report, train
from tests.conftest import ParamsWriter
from tests.sandbox import ROOT, serve
from tests.strokes import PAPER, STROKES, parse

pytest.importorskip("playwright", reason="Playwright comes with `make test-results`")
from tools import browser as proofs_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("plain_products"),
    pytest.mark.skipif(
        proofs_browser.find_chromium() is None, reason="no Chromium: Debian's package chromium"
    ),
    pytest.mark.skipif(
        not (ROOT / proofs_browser.REPORT).exists(), reason="no report: `make repro` makes it"
    ),
]
ADDRESS = (ROOT / proofs_browser.REPORT).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Yield Chromium."""
    with proofs_browser.chromium() as running:
        yield running


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """Yield the report, opened from disk."""
    opened = proofs_browser.open_report(browser, ADDRESS)
    yield opened
    opened.close()


def read_counts() -> list[list[int]]:
    counts: list[list[int]] = json.loads(
        (ROOT / "metrics" / "confusion_matrix.json").read_text(encoding="utf-8")
    )["counts"]
    return counts


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


@pytest.mark.parametrize("served", [False, True])
def test_the_page_opens_without_an_error_and_asks_for_nothing_else(
    browser: "Browser", served: bool
) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url[:200]))
    with serve(ROOT / "report") as url:
        address = f"{url}index.html" if served else ADDRESS
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.click("#example")
    page.close()
    assert [one for one in said if not one.startswith("data:")] == [address]


def test_it_weighs_less_than_5_mb() -> None:
    assert (ROOT / proofs_browser.REPORT).stat().st_size < 5_000_000


@pytest.mark.parametrize("width", proofs_browser.WIDTHS.values())
def test_nothing_is_wider_than_the_window(browser: "Browser", width: int) -> None:
    page = proofs_browser.open_report(browser, ADDRESS, width)
    page.click("#example")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_a_cell_opens_the_images_that_it_counts(page: "Page") -> None:
    counts = np.array(read_counts())
    worst = counts * (1 - np.eye(len(counts), dtype=np.int64))
    predicted, actual = (int(place) for place in np.unravel_index(worst.argmax(), counts.shape))
    for row, column in ((predicted, actual), (3, 3)):
        cell = page.locator(f'.matrix [data-predicted="{row}"][data-actual="{column}"]')
        cell.click()
        assert cell.get_attribute("aria-pressed") == "true"
        assert page.locator('.matrix [aria-pressed="true"]').count() == 1
        assert show_all(page, "#cell-gallery") == counts[row, column]
        words = page.locator("#cell-gallery figcaption").all_inner_texts()
        assert all(text.startswith(f"predicted {row}") for text in words)
        labels = page.locator("#cell-gallery canvas").evaluate_all(
            "shown => shown.map(one => one.ariaLabel)"
        )
        assert all(label.endswith(f"actual {column}") for label in labels)


def test_a_cell_can_be_chosen_with_the_keyboard(page: "Page") -> None:
    cell = page.locator(".matrix button:not([disabled])").nth(1)
    cell.focus()
    page.keyboard.press("Enter")
    assert page.locator("#cell-gallery figure").count() == int(cell.inner_text())


def test_the_filters_leave_what_they_name(page: "Page") -> None:
    counts = np.array(read_counts())
    errors = counts * (1 - np.eye(len(counts), dtype=np.int64))
    assert show_all(page, "#wrong-gallery") == errors.sum()
    page.select_option("#actual", "9")
    assert show_all(page, "#wrong-gallery") == errors[:, 9].sum()
    page.select_option("#predicted", "4")
    assert show_all(page, "#wrong-gallery") == errors[4, 9]
    assert page.locator("#wrong-count").inner_text().startswith(f"{errors[4, 9]} of {errors.sum()}")
    page.select_option("#actual", "")
    assert show_all(page, "#wrong-gallery") == errors[4].sum()


def test_an_image_shows_the_pixels_of_its_row(page: "Page") -> None:
    statistics = Statistics.load(ROOT / "data/prepared/statistics.json")
    folder = ROOT / "data/prepared/validation"
    rows = np.load(folder / "rows.npy").tolist()
    words = page.locator("#wrong-gallery .row").first.inner_text()
    row = rows.index(int(words.split()[1]))
    pixels = read_pixels(page, "#wrong-gallery canvas")
    expected = statistics.restore(map_images(folder / "images.npy")[row])
    assert pixels == expected.tolist()


def test_every_image_has_words_for_who_cannot_see_it(page: "Page") -> None:
    assert page.locator("canvas:not([aria-label])").count() == 0
    assert page.locator("svg:not([aria-label])").count() == 0
    assert page.locator(".bars:not([aria-label])").count() == 0


def draw(page: "Page", strokes: list[list[tuple[int, int]]]) -> None:
    """Draw with the mouse."""
    page.click("#clear")
    page.locator("#paper").scroll_into_view_if_needed()
    box = page.locator("#paper").bounding_box()
    assert box
    unit = box["width"] / PAPER
    for first, *others in strokes:
        page.mouse.move(box["x"] + first[0] * unit, box["y"] + first[1] * unit)
        page.mouse.down()
        for x, y in others:
            page.mouse.move(box["x"] + x * unit, box["y"] + y * unit, steps=4)
        page.mouse.up()


def test_at_least_nine_of_ten_drawn_digits_are_recognised(page: "Page") -> None:
    wrong = []
    for digit, strokes in STROKES.items():
        draw(page, parse(strokes))
        answer = page.locator("#answer").inner_text()
        if not answer.startswith(f"That is {digit} "):
            wrong.append((digit, answer))
    assert len(wrong) <= 1, wrong


def test_a_small_drawing_in_a_corner_is_seen_as_a_large_one_in_the_middle(page: "Page") -> None:
    answers = []
    for scale, offset in ((1.0, 0), (0.4, 150)):
        moved = [
            [(int(x * scale) + offset, int(y * scale)) for x, y in one] for one in parse(STROKES[3])
        ]
        draw(page, moved)
        answers.append(page.locator("#answer").inner_text().split(" (")[0])
    assert answers == ["That is 3", "That is 3"]


def test_what_is_drawn_is_centred_and_as_large_as_the_images_are(page: "Page") -> None:
    draw(page, parse(STROKES[8]))
    image = np.array(read_pixels(page, "#seen"), dtype=np.float64).reshape(28, 28)
    places = np.arange(28) + 0.5
    assert (image.sum(axis=0) @ places) / image.sum() == pytest.approx(14, abs=0.5)
    assert (image.sum(axis=1) @ places) / image.sum() == pytest.approx(14, abs=0.5)
    rows = np.flatnonzero(image.max(axis=1) > 50)
    assert 18 <= rows[-1] - rows[0] + 1 <= 21
    assert image.max() == 255


def test_the_paper_can_be_cleared(page: "Page") -> None:
    page.click("#example")
    assert page.locator("#answers div").count() == 10
    assert page.locator("#answer").inner_text().startswith("That is 3")
    page.click("#clear")
    assert page.locator("#answers div").count() == 0


def test_the_network_answers_as_pytorch_does(page: "Page") -> None:
    statistics = Statistics.load(ROOT / "data/prepared/statistics.json")
    params = load_params(ROOT / "params.yaml")
    images = map_images(ROOT / "data/prepared/test/images.npy")[:1000]
    model = load_model(ROOT / "models/mlp.safetensors", images.shape[1], 10)
    expected, _ = probabilities(infer(model, torch.from_numpy(images), params.predict.shift))
    pixels = statistics.restore(images).tolist()
    found = np.array(page.evaluate("images => images.map((image) => classify(image))", pixels))
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert np.abs(found - expected).max() < 1e-4


def make_page(browser: "Browser") -> "Page":
    """Run the pipeline on the tiny images, and open its report."""
    write_suspects(SUSPECTS, [], ())
    for stage in (prepare, train, evaluate):
        stage.main()
    Path("metrics/score.json").write_text('{"rows": 0, "rows_without_answer": 12, "errors": 0}')
    report.main()
    return proofs_browser.open_report(browser, report.REPORT.resolve().as_uri())


def test_markup_in_the_names_of_classes_is_text(
    project: Path, write_params: ParamsWriter, browser: "Browser"
) -> None:
    names = [f'"><3 onclick="hacked={label}"\' {{{{7*7}}}}&lt;b&gt;' for label in range(3)]
    write_params({"data.class_names": names, "train.epochs": 1, "train.lr": 0.02})
    page = make_page(browser)
    page.locator(".matrix button:not([disabled])").first.click()
    page.click("#example")
    assert page.locator("img").count() == 1
    assert page.evaluate("typeof hacked") == "undefined"
    shown = page.locator("body").inner_text()
    for name in names:
        assert name in shown
    page.close()


def test_an_ensemble_whose_answers_are_averaged_over_shifts_answers_as_pytorch_does(
    project: Path, write_params: ParamsWriter, browser: "Browser"
) -> None:
    write_params({"train.networks": 2, "predict.shift": 1, "train.widths": [8, 6]})
    page = make_page(browser)
    statistics = Statistics.load(Path("data/prepared/statistics.json"))
    images = map_images(Path("data/prepared/validation/images.npy"))
    model = load_model(Path("models/mlp.safetensors"), 16, 3)
    expected, _ = probabilities(infer(model, torch.from_numpy(images), 1))
    pixels = statistics.restore(images).tolist()
    found = np.array(page.evaluate("images => images.map((image) => classify(image))", pixels))
    assert np.abs(found - expected).max() < 1e-5
    page.close()


def test_clearing_in_the_midst_of_a_stroke_ends_it(page: "Page") -> None:
    page.locator("#paper").scroll_into_view_if_needed()
    box = page.locator("#paper").bounding_box()
    assert box
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 90)
    page.locator("#clear").evaluate("button => button.click()")
    page.mouse.move(box["x"] + 150, box["y"] + 90)
    page.mouse.up()
    assert page.locator("#answers div").count() == 0


def test_only_the_first_finger_draws(page: "Page") -> None:
    for primary, count in ((False, 0), (True, 10)):
        page.locator("#paper").dispatch_event(
            "pointerdown", {"isPrimary": primary, "button": 0, "pointerId": 1, "clientX": 5}
        )
        assert page.locator("#answers div").count() == count
