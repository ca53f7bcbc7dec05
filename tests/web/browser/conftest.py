"""A server with the shipped weights and pages in Chromium, which the tests drive."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support import use_cache
from tools.screenshots.browser import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "samples"
PICTURES = (SAMPLES / "flowers.jpg", SAMPLES / "test" / "leaves.png", SAMPLES / "test" / "flowers.png")
WINDOW = (1280, 800)
LATE = "was preloaded using link preload but not used within a few seconds"
"""What Chromium says on a busy machine, where drawing begins late."""


@pytest.fixture(scope="session")
def server(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server; it is not started where there is no browser."""
    del browser
    with pytest.MonkeyPatch.context() as patch:
        use_cache(tmp_path_factory.mktemp("cache"), patch)
        with served(tmp_path_factory.mktemp("server")) as address:
            yield address


class Visit:
    """Pages of one test. At its end no request may have gone elsewhere and no script may have failed."""

    def __init__(self, browser: "Browser", address: str) -> None:
        self._browser, self.address = browser, address
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.refused = 0
        self._contexts: list[Any] = []

    def open(self, *, window: tuple[int, int] = WINDOW, address: str = "", wait: bool = True, **options: Any) -> "Page":
        """Open the page in a browser profile of its own, and wait until it knows the server."""
        width, height = window
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", **options
        )
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.goto(address or self.address)
        if wait:
            page.locator("#about").filter(has_text="mafdn").wait_for()
        return page

    def _hear(self, kind: str, text: str) -> None:
        if "status of 4" in text:
            self.refused += 1  # an answer that the page shows
        elif kind in ("error", "warning") and LATE not in text:
            self.faults.append(text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        assert self.faults == []
        own = urlsplit(self.address).netloc
        assert {urlsplit(url).netloc for url in self.requests} <= {own}
        assert {urlsplit(url).scheme for url in self.requests} <= {"http"}


@pytest.fixture
def visit(browser: "Browser", server: str) -> Iterator[Visit]:
    """Opens pages of the server, which knows no jobs at the start."""
    clear(server)
    visit = Visit(browser, server)
    yield visit
    visit.close()


def clear(address: str) -> None:
    """Cancel and remove all jobs of a server."""
    while jobs := ask(address, "jobs")["jobs"]:
        for job in jobs:
            request = urllib.request.Request(f"{address}api/v1/jobs/{job['id']}", method="DELETE")
            urllib.request.urlopen(request).close()


def ask(address: str, path: str) -> Any:
    """Return an answer of the server's interface."""
    with urllib.request.urlopen(f"{address}api/v1/{path}") as answer:
        return json.load(answer)
