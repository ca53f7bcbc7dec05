"""The page that upscales in a browser, opened from the disk in Chromium."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from mafdn.errors import UsageError
from mafdn.export.plain import export_plain
from mafdn.networks import MAFDN
from tools.web_folder import web_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
MILLISECONDS = 600_000
"""A busy machine takes minutes to compile the WebAssembly."""


@pytest.fixture
def plain(network: MAFDN, tmp_path: Path) -> Path:
    path = tmp_path / "x2.onnx"
    export_plain(network, path, gates=torch.full((2, 16), 0.5))
    return path


@pytest.fixture
def folder(plain: Path, tmp_path: Path) -> Path:
    try:
        web_folder(tmp_path / "page", networks=("x2",), webgpu=False, plain={"x2": plain})
    except UsageError as error:
        pytest.skip(str(error))
    return tmp_path / "page"


@pytest.fixture
def page(folder: Path, browser: "Browser") -> Iterator["Page"]:
    faults: list[str] = []
    requests: list[str] = []
    opened = browser.new_page(viewport={"width": 900, "height": 900})
    opened.set_default_timeout(MILLISECONDS)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(f"file://{folder}/index.html")
    opened.check("input[value='2']")
    opened.check("input[name=kind][value='']")
    yield opened
    opened.close()
    assert faults == []
    assert {url.split(":")[0] for url in requests} <= {"file", "blob", "data"}


def test_a_picture_is_upscaled_in_tiles_without_seams(page: "Page", plain: Path, tmp_path: Path) -> None:
    height, width = 141, 263  # two by three tiles
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x % 256, y, (x * y) % 256], axis=2).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "odd.png")
    page.set_input_files("#file", tmp_path / "odd.png")
    page.locator("#save").wait_for()
    assert f"{width}x{height} to {2 * width}x{2 * height} in " in page.locator("#status").inner_text()
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "odd_x2.png"
    result = np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).convert("RGB"))
    session: Any = onnxruntime.InferenceSession(plain, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"input": picture.transpose(2, 0, 1)[None].astype(np.float32) / 255})
    whole = np.rint(expected[0].transpose(1, 2, 0).clip(0, 1) * 255)
    assert result.shape == whole.shape
    assert np.abs(result - whole).max() <= 1
    page.set_input_files("#file", {"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.get_by_text("no.png is not a picture that this browser can read").wait_for()


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        web_folder(tmp_path)
