"""The comparison: exact pixels at 100 %, divider, zoom, tiles, keyboard."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

import mafdn
from tests.web.browser.conftest import PICTURES, Visit
from tests.web.browser.steps import choose, compare, pixels, sizes, start, wait_for_rows

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.slow
SETTLED = 400  # milliseconds until tiles of a few pixels are drawn
LARGEST_WINDOW = 1024


def stage(page: "Page") -> tuple[NDArray[np.uint8], float]:
    """The stage as RGBA, and the column of the divider."""
    found: dict[str, Any] = pixels(page)
    array = np.frombuffer(base64.b64decode(found["bytes"]), np.uint8)
    return array.reshape(found["height"], found["width"], 4), found["divider"]


def upscaled(page: "Page", path: Path) -> "Locator":
    """Upscale one picture and open its comparison."""
    choose(page, path)
    start(page)
    wait_for_rows(page, "done", 1)
    return compare(page, path.name)


def decoded(path: Path) -> NDArray[np.uint8]:
    """The pixels of a file as RGB."""
    return np.asarray(pyvips.Image.new_from_file(str(path)).numpy())[..., :3]


def test_at_100_percent_each_pixel_is_that_of_the_result(visit: Visit, tmp_path: Path) -> None:
    page = visit.open()
    dialog = upscaled(page, PICTURES[1])
    mafdn.upscale_file(PICTURES[1], tmp_path / "result.png")
    result = decoded(tmp_path / "result.png")
    height, width = result.shape[:2]
    assert dialog.locator("#zoom-value").inner_text() == "100 %"

    page.keyboard.press("Home")  # nothing of bicubic
    page.wait_for_timeout(SETTLED)
    shown, divider = stage(page)
    top, left = (shown.shape[0] - height) // 2, (shown.shape[1] - width) // 2
    assert divider == left
    np.testing.assert_array_equal(shown[top : top + height, left : left + width, :3], result)
    assert not shown[: top - 1].any()

    page.keyboard.press("End")
    page.wait_for_timeout(SETTLED)
    bicubic, divider = stage(page)
    assert divider == left + width
    before = bicubic[top : top + height, left : left + width, :3]
    assert np.abs(before.astype(int) - result).mean() > 1
    reduced = np.abs(before[::4, ::4].astype(int) - decoded(PICTURES[1])).mean()
    assert reduced < 12  # the same place of the same picture


def test_the_divider_shows_bicubic_on_its_left_and_the_result_on_its_right(visit: Visit) -> None:
    page = visit.open()
    dialog = upscaled(page, PICTURES[1])
    divider = dialog.get_by_role("slider")
    sides: dict[str, NDArray[np.uint8]] = {}
    for key in ("Home", "End"):
        page.keyboard.press(key)
        page.wait_for_timeout(SETTLED)
        sides[key] = stage(page)[0]
    assert divider.get_attribute("aria-valuetext") == "100 % bicubic, 0 % result"

    box = divider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(640, box["y"] + 120, steps=4)
    page.mouse.up()
    page.wait_for_timeout(SETTLED)
    shown, place = stage(page)
    column = round(place)
    assert abs(column - 640) <= 1
    np.testing.assert_array_equal(shown[:, :column], sides["End"][:, :column])
    np.testing.assert_array_equal(shown[:, column:], sides["Home"][:, column:])
    assert divider.get_attribute("aria-valuenow") == "50"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_timeout(SETTLED)
    assert divider.get_attribute("aria-valuenow") == "42"


def test_zoom_and_movement_by_keys_wheel_and_mouse(visit: Visit) -> None:
    page = visit.open()
    dialog = upscaled(page, PICTURES[0])
    zoom = dialog.locator("#zoom-value")
    canvas = dialog.locator("#stage-canvas")

    def zoomed() -> float:
        page.wait_for_timeout(100)
        return float(zoom.inner_text().removesuffix("%").replace("\u00a0", "").strip())

    assert zoomed() == 100
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert zoomed() == 200
    page.keyboard.press("-")
    assert zoomed() == 141
    page.keyboard.press("0")
    fitting = zoomed()
    assert 60 < fitting < 100
    page.keyboard.press("1")
    assert zoomed() == 100
    canvas.hover(position={"x": 500, "y": 300})
    page.mouse.wheel(0, -400)
    assert zoomed() == 182
    before, _ = stage(page)
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(SETTLED)
    moved, _ = stage(page)
    shift = round(0.15 * before.shape[1])
    half = before.shape[1] // 2  # the right half is of the result in both
    np.testing.assert_array_equal(moved[:, half : -shift - 1], before[:, half + shift : -1])
    page.mouse.down()
    page.mouse.move(600, 300, steps=3)
    page.mouse.up()
    page.wait_for_timeout(SETTLED)
    assert not np.array_equal(stage(page)[0], moved)
    canvas.dblclick(position={"x": 200, "y": 200})
    assert zoomed() == 100

    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Compare flowers.jpg with bicubic"


def test_the_keyboard_shows_where_it_is(visit: Visit) -> None:
    page = visit.open()
    dialog = upscaled(page, PICTURES[1])
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    page.get_by_role("button", name="Compare leaves.png with bicubic").press("Enter")
    dialog.wait_for()
    assert page.evaluate("document.activeElement.matches('#divider:focus-visible')")


def test_side_by_side_shows_the_same_part_twice(visit: Visit) -> None:
    page = visit.open()
    dialog = upscaled(page, PICTURES[1])
    dialog.get_by_label("Side by side").check()
    page.wait_for_timeout(SETTLED)
    shown, _ = stage(page)
    pane = (shown.shape[1] - 2) // 2
    left, right = shown[..., :3][:, :pane], shown[..., :3][:, pane + 2 : 2 * pane + 2]
    assert not shown[:, pane : pane + 2].any()
    difference = np.abs(left.astype(int) - right).mean()
    assert 0.5 < difference < 15
    assert dialog.get_by_role("slider").is_hidden()


def test_large_results_come_in_tiles(visit: Visit, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    pyvips.Image.new_from_file(str(PICTURES[0])).resize(3).jpegsave(str(large), Q=80)  # 720x720 becomes 2880x2880
    page = visit.open()
    page.locator("#strength").fill("0")  # without the network, whose result this is not about
    dialog = upscaled(page, large)
    page.keyboard.press("0")
    page.wait_for_load_state("networkidle")
    queries = [parse_qs(urlsplit(url).query) for url in visit.requests if "/preview/" in url]
    windows = [{name: int(values[0]) for name, values in query.items()} for query in queries]
    assert {window["reduce"] for window in windows} >= {1, 4}
    assert all(max(window["width"], window["height"]) <= LARGEST_WINDOW for window in windows)
    at_100 = [window for window in windows if window["reduce"] == 1]
    assert 0 < sum(window["width"] * window["height"] for window in at_100) / 2 < 0.75 * 2880 * 2880  # of two sides
    assert not any(url.endswith("/result") for url in visit.requests)
    assert dialog.locator("#compare-sizes").inner_text() == sizes((720, 720), (2880, 2880))


def test_the_weights_and_the_verification_are_told(visit: Visit) -> None:
    page = visit.open()
    page.get_by_label("Verify").check()
    dialog = upscaled(page, PICTURES[0])
    assert dialog.locator("#compare-why").inner_text().startswith("Classic weights: JPEG quality 9")
    assert "Verified: reduced again, it differs" in dialog.locator("#compare-figures").inner_text()
