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
from mafdn.pictures.icc import D65, DCI, PRIMARIES, SRGB_CURVE, E, Points, profile_of_curve, profile_of_primaries
from mafdn.pictures.metadata import ICC

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
WIDE_NAME = "BT.2020 with the curve of sRGB"
TO_SRGB = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
)
"""Linear light from BT.2020 to sRGB (ITU-R BT.2407)."""


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
    return profile_of_primaries(PRIMARIES[9], SRGB_CURVE, name=WIDE_NAME)


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
