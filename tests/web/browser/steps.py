"""What visitors do, as steps of several tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

DROP = """async ({ files, type }) => {
  const transfer = new DataTransfer();
  for (const { name, bytes } of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
  const event = type === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
    : new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""
"""Dispatch an event with files, as the browser does when they are dragged over the page, dropped or pasted."""


def files_event(page: "Page", kind: str, paths: Sequence[Path]) -> None:
    """Dispatch `dragenter`, `drop` or `paste` with files."""
    files = [{"name": path.name, "bytes": list(path.read_bytes())} for path in paths]
    page.evaluate(DROP, {"files": files, "type": kind})


def choose(page: "Page", *paths: Path) -> None:
    """Choose files, and wait until they are in the list."""
    page.set_input_files("#files", list(paths))
    row(page, paths[-1].name).wait_for()


def row(page: "Page", name: str) -> "Locator":
    """The row of a picture."""
    return page.locator(".row").filter(has=page.get_by_text(name, exact=True))


def set_factor(page: "Page", value: str) -> None:
    """Choose a factor, or "other" for a further option."""
    page.locator(f"[name=factor][value='{value}']").check()


def sizes(before: tuple[int, int], after: tuple[int, int]) -> str:
    """The sizes of a picture and its result as the page writes them."""
    return " \u2192 ".join(f"{width} \u00d7 {height}" for width, height in (before, after))


def start(page: "Page") -> None:
    """Upscale all pictures."""
    page.locator("#start").click()


def rows_in(page: "Page", state: str) -> "Locator":
    """All rows in a state."""
    return page.locator(f'.row[data-state="{state}"]')


def wait_for_rows(page: "Page", state: str, count: int, *, seconds: float = 60) -> None:
    """Wait until so many rows are in a state."""
    rows_in(page, state).nth(count - 1).wait_for(timeout=seconds * 1000)


def compare(page: "Page", name: str) -> "Locator":
    """Open the comparison of a picture, wait until it is drawn, and return the dialog."""
    page.get_by_role("button", name=f"Compare {name} with bicubic").click()
    dialog = page.locator("#compare")
    dialog.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    return dialog


def pixels(page: "Page") -> dict[str, Any]:
    """The pixels of the stage as RGBA bytes, with width, height and the place of the divider in pixels."""
    return page.evaluate(
        """() => {
          const canvas = document.getElementById("stage-canvas");
          const copy = new OffscreenCanvas(canvas.width, canvas.height);
          const context = copy.getContext("2d", { willReadFrequently: true });
          context.drawImage(canvas, 0, 0);
          const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
          let text = "";
          for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
          const divider = parseFloat(document.getElementById("divider").style.left);
          return { width: canvas.width, height: canvas.height, bytes: btoa(text), divider };
        }"""
    )
