"""Take the pictures of the local page in README.md and docs: docs/web-pictures.png and docs/web-compare.jpg.

python -m tools.screenshots [--all FOLDER]

With `--all` it also takes all states of the page, light and dark and 360 pixels wide, into a folder, to look at them.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tools.screenshots.browser import chromium, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
PICTURES = (SAMPLES / "flowers.jpg", SAMPLES / "test" / "leaves.png", SAMPLES / "test" / "flowers.png")
WINDOW, PHONE = (1280, 800), (360, 740)
SECONDS_TO_UPSCALE = 300
JPEG_QUALITY = 88


def choose(page: "Page") -> None:
    """Choose the samples."""
    page.set_input_files("#files", list(PICTURES))
    page.locator(".row .thumbnail canvas").nth(len(PICTURES) - 1).wait_for()
    page.locator("#bar-time").filter(has_text="takes").wait_for(timeout=SECONDS_TO_UPSCALE * 1000)


def work(page: "Page") -> None:
    """Upscale the samples; one is done, the others are not."""
    choose(page)
    page.locator("#start").click()
    page.locator("[data-state=done]").first.wait_for(timeout=SECONDS_TO_UPSCALE * 1000)


def finish(page: "Page") -> None:
    """Upscale the samples, with a verification."""
    choose(page)
    page.get_by_label("Verify").check()
    page.locator("#start").click()
    page.locator("[data-state=done]").nth(len(PICTURES) - 1).wait_for(timeout=SECONDS_TO_UPSCALE * 1000)


def compare(page: "Page") -> None:
    """Upscale the samples and compare the first."""
    finish(page)
    page.get_by_role("button", name="Compare flowers.jpg with bicubic").click()
    page.locator("#stage-message").wait_for(state="hidden")
    page.wait_for_load_state("networkidle")


def fail(page: "Page") -> None:
    """Upscale a file that is no picture."""
    file = {"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    page.set_input_files("#files", [file])  # pyright: ignore[reportArgumentType]
    page.locator("#start").click()
    page.locator("[data-state=failed]").wait_for(timeout=SECONDS_TO_UPSCALE * 1000)


STATES: dict[str, Callable[["Page"], None] | None] = {
    "empty": None,
    "ready": choose,
    "working": work,
    "done": finish,
    "compare": compare,
    "error": fail,
}
"""States of the page, and what leads to them."""


def take(
    browser: "Browser", path: Path, state: str, *, window: tuple[int, int] = WINDOW, colors: str = "light"
) -> None:
    """Take one picture, with a server of its own so that nothing is left of others.

    Args:
        browser: Chromium.
        path: The file, PNG or JPEG.
        state: The state of the page, one of `STATES`.
        window: Width and height of the window, in pixels.
        colors: `light` or `dark`.
    """
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address:
        context = browser.new_context(
            viewport={"width": window[0], "height": window[1]},
            color_scheme="dark" if colors == "dark" else "light",
            device_scale_factor=2 if window == PHONE else 1,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto(address)
        page.locator("#about").filter(has_text="mafdn").wait_for()
        if step := STATES[state]:
            step(page)
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)
        if path.suffix == ".jpg":
            page.screenshot(path=path, type="jpeg", quality=JPEG_QUALITY)
        else:
            page.screenshot(path=path)
        context.close()


def main() -> None:
    """Parse the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="take all states of the page into this folder")
    folder: Path | None = parser.parse_args().all
    with chromium() as browser:
        if folder is None:
            take(browser, ROOT / "docs" / "web-pictures.png", "done")
            take(browser, ROOT / "docs" / "web-compare.jpg", "compare", colors="dark")
            return
        folder.mkdir(parents=True, exist_ok=True)
        for state in STATES:
            for colors in ("light", "dark"):
                take(browser, folder / f"{state}-{colors}.png", state, colors=colors)
            take(browser, folder / f"{state}-phone.png", state, window=PHONE)


if __name__ == "__main__":
    main()
