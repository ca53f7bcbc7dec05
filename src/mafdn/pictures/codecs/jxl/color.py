"""Colors of JPEG XL files: profiles for what a header states, and conversions to and from the codec's own space."""

import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn.pictures.codecs.foreign.arrays import array_of, image_of
from mafdn.pictures.codecs.jxl import header as jxl
from mafdn.pictures.codecs.jxl.header import Colors
from mafdn.pictures.made_profiles import (
    BT709_CURVE,
    BT709_PRIMARIES,
    BT2020_PRIMARIES,
    D65,
    LINEAR,
    P3_PRIMARIES,
    SRGB_CURVE,
    XY,
    grey_profile,
    matrix_profile,
)
from mafdn.pictures.metadata import ICC

WHITES: dict[int, XY] = {jxl.D65: D65, jxl.EQUAL_ENERGY: (1 / 3, 1 / 3), jxl.DCI_WHITE: (0.314, 0.351)}
PRIMARIES = {
    jxl.SRGB_PRIMARIES: BT709_PRIMARIES,
    jxl.BT2100_PRIMARIES: BT2020_PRIMARIES,
    jxl.P3_PRIMARIES: P3_PRIMARIES,
}
CURVES: dict[int, tuple[float, ...]] = {
    jxl.BT709: BT709_CURVE,
    jxl.LINEAR: LINEAR,
    jxl.SRGB: SRGB_CURVE,
    jxl.DCI: (2.6,),
}
CICP_PRIMARIES = {jxl.SRGB_PRIMARIES: 1, jxl.BT2100_PRIMARIES: 9, jxl.P3_PRIMARIES: 12}
"""Numbers of the primaries in ITU-T H.273."""
HDR = (jxl.PQ, jxl.HLG)
WIDE_NAME = "BT.2020 with the curve of sRGB"
TO_SRGB = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
)
"""Linear light from BT.2020 to sRGB (ITU-R BT.2407)."""


def profile_of(colors: Colors) -> bytes | None:
    """The ICC profile for colors that a header states by numbers, other than HDR; `None` for sRGB.

    Raises:
        ValueError: They are unknown or impossible.
    """
    curve = CURVES.get(colors.transfer) if colors.gamma is None else (1 / max(colors.gamma, 0.01),)
    white = colors.white_xy if colors.white == jxl.CUSTOM else WHITES.get(colors.white)
    if curve is None or white is None or colors.space not in (jxl.RGB, jxl.GREY):
        raise ValueError("its colors are unknown")
    usual = curve == SRGB_CURVE and white == D65
    if colors.space == jxl.GREY:
        return None if usual else grey_profile(curve, white=white, name="Grey of JPEG XL")
    points = PRIMARIES.get(colors.primaries) if colors.primaries != jxl.CUSTOM else colors.primaries_xy
    if points is None or len(points) != 3:
        raise ValueError("its colors are unknown")
    if usual and points == BT709_PRIMARIES:
        return None
    names = {BT709_PRIMARIES: "BT.709", BT2020_PRIMARIES: "BT.2020", P3_PRIMARIES: "Display P3"}
    return matrix_profile((points[0], points[1], points[2]), curve, white=white, name=names.get(points, "JPEG XL"))


def wide_profile(*, grey: bool) -> bytes:
    """The profile that other profiles are converted through."""
    if grey:
        return grey_profile(SRGB_CURVE, name="Grey with the curve of sRGB")
    return matrix_profile(BT2020_PRIMARIES, SRGB_CURVE, name=WIDE_NAME)


def converted(pixels: NDArray[Any], source: bytes, target: bytes) -> NDArray[np.uint16]:
    """Convert (H, W, 1 or 3) pixels from one profile to another.

    Returns:
        The pixels in 16 bits.

    Raises:
        pyvips.Error: A profile cannot be used.
    """
    image = image_of(pixels).copy()
    image.set_type(pyvips.GValue.blob_type, ICC, cast(Any, source))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "target.icc"
        path.write_bytes(target)
        image = image.icc_transform(str(path), embedded=True, depth=16, intent="relative")
        return np.asarray(array_of(image), np.uint16)


def linear_srgb(pixels: NDArray[Any], profile: bytes | None) -> NDArray[np.float32]:
    """(H, W, 1 or 3) pixels of a profile as linear light of sRGB (or its grey), in which other colors are below 0."""
    if profile is not None:
        pixels = converted(pixels, profile, wide_profile(grey=pixels.shape[2] == 1))
    top = 255 if pixels.dtype == np.uint8 else 65_535
    levels = np.linspace(0, 1, top + 1)
    light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)[pixels]
    if profile is not None and pixels.shape[2] == 3:
        light = light @ TO_SRGB.T.astype(np.float32)
    return light
