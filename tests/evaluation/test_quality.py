"""The public PSNR and SSIM: layouts, types, ranges and clear refusals."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import mafdn
from mafdn import UsageError
from mafdn.pixels import psnr_rgb, psnr_y, ssim_rgb, ssim_y

RNG = np.random.default_rng(0)
A = RNG.integers(0, 256, (24, 30, 3), np.uint8)
B = (A.astype(int) + RNG.integers(-9, 10, A.shape)).clip(0, 255).astype(np.uint8)


def forms(picture: np.ndarray) -> dict[str, Any]:
    """The same picture in every layout and type."""
    unit = picture.astype(np.float32) / 255
    return {
        "HWC uint8": picture,
        "HWC float64": picture / 255,
        "CHW uint8": np.ascontiguousarray(picture.transpose(2, 0, 1)),
        "NHWC uint8": picture[None],
        "NCHW tensor": torch.from_numpy(unit).permute(2, 0, 1)[None],
        "CHW tensor with gradient": torch.from_numpy(unit).permute(2, 0, 1).requires_grad_(),
        "HWC tensor uint8": torch.from_numpy(picture),
        "NCHW tensor float64": torch.from_numpy(picture / 255).permute(2, 0, 1)[None],
    }


@pytest.mark.parametrize("form", forms(A))
def test_every_form_gives_the_protocols_figures(form: str) -> None:
    for other in (form, "HWC uint8"):
        a, b = forms(A)[form], forms(B)[other]
        assert mafdn.psnr(a, b, border=4) == psnr_y(A, B, border=4)
        assert mafdn.ssim(a, b, border=4) == ssim_y(A, B, border=4)
        assert mafdn.psnr(a, b, channels="rgb") == psnr_rgb(A, B, border=0)
        assert mafdn.ssim(a, b, channels="rgb", border=1) == ssim_rgb(A, B, border=1)


def test_known_values() -> None:
    black, white = np.zeros((20, 20), np.uint8), np.full((20, 20), 255, np.uint8)
    assert mafdn.psnr(black, white, channels="rgb") == 0.0
    assert mafdn.psnr(white, white) == math.inf
    assert mafdn.ssim(white, white) == 1.0
    gray = np.full((20, 20), 128, np.uint8)
    assert mafdn.psnr(gray, gray + 1, channels="rgb") == pytest.approx(20 * math.log10(255))
    # Luma of gray has the range of BT.601: 219 instead of 255 levels.
    assert mafdn.psnr(gray, gray + 1) == pytest.approx(20 * math.log10(255 * 255 / 219), abs=1e-3)


def test_gray_is_rgb_with_three_equal_channels() -> None:
    x, y = A[..., 0], B[..., 0]
    for channels in ("luma", "rgb"):
        expected = mafdn.psnr(np.stack([x] * 3, 2), np.stack([y] * 3, 2), channels=channels)
        for form in (x, x[..., None], x[None], torch.from_numpy(x)[None, None]):
            assert mafdn.psnr(form, y, channels=channels) == pytest.approx(expected)


def test_overshoot_is_clipped_and_results_are_rounded() -> None:
    white = np.full((12, 12, 3), 1.0)
    assert mafdn.psnr(white + 0.3, white) == math.inf
    assert mafdn.psnr(white - 0.4 / 255, white) == math.inf
    assert mafdn.psnr(white - 0.6 / 255, white) < math.inf


def test_a_batch_has_the_mean_of_its_pictures() -> None:
    a, b = np.stack([A, A]), np.stack([B, A[::-1]])
    assert mafdn.psnr(a, b) == pytest.approx((psnr_y(A, B, border=0) + psnr_y(A, A[::-1], border=0)) / 2)


def test_ambiguous_shapes_need_a_layout() -> None:
    a, b = A[:3], B[:3]
    with pytest.raises(UsageError, match=r"result of shape \(3, 30, 3\) may be HWC or CHW; choose with layout='HWC'"):
        mafdn.psnr(a, b)
    assert mafdn.psnr(a, b, layout="HWC") == psnr_y(a, b, border=0)
    batch = torch.zeros(1, 3, 20, 3)
    with pytest.raises(UsageError, match="may be NCHW or NHWC"):
        mafdn.psnr(batch, batch)


@pytest.mark.parametrize(
    ("a", "b", "options", "words"),
    [
        (A / 255 * 255, B, {}, r"result is float from 0 to 255, not in \[0, 1\]; divide it by 255"),
        (A / 127.5 - 1, B, {}, r"result is float from -1 to 1, not in \[0, 1\]; scale it"),
        (A.astype(np.int64), B, {}, r"result is int64; pass uint8, or float in \[0, 1\]"),
        (A, B.astype(bool), {}, "reference is bool"),
        (A, B[:-1], {}, r"result is 30x24 and reference 30x23 \(width x height\); crop the reference"),
        (np.stack([A, A]), B, {}, "result has 2 pictures and reference 1"),
        (A[..., :2], B, {}, r"result has the shape \(24, 30, 2\); expected"),
        (np.zeros(5), B, {}, r"result has the shape \(5,\); expected"),
        ("a.png", B, {}, "result must be an array or a tensor, not a str"),
        (None, B, {}, "not a NoneType"),
        (np.full((20, 20, 3), np.nan), B, {}, "not finite"),
        (np.zeros((0, 3, 3), np.uint8), B, {"layout": "HWC"}, "result is empty"),
        (A, B, {"layout": "NCHW"}, "does not have the layout NCHW"),
        (A, B, {"layout": "WHC"}, "layout must be one of auto, HW"),
        (A, B, {"channels": "y"}, "channels must be luma or rgb, not 'y'"),
        (A, B, {"border": -1}, "border must be at least 0"),
        (A, B, {"border": 1.5}, "border must be a whole number"),
        (A, B, {"border": 12}, "30x24 with border = 12 cannot be measured: nothing is left"),
    ],
)
def test_unsuitable_arrays_are_refused(a: Any, b: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        mafdn.psnr(a, b, **options)


def test_ssim_needs_eleven_pixels() -> None:
    with pytest.raises(UsageError, match="at least 11x11"):
        mafdn.ssim(A, B, border=7)
