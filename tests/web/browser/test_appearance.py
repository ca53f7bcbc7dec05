"""Narrow windows, dark colors, accessibility, and the policy that keeps everything else out."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.browser.conftest import PICTURES, Visit
from tests.web.browser.steps import choose, compare, set_factor, start, wait_for_rows

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
PHONE = (360, 740)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed (dev extra)")
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


def violations(page: "Page", axe: str) -> list[str]:
    """What axe-core finds, one line each."""
    page.evaluate(axe)
    found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    assert len(found["passes"]) > 10
    return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]


@pytest.mark.parametrize("colors", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, axe: str, colors: str, tmp_path: Path) -> None:
    page = visit.open(color_scheme=colors)
    assert violations(page, axe) == []
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    choose(page, PICTURES[0], broken)
    page.locator("#format").select_option("avif")
    set_factor(page, "other")
    assert violations(page, axe) == []
    set_factor(page, "2")
    start(page)
    assert violations(page, axe) == []
    wait_for_rows(page, "failed", 1)
    wait_for_rows(page, "done", 1)
    assert violations(page, axe) == []
    compare(page, "flowers.jpg")
    assert violations(page, axe) == []


def test_everything_fits_into_360_pixels(visit: Visit, axe: str) -> None:
    page = visit.open(window=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)

    def check() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert violations(page, axe) == []

    check()
    choose(page, *PICTURES[:2])
    assert page.locator("#options").is_hidden()
    page.locator("#options-toggle").click()
    set_factor(page, "other")
    page.locator("[name=sizeKind]").select_option("fit")
    check()
    size = "element => parseFloat(getComputedStyle(element).fontSize)"
    assert page.locator("[name=sizeValue]").evaluate(size) >= 16  # Safari zooms into smaller ones
    set_factor(page, "2")
    start(page)
    wait_for_rows(page, "done", 2)
    check()
    dialog = compare(page, "flowers.jpg")
    check()
    for element in dialog.locator("button:visible, a:visible").all():
        box = element.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE[0]
    dialog.get_by_role("button", name="Next picture").click()
    dialog.get_by_role("heading", name="leaves.png").wait_for()


def background(page: "Page") -> int:
    """The red part of the page's background."""
    return int(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))


def test_colors_follow_the_system_until_they_are_chosen(visit: Visit) -> None:
    page = visit.open(color_scheme="dark")
    assert background(page) < 40
    page.emulate_media(color_scheme="light")
    assert background(page) > 220
    page.get_by_role("button", name="Appearance: as the system").click()
    page.get_by_role("button", name="Appearance: light").click()
    assert background(page) < 40
    page.reload()
    assert background(page) < 40
    page.get_by_role("button", name="Appearance: dark").click()
    assert background(page) > 220


def test_the_policy_keeps_out_inline_scripts_and_other_servers(visit: Visit) -> None:
    page = visit.open()
    response = page.request.get(visit.address)
    directives = {
        name: set(values.split())
        for name, _, values in (
            part.strip().partition(" ") for part in response.headers["content-security-policy"].split(";")
        )
    }
    assert directives["default-src"] == {"'none'"}
    for name in ("script-src", "style-src", "font-src", "connect-src"):
        assert directives[name] == {"'self'"}
    assert directives["frame-ancestors"] == directives["base-uri"] == {"'none'"}
    blocked = page.evaluate(
        """async () => {
          const found = [];
          document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.intruder = true";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", '<p style="color: red"><img src="https://example.org/a.png"></p>');
          await fetch("https://example.org/").catch(() => null);
          await new Promise((resolve) => setTimeout(resolve, 300));
          return [window.intruder === undefined, ...found];
        }"""
    )
    assert blocked[0] is True
    assert set(blocked[1:]) == {"script-src-elem", "style-src-attr", "img-src", "connect-src"}
    assert all("Content Security Policy" in fault for fault in visit.faults)
    visit.faults.clear()
    visit.requests[:] = [url for url in visit.requests if "example.org" not in url]  # asked for, not sent
