"""A server that ends and comes back, and one with a token."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.browser.conftest import PICTURES, Visit
from tests.web.browser.steps import choose, row, rows_in, start, wait_for_rows
from tools.screenshots.browser import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.slow
TOKEN = "correct-horse-battery-staple"


@contextmanager
def visiting(browser: "Browser", address: str) -> Generator[Visit]:
    """A visit of another server than the one that tests share."""
    visit = Visit(browser, address)
    try:
        yield visit
    finally:
        visit.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_page_connects_again_and_the_jobs_are_still_there(browser: "Browser", tmp_path: Path) -> None:
    port = free_port()
    with visiting(browser, f"http://127.0.0.1:{port}/") as visit:
        with served(tmp_path / "server", port=port):
            page = visit.open()
            choose(page, PICTURES[1])
            start(page)
            wait_for_rows(page, "done", 1)
        page.get_by_text("No connection to the server").wait_for()
        with served(tmp_path / "server", port=port):
            page.get_by_text("No connection to the server").wait_for(state="hidden")
            with page.expect_download() as download:
                row(page, "leaves.png").get_by_role("link", name="Download").click()
            assert download.value.suggested_filename == "leaves_x4.png"
        visit.faults[:] = [fault for fault in visit.faults if "ERR_" not in fault]  # attempts to connect


def test_pictures_wait_for_the_connection(browser: "Browser", tmp_path: Path) -> None:
    port = free_port()
    with visiting(browser, f"http://127.0.0.1:{port}/") as visit:
        with served(tmp_path / "server", port=port):
            page = visit.open()
            choose(page, *PICTURES[1:])
        page.get_by_text("No connection to the server").wait_for()
        start(page)
        row(page, PICTURES[1].name).get_by_text("The server does not answer").wait_for()
        assert rows_in(page, "waiting").count() == 2
        with served(tmp_path / "server", port=port):
            wait_for_rows(page, "done", 2)
        visit.faults[:] = [fault for fault in visit.faults if "ERR_" not in fault]  # attempts to connect


def test_another_token_is_asked_for(browser: "Browser", tmp_path: Path) -> None:
    port = free_port()
    other = TOKEN[::-1]
    with visiting(browser, f"http://127.0.0.1:{port}/") as visit:
        with served(tmp_path / "server", "--token", TOKEN, port=port) as printed:
            page = visit.open(address=printed)
        page.get_by_text("No connection to the server").wait_for()
        with served(tmp_path / "server", "--token", other, port=port):
            dialog = page.locator("#entry")
            dialog.wait_for()
            for _ in range(3):
                page.keyboard.press("Escape")
            dialog.wait_for()  # it opens again
            page.locator("#entry-token").fill(other)
            page.keyboard.press("Enter")
            dialog.wait_for(state="hidden")
            choose(page, PICTURES[1])
            start(page)
            wait_for_rows(page, "done", 1)
        visit.faults[:] = [fault for fault in visit.faults if "ERR_" not in fault]


def test_a_token_is_asked_for_and_remembered(browser: "Browser", tmp_path: Path) -> None:
    with served(tmp_path / "server", "--token", TOKEN) as printed:
        address = printed.partition("#")[0]
        assert printed == f"{address}#token={TOKEN}"
        with visiting(browser, address) as visit:
            page = visit.open(wait=False)
            page.locator("#entry-token").fill("wrong")
            page.keyboard.press("Enter")
            page.get_by_text("This is not the token.").wait_for()
            page.locator("#entry-token").fill(TOKEN)
            page.keyboard.press("Enter")
            page.locator("#about").filter(has_text="mafdn").wait_for()
            page.reload()
            page.locator("#about").filter(has_text="mafdn").wait_for()
            choose(page, PICTURES[1])
            start(page)
            wait_for_rows(page, "done", 1)
            other = visit.open(address=printed)
            assert TOKEN not in other.url
            row(other, "leaves.png").wait_for()
            assert not any(TOKEN in url.partition("#")[0] for url in visit.requests)


def test_the_token_of_the_address_is_kept_while_the_server_is_busy(browser: "Browser", tmp_path: Path) -> None:
    with served(tmp_path / "server", "--token", TOKEN) as printed, visiting(browser, printed) as visit:
        page = visit.open(wait=False, address=printed.partition("#")[0])
        busy: list[Route] = []

        def fail_once(route: "Route") -> None:
            if busy:
                route.continue_()
            else:
                busy.append(route)
                route.fulfill(status=429, json={"error": "come back later"})

        page.route("**/api/v1/session", fail_once)
        page.goto(printed)
        page.reload()
        page.locator("#connection").filter(has_text="come back later").wait_for()
        page.locator("#about").filter(has_text="mafdn").wait_for()
        assert page.locator("#connection").is_hidden()
