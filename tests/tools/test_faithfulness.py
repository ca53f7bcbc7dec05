"""The measurement of faithfulness: interpolation as by `imresize`, figures over pictures, and their tables."""

from pathlib import Path

import numpy as np

from mafdn.pixels import imresize
from tests.verification.support import noise, save, smooth
from tools.documents.verification import faithfulness_tables, recovered_table
from tools.faithfulness import KERNELS, Method, interpolated, verified


def test_interpolation_equals_imresize_but_for_its_rounding_between_the_passes() -> None:
    picture = noise(300, 20, 3)
    for kernel in KERNELS.values():
        found = interpolated(picture, scale=2, kernel=kernel)
        expected = imresize(picture.astype(np.float64), 2, kernel=kernel).clip(0, 255)
        assert np.abs(found - expected).max() <= 0.501


def test_figures_and_tables(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{q}.jpg", smooth(64, 64), quality=q) for q in (60, 90)]
    chosen: dict[str, Method] = {
        "same": lambda picture: picture,
        "darker": lambda picture: picture // 2,
    }
    entry = verified("two files", files, chosen, scale=1)
    same, darker = entry["methods"]["same"], entry["methods"]["darker"]
    assert (same["share"], same["least_nonzero_share"], same["mean_difference"], same["psnr"]) == (1, 1, 0, None)
    assert darker["nonzero_share"] < 0.6
    assert darker["least_nonzero_share"] <= darker["nonzero_share"]
    text = faithfulness_tables({"inputs": [entry]})
    assert "| two files | 100.00 / 100.0 |" in text
    assert "| two files | 0.00 / 0.00 |" in text


def test_the_table_of_recovered_coefficients() -> None:
    shares = [{"component": "luma", "steps": "3 and more", "count": 640, "exact": 0.99876}]
    assert "| a.jpg | - | - | 99.88 | - | - | - |" in recovered_table(
        {"inputs": [{"input": "a.jpg", "shares": shares}]}
    )
