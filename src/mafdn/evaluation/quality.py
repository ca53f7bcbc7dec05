"""PSNR and SSIM of arrays and tensors in the layouts and ranges that are in use."""

import sys
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mafdn._support.validate import as_whole
from mafdn.errors import UsageError
from mafdn.pixels import psnr_rgb, psnr_y, ssim_rgb, ssim_y

Pixels = NDArray[np.uint8]
Channels = Literal["luma", "rgb"]
Layout = Literal["auto", "HW", "HWC", "CHW", "NCHW", "NHWC"]
LOWEST, HIGHEST = -0.5, 1.5
"""Floats beyond these cannot be a network's overshoot: the array must have another range than [0, 1]."""
COLORS = (1, 3)
"""Numbers of channels: gray and RGB."""


def psnr(
    result: Any, reference: Any, *, border: int = 0, channels: Channels = "luma", layout: Layout = "auto"
) -> float:
    """Measure the PSNR of a picture, or the mean over a batch.

    Floats are clipped and rounded to 8 bits first, as usual in papers and as by `mafdn.evaluate`.

    Example:
        mafdn.psnr(network(lr), hr, border=4)

    Args:
        result: Array or tensor, uint8 or float in [0, 1]: (H, W), (H, W, C), (C, H, W), (N, C, H, W) or (N, H, W, C).
            C is 3 (RGB) or 1 (gray, which is measured as RGB with three equal channels).
        reference: The original, in any of these forms, of the same size.
        border: Pixels to ignore at each edge; papers ignore as many as the scale.
        channels: `luma` (BT.601, as in papers), or `rgb` for all samples. To measure a luma plane computed before,
            pass it as (H, W) with `rgb`.
        layout: The axes of both arrays, if they cannot be told from their shapes.

    Returns:
        PSNR in dB; infinite for equal pictures.

    Raises:
        UsageError: If the arrays have another type, range, shape or size, or nothing is left within the border.
    """
    return _mean(result, reference, border, layout, {"luma": psnr_y, "rgb": psnr_rgb}, channels)


def ssim(
    result: Any, reference: Any, *, border: int = 0, channels: Channels = "luma", layout: Layout = "auto"
) -> float:
    """Measure the SSIM of a picture, or the mean over a batch.

    Wang et al. 2004, with an 11x11 Gaussian window over the valid region; with `rgb`, the mean of the three channels.

    Args:
        result: As for `mafdn.psnr`; at least 11x11 within the border.
        reference: As for `mafdn.psnr`.
        border: As for `mafdn.psnr`.
        channels: As for `mafdn.psnr`.
        layout: As for `mafdn.psnr`.

    Returns:
        SSIM, at most 1.

    Raises:
        UsageError: As for `mafdn.psnr`.
    """
    return _mean(result, reference, border, layout, {"luma": ssim_y, "rgb": ssim_rgb}, channels)


def as_pictures(name: str, value: Any, *, layout: str = "auto") -> Pixels:
    """Convert a picture or a batch to (N, H, W, 3) uint8; arguments as for `psnr`.

    Args:
        name: What to call the array in messages.
        value: Array or tensor.
        layout: Its axes.

    Raises:
        UsageError: If it has another type, range or shape.
    """
    array = _as_array(name, value)
    if layout not in get_args(Layout):
        raise UsageError(f"layout must be one of {', '.join(get_args(Layout))}, not {layout!r}")
    axes = _axes(name, array.shape) if layout == "auto" else layout
    if len(axes) != array.ndim:
        raise UsageError(f"{name} of shape {array.shape} does not have the layout {layout}")
    if "C" not in axes:
        array, axes = array[..., None], axes + "C"
    if "N" not in axes:
        array, axes = array[None], "N" + axes
    array = array.transpose([axes.index(axis) for axis in "NHWC"])
    if array.shape[3] not in COLORS:
        raise UsageError(f"{name} has {array.shape[3]} channels; pass RGB (3) or gray (1)")
    if not array.size:
        raise UsageError(f"{name} is empty: its shape is {array.shape}")
    return np.broadcast_to(_as_uint8(name, array), (*array.shape[:3], 3))


def _mean(
    result: Any,
    reference: Any,
    border: int,
    layout: Layout,
    metrics: dict[str, Callable[..., float]],
    channels: str,
) -> float:
    if channels not in metrics:
        raise UsageError(f"channels must be luma or rgb, not {channels!r}")
    border = as_whole("border", border)
    if border < 0:
        raise UsageError(f"border must be at least 0, not {border}")
    a, b = as_pictures("result", result, layout=layout), as_pictures("reference", reference, layout=layout)
    if len(a) != len(b):
        raise UsageError(f"result has {len(a)} pictures and reference {len(b)}")
    if a.shape != b.shape:
        raise UsageError(
            f"result is {a.shape[2]}x{a.shape[1]} and reference {b.shape[2]}x{b.shape[1]} (width x height); crop the "
            "reference to a multiple of the scale, and do not resize it"
        )
    try:
        return float(np.mean([metrics[channels](x, y, border=border) for x, y in zip(a, b, strict=True)]))
    except ValueError as error:
        raise UsageError(f"{a.shape[2]}x{a.shape[1]} with border = {border} cannot be measured: {error}") from None


def _as_array(name: str, value: Any) -> NDArray[Any]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor: Any = value.detach().cpu()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if not isinstance(value, np.ndarray) and not hasattr(value, "__array_interface__"):
        raise UsageError(f"{name} must be an array or a tensor, not a {type(value).__name__}")
    return np.asarray(value)


def _axes(name: str, shape: tuple[int, ...]) -> str:
    """The layout that a shape has; raises `UsageError` if it has none or several."""
    choices = {2: ("HW",), 3: ("HWC", "CHW"), 4: ("NCHW", "NHWC")}.get(len(shape), ())
    fitting = [axes for axes in choices if "C" not in axes or shape[axes.index("C")] in COLORS]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(f"{name} of shape {shape} may be {' or '.join(fitting)}; choose with layout={fitting[0]!r}")
    raise UsageError(
        f"{name} has the shape {shape}; expected (H, W), (H, W, C), (C, H, W), (N, C, H, W) or (N, H, W, C) with 3 "
        "channels (RGB) or 1 (gray)"
    )


def _as_uint8(name: str, array: NDArray[Any]) -> Pixels:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise UsageError(f"{name} is {array.dtype}; pass uint8, or float in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if not np.isfinite(array).all():
        raise UsageError(f"{name} has values that are not finite")
    if low < LOWEST or high > HIGHEST:
        remedy = "divide it by 255, or convert it to uint8" if high > 2 else "scale it to [0, 1]"
        raise UsageError(f"{name} is float from {low:.4g} to {high:.4g}, not in [0, 1]; {remedy}")
    return np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
