"""Colors of JPEG XL files: profiles for what a header states, and conversions to and from the codec's own space."""

import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn.pictures.codecs.foreign.arrays import image_of
from mafdn.pictures.codecs.jxl import header as jxl
from mafdn.pictures.codecs.jxl.header import Colors
from mafdn.pictures.icc import (
    D65,
    DCI,
    PRIMARIES,
    SRGB_CURVE,
    E,
    Points,
    matrices,
    profile_of_curve,
    profile_of_primaries,
)
from mafdn.pictures.libvips import array_of
from mafdn.pictures.metadata import ICC
from mafdn.pictures.profiles import curves_and_matrix
from mafdn.pixels.tone import Curve, srgb_light

WHITES: dict[int, tuple[float, float]] = {jxl.D65: D65, jxl.EQUAL_ENERGY: E, jxl.DCI_WHITE: DCI}
CICP_PRIMARIES = {jxl.SRGB_PRIMARIES: 1, jxl.BT2100_PRIMARIES: 9, jxl.P3_PRIMARIES: 12}
"""Numbers of the primaries, with a D65 white, in ITU-T H.273; those of transfer functions are the same there."""
CURVES: dict[int, tuple[float, ...]] = {
    jxl.BT709: SRGB_CURVE,  # as for other formats: shown by the curve of sRGB
    jxl.LINEAR: (1.0,),
    jxl.SRGB: SRGB_CURVE,
    jxl.DCI: (2.6,),
}
NAMES = {jxl.SRGB_PRIMARIES: "BT.709", jxl.BT2100_PRIMARIES: "BT.2020", jxl.P3_PRIMARIES: "Display P3"}
WIDE: Points = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
"""Red, green and blue of ROMM RGB (ISO 22028-2), which encloses the gamuts that pictures are stored in."""
WIDE_COLORS = Colors(primaries=jxl.CUSTOM, primaries_xy=WIDE)
"""How a header states the space that profiles are converted through, with the white and the curve of sRGB."""
WIDE_NAME = "ROMM primaries with the white and curve of sRGB"


def profile_of(colors: Colors, *, explicit: bool = False) -> bytes | None:
    """The ICC profile for colors that a header states by numbers, other than HDR.

    Args:
        colors: The colors.
        explicit: Whether sRGB is to have a profile, too.

    Returns:
        The profile, or `None` for sRGB.

    Raises:
        ValueError: They are unknown or impossible.
    """
    curve = CURVES.get(colors.transfer) if colors.gamma is None else (1 / max(colors.gamma, 0.01),)
    white = colors.white_xy if colors.white == jxl.CUSTOM else WHITES.get(colors.white)
    if curve is None or white is None or colors.space not in (jxl.RGB, jxl.GREY):
        raise ValueError("its colors are unknown")
    usual = curve == SRGB_CURVE and white == D65 and not explicit
    if colors.space == jxl.GREY:
        return None if usual else profile_of_curve(curve, name="Grey of JPEG XL")
    number = CICP_PRIMARIES.get(colors.primaries)
    points: Points | None = colors.primaries_xy if number is None else PRIMARIES[number][:3]
    if points is None:
        raise ValueError("its colors are unknown")
    if usual and number == 1:
        return None
    return profile_of_primaries((*points, white), curve, name=NAMES.get(colors.primaries, "Colors of JPEG XL"))


def wide_profile(*, grey: bool) -> bytes:
    """The profile that other profiles are converted through."""
    if grey:
        return profile_of_curve(SRGB_CURVE, name="Grey with the curve of sRGB")
    return profile_of_primaries((*WIDE, D65), SRGB_CURVE, name=WIDE_NAME)


def converted(pixels: NDArray[Any], source: bytes, target: bytes) -> NDArray[np.uint16]:
    """Convert (H, W, 1 or 3) pixels from one profile to another.

    Returns:
        The pixels in 16 bits.

    Raises:
        pyvips.Error: A profile cannot be used.
    """
    channels = pixels.shape[2]
    here, there = curves_and_matrix(source, channels), curves_and_matrix(target, channels)
    if here is None or there is None:
        return _converted_by_tables(pixels, source, target)
    curves, matrix = there
    light = _light(pixels, here[0]) @ np.linalg.lstsq(matrix, here[1], rcond=None)[0].T.astype(np.float32)
    grid = np.linspace(0, 65_535, len(curves[0]))
    values = [np.interp(light[..., number], curve, grid) for number, curve in enumerate(curves)]
    return np.rint(np.stack(values, 2)).astype(np.uint16)


def linear_srgb(pixels: NDArray[Any], profile: bytes | None) -> NDArray[np.float32]:
    """(H, W, 1 or 3) pixels of a profile as linear light of sRGB (or its grey), in which other colors are below 0."""
    channels = pixels.shape[2]
    if profile is None:
        return _light(pixels, [srgb_light(np.linspace(0, 1, 65_536)).astype(np.float32)] * channels)
    found = curves_and_matrix(profile, channels)
    if found is None:
        wide = wide_profile(grey=channels == 1)
        return linear_srgb(_converted_by_tables(pixels, profile, wide), wide)
    curves, matrix = found
    light = _light(pixels, curves)
    return light if channels == 1 else light @ np.linalg.solve(matrices(PRIMARIES[1])[0], matrix).T.astype(np.float32)


def _light(pixels: NDArray[Any], curves: list[Curve]) -> NDArray[np.float32]:
    """Pixels of 8 or 16 bits as linear light, by the tone curve of each channel."""
    step = 257 if pixels.dtype == np.uint8 else 1
    return np.stack([curve[::step][pixels[..., number]] for number, curve in enumerate(curves)], 2)


def _converted_by_tables(pixels: NDArray[Any], source: bytes, target: bytes) -> NDArray[np.uint16]:
    """As `converted`, by LittleCMS, which is less precise, and also for profiles with look-up tables."""
    image = image_of(pixels).copy()
    image.set_type(pyvips.GValue.blob_type, ICC, cast(Any, source))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "target.icc"
        path.write_bytes(target)
        image = image.icc_transform(str(path), embedded=True, depth=16, intent="relative")
        return np.asarray(array_of(image), np.uint16)
