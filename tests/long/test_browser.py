"""The report of the committed results in Chromium."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.data.tensors import PREPARED, Statistics, map_pixels
from digits.evaluation.label_errors import SUSPECTS, write_suspects
from digits.params import Predict
from digits.recogniser import RECOGNISER, Recogniser
from stages import evaluate, prepare, report, train
from tests.conftest import PIXELS, ParamsWriter
from tests.digits.report.test_page import draw_recogniser
from tests.sandbox import CLASSES, ROOT
from tests.strokes import PAPER, STROKES, parse

pytest.importorskip("axe_playwright_python", reason="the extra browser")
from axe_playwright_python.sync_playwright import Axe

from tools.browser import REPORT, chromium, find_chromium, open_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.long,
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


MOVED = """() => new Promise((tell) => {
  const list = (entries) => tell(entries.getEntries().map((entry) => entry.value));
  new PerformanceObserver(list).observe({ type: "layout-shift", buffered: true });
  setTimeout(tell, 500, []);
})"""


@pytest.mark.parametrize("height", [800, 5000])  # of a screen, and of what one may scroll to
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_moves_while_the_page_loads(browser: "Browser", width: int, height: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(ADDRESS)
    page.wait_for_selector("html[data-ready]")
    assert sum(page.evaluate(MOVED)) < 0.02
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_fault(
    browser: "Browser", width: int, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(ADDRESS)
    page.wait_for_selector("html[data-ready]")
    page.click("#example")
    page.locator(".matrix button.right").first.click()
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "best-practice"]})
    assert not found.violations_count, found.generate_report()
    page.close()


def test_cells_are_one_stop_of_the_tab_key_and_arrow_keys_move_between_them(page: "Page") -> None:
    page.locator(".matrix button").first.focus()
    focused = "[document.activeElement.dataset.actual, document.activeElement.dataset.predicted]"
    for key, expected in (
        *(("ArrowUp", "00"), ("ArrowDown", "10"), ("ArrowLeft", "10"), ("ArrowRight", "11")),
        *(("End", "19"), ("ArrowRight", "19"), ("Home", "10"), ("Control+End", "99")),
        *(("ArrowDown", "99"), ("Control+Home", "00"), ("ArrowDown", "10")),
    ):
        page.keyboard.press(key)
        assert "".join(page.evaluate(focused)) == expected, key
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == [None, None]
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(focused) == ["1", "0"]


def show_all(page: "Page", gallery: str) -> int:
    """Show all images of a gallery; return how many there are."""
    more = page.locator(f"{gallery} .more")
    if more.count():
        more.click()
    count: int = page.locator(f"{gallery} figure").count()
    return count


def test_cells_open_the_images_that_they_count(page: "Page", errors: NDArray[np.int64]) -> None:
    assert show_all(page, "#wrong-gallery") == errors.sum()
    for actual, predicted in np.argwhere(errors)[[0, -1]].tolist():
        page.locator(f'.matrix [data-predicted="{predicted}"][data-actual="{actual}"]').focus()
        page.keyboard.press("Enter")
        pressed = page.locator('.matrix [aria-pressed="true"]').all_inner_texts()
        assert pressed == [str(errors[actual, predicted])]
        assert show_all(page, "#cell-gallery") == errors[actual, predicted]
        words = page.locator("#cell-gallery figcaption").all_inner_texts()
        assert all(text.startswith(f"predicted {predicted}\nactual {actual}\n") for text in words)


def test_an_image_shows_the_pixels_of_its_row_and_has_words_for_who_cannot_see_it(
    page: "Page",
) -> None:
    folder = ROOT / "data/prepared/validation"
    words = page.locator("#wrong-gallery .row").first.inner_text()
    index, line = map(int, re.findall(r"\d+", words))
    assert words == f"row index {index} (line {line} of train.csv)"
    assert line == index + 2
    row = np.load(folder / "rows.npy").tolist().index(index)
    shown = page.locator("#wrong-gallery canvas").first.evaluate(
        "shown => [...shown.getContext('2d').getImageData(0, 0, shown.width, shown.height).data]"
    )
    assert shown[::4] == map_pixels(folder, 28 * 28)[row].tolist()
    for kind in ("canvas", "svg", ".bars"):
        assert page.locator(kind).count() > 0
        assert page.locator(f"{kind}:not([aria-label])").count() == 0


@dataclass(frozen=True)
class Hand:
    """How somebody draws: in what size, how far from the left, leaning how much, with what."""

    scale: float = 1.0
    offset: float = 0.0
    lean: float = 0.0
    touch: bool = False

    def draw(self, page: "Page", digit: int) -> str:
        """Draw a digit; return what the page says that it is."""
        page.click("#clear")
        page.locator("#paper").scroll_into_view_if_needed()
        box = page.locator("#paper").bounding_box()
        assert box
        unit = box["width"] / PAPER
        for stroke in parse(STROKES[digit]):
            places = [(x + self.lean * (PAPER / 2 - y), y) for x, y in stroke]
            points = [(self.offset + x * self.scale, y * self.scale) for x, y in places]
            trace = touch if self.touch else drag
            trace(page, [(box["x"] + x * unit, box["y"] + y * unit) for x, y in points])
        told: str = page.locator("#answer").inner_text()
        return told


def drag(page: "Page", points: Sequence[tuple[float, float]]) -> None:
    """Move the mouse from point to point, its button held."""
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def touch(page: "Page", points: Sequence[tuple[float, float]]) -> None:
    """Move a finger from point to point."""
    session = page.context.new_cdp_session(page)
    for number, (x, y) in enumerate(points):
        kind, at = "touchMove" if number else "touchStart", [{"x": x, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


@pytest.mark.parametrize("touches", [False, True])
def test_at_least_28_of_30_drawn_digits_are_recognised(browser: "Browser", touches: bool) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=touches)
    page.goto(ADDRESS)
    page.wait_for_selector("html[data-ready]")
    hands = [Hand(scale, 0, lean, touches) for scale, lean in ((1, 0), (0.8, 0.2), (0.9, -0.15))]
    answers = {(hand, digit): hand.draw(page, digit) for hand in hands for digit in STROKES}
    wrong = {key: told for key, told in answers.items() if f"That is {key[1]} " not in told}
    assert len(answers) == 30
    assert len(wrong) <= 2, wrong
    page.close()


def test_a_small_one_in_a_corner_is_recognised_and_can_be_cleared(page: "Page") -> None:
    assert Hand(0.4, offset=150).draw(page, 8).startswith("That is 8 ")
    shares = page.locator("#answers span:last-child")
    assert sum(float(share.split()[0]) for share in shares.all_inner_texts()) > 99
    page.click("#clear")
    assert shares.all_inner_texts() == [""] * 10


def check_answers(page: "Page", recogniser: Recogniser, pixels: NDArray[np.uint8]) -> None:
    """Check that a page answers images, and some that are none, with the very bits of Python."""
    side, noise = recogniser.description.statistics.side, np.random.default_rng(0)
    odd = noise.integers(0, 256, (4, side * side), dtype=np.uint8)
    odd[0], odd[1], odd[2, side:] = 0, 255, 0
    shown = np.concatenate([odd, pixels])
    call = "images => images.map((one) => [[...answer(one)], classify(one), isFamiliar(one)])"
    logits, probabilities, familiar = zip(*page.evaluate(call, shown.tolist()), strict=True)
    upright = recogniser.description.statistics.upright(shown)
    assert list(familiar) == recogniser.novelty.is_familiar(upright).tolist()
    expected = recogniser.answer(shown)
    # JSON loses nothing of a number, and float64 nothing of float32.
    assert np.array(logits).tobytes() == expected.astype(np.float64).tobytes()
    assert np.array(probabilities).tobytes() == recogniser.calibrate(expected).tobytes()


def test_the_page_answers_as_its_recogniser_to_the_last_bit(page: "Page") -> None:
    pixels = map_pixels(ROOT / PREPARED / "validation", 28 * 28)[:200]
    check_answers(page, Recogniser.load(ROOT / RECOGNISER), pixels)


def test_so_does_an_ensemble_over_views_whatever_its_classes_are_called(
    project: Path, write_params: ParamsWriter, browser: "Browser"
) -> None:
    names = [f'"><3 onclick="hacked={label}"\' {{{{7*7}}}}&lt;b&gt;' for label in range(CLASSES)]
    network = {"train.networks": 2, "train.widths": [8, 6], "prepare.straighten": True}
    views = {"rotation": 20.0, "scale": 0.1, "shear": 0.1, "shift": 1.0}
    changes = {f"predict.{name}": far for name, far in views.items()}
    write_params({"data.class_names": names, **network, **changes})
    write_suspects(SUSPECTS, [], ())
    for stage in (prepare, train, evaluate):
        stage.main()
    report.SCORE.write_text('{"rows": 0, "errors": 0}')
    report.main()
    page = open_report(browser, report.PAGE.resolve().as_uri())
    page.locator(".matrix button.right").first.click()
    page.click("#example")
    check_answers(page, Recogniser.load(), map_pixels(PREPARED / "validation", PIXELS))
    assert page.locator("img").count() == 1
    assert page.evaluate("typeof hacked") == "undefined"
    shown = page.locator("body").inner_text()
    assert all(one in shown for one in names)
    page.close()


def test_so_does_the_largest_network_of_a_recipe_in_a_page_that_can_be_sent_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: "Browser"
) -> None:
    monkeypatch.chdir(ROOT)
    views = Predict(rotation=6.0, scale=0.07, shear=0.08, shift=0.0)
    # Every other pixel is halfway between two units, and ink is rounded up to a power of two.
    mean, std = 127 / 1.5, 128 / 1.5 * (1 - 1e-9)
    statistics = Statistics(mean=mean, std=std, pixels=28 * 28, straightened=True)
    changes = {"widths": (28 * 28, 1000, 1000, 1000, 10), "views": views, "statistics": statistics}
    description = Recogniser.load().description.model_copy(update=changes)
    recogniser, path = draw_recogniser(description), tmp_path / "index.html"
    monkeypatch.setattr(Recogniser, "load", lambda: recogniser)
    for name, value in (("PAGE", path), ("CARD", tmp_path / "card.md"), ("ANSWERED", 1)):
        monkeypatch.setattr(report, name, value)
    report.main()
    assert path.stat().st_size < 5_000_000
    page = open_report(browser, path.as_uri())
    check_answers(page, recogniser, map_pixels(PREPARED / "validation", 28 * 28)[:20])
    page.close()
