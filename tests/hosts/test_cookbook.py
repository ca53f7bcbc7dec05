"""The code in docs/cookbook.md runs as it stands."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_code_runs(png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mafdn.inference.engines.precision.load_measured", lambda: ())  # 8 bits in fp32, as floats
    png.rename(tmp_path / "photo.png")
    names: dict[str, Any] = {}
    for code in BLOCK.findall((ROOT / "docs" / "cookbook.md").read_text("utf-8")):
        exec(compile(code, "docs/cookbook.md", "exec"), names)
    made = {kind: np.asarray(Image.open(f"photo_{kind}.png")) for kind in ("pillow", "skimage", "opencv")}
    assert {array.shape for array in made.values()} == {(48, 64, 3)}
    for array in made.values():
        assert np.abs(array.astype(int) - made["pillow"]).max() <= 1  # rounding of floats
    assert [result.shape for result in names["results"]] == [(48, 64, 3)] * 2
