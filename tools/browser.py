"""screenshots: the report in Chromium, as docs/ and the README show it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from digits.errors import InputError

REPORT = Path("report/index.html")
PICTURE = Path("docs/report.png")  # which the README shows
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")  # what Debian and others call it


def find_chromium() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


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


def open_report(browser: Browser, address: str, width: int = 1100) -> Page:
    """Open a report, and return it when it is ready."""
    page = browser.new_page(viewport={"width": width, "height": 1000})
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    return page


def main() -> None:
    """Photograph the report."""
    if not REPORT.exists():
        raise InputError(f"{REPORT}: no such file; expected what `make repro` makes")
    with chromium() as browser:
        open_report(browser, REPORT.resolve().as_uri()).screenshot(path=PICTURE)
    print(f"wrote {PICTURE}")
