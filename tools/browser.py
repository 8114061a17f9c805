"""screenshots: the report in Chromium, at the width of a phone and of a desk, light and dark."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from digits.errors import InputError
from tools.doctor import CHROMIUM, find_chromium

REPORT = Path("report/index.html")
SCREENSHOTS = Path(".screenshots")
PICTURE = Path("docs/report.png")  # which the README shows
WIDTHS = {"phone": 400, "desk": 1100}  # pixels
SECTIONS = ("wrong", "confusion", "labels", "hard", "draw", "calibration", "training", "reproduce")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium without a window."""
    if (path := find_chromium()) is None:
        expected = "expected one, such as Debian's package chromium"
        raise InputError(f"no {' or '.join(CHROMIUM)}; {expected}")
    # As root, which containers often are, it starts without its sandbox only.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        try:
            yield browser
        finally:
            browser.close()


def open_report(browser: Browser, address: str, width: int = 1100, scheme: str = "light") -> Page:
    """Open a report, and return it when it is ready."""
    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    return page


def photograph(page: Page, name: str) -> None:
    """Write a picture of the top of a page, and of each of its sections."""
    page.click("#example")
    page.locator(".matrix button:not([disabled]):not(.right)").last.click()
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    for section in SECTIONS:
        page.evaluate(f"document.getElementById('{section}').scrollIntoView()")
        page.screenshot(path=SCREENSHOTS / f"{name}-{section}.png")


def main() -> None:
    """Photograph the report."""
    if not REPORT.exists():
        raise InputError(f"{REPORT}: no such file; expected what `make repro` makes")
    address = REPORT.resolve().as_uri()
    with chromium() as browser:
        for name, width in WIDTHS.items():
            for scheme in ("light", "dark"):
                photograph(open_report(browser, address, width, scheme), f"{name}-{scheme}")
        open_report(browser, address).screenshot(path=PICTURE)
    print(f"wrote {SCREENSHOTS}/ and {PICTURE}")
