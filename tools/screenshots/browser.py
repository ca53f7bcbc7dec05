"""A server with the page, and Chromium to look at it: for tests and screenshots."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # an extra of development
    from playwright.sync_api import Browser

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Names of the program, the preferred one first."""
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)
SECONDS_TO_END = 30


def find_chromium() -> str | None:
    """Return the path of Chromium, `None` if it is not installed."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


@contextmanager
def chromium() -> Generator["Browser"]:
    """Start Chromium without a window; raises `RuntimeError` if it or Playwright is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise RuntimeError('Playwright is not installed: pip install -c constraints.txt -e ".[dev]"') from None
    path = find_chromium()
    if path is None:
        raise RuntimeError("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(folder: Path, *options: str, port: int = 0) -> Generator[str]:
    """Run `mafdn serve` on a free port and yield its address.

    Args:
        folder: Where it keeps uploads and results.
        options: Further options of the command.
        port: The port, 0 for any free one.
    """
    command = [sys.executable, "-m", "mafdn", "serve", "--no-browser", "--port", str(port), "--folder", str(folder)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            if found is None:
                raise RuntimeError(f"mafdn serve did not start: {line.strip()!r}")
            yield found[0]
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    """End a server: the first signal lets it finish pictures, the second does not."""
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            continue
        return
    process.wait(SECONDS_TO_END)
