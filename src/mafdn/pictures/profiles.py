"""Color profiles: whether one fits a picture, its tone curves, and what colors stated by number mean.

Networks are trained on pictures encoded for displays. The encoded values of sRGB, Display P3, Adobe RGB, ProPhoto and
the like are fed to the network unchanged, so that no gamut is ever clipped and the same profile fits the result. Only
if the tone curve is not that of a display (linear light, above all) are the values converted to the curve of sRGB for
the network and back afterwards: channel by channel, so that primaries and gamut are preserved. A profile that consists
of lookup tables alone is not converted.
"""

import struct
from typing import Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn.errors import PictureError
from mafdn.pictures.icc import LIKE_SRGB, make_profile, with_tags
from mafdn.pictures.libvips import space_of
from mafdn.pictures.metadata import ICC
from mafdn.pictures.picture import HDR_TRANSFERS, CodePoints, Picture
from mafdn.pixels.tone import Curve, Tone, srgb_light, srgb_signal

SPACES = {1: b"GRAY", 3: b"RGB "}
"""Color spaces of ICC profiles by number of channels."""
CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
"""Classes of ICC profiles that describe pictures."""
CURVE_TAGS = {1: (b"kTRC",), 3: (b"rTRC", b"gTRC", b"bTRC")}
"""ICC tags of the tone curves by number of channels."""
DISPLAY_GAMMA = (1.4, 3.2)
"""Range of the gamma at half signal that counts as a display's: it holds 1.8 to 2.6, sRGB, BT.1886 and L*."""
COLUMN_TAGS: dict[int, tuple[bytes, ...]] = {1: (), 3: (b"rXYZ", b"gXYZ", b"bXYZ")}
"""ICC tags of the primaries by number of channels."""
HDR_TAGS = tuple(bytes([number]) for number in HDR_TRANSFERS)
"""HDR transfer functions as a profile's `cicp` tag states them."""
STEPS = 65_536
"""Points of a tone curve."""
PARAMETER_COUNTS = (1, 3, 4, 5, 7)
"""Parameters of each type of parametric curve."""
SAME_CURVE, SAME_MATRIX = 1e-3, 2e-3
"""Largest differences of tone curves and of matrices to XYZ between profiles of the same colors."""
DAMAGED_PROFILE = "its color profile is damaged"
PROFILE_IGNORED = "it was ignored, the picture taken as {}"
UNKNOWN, SRGB_PRIMARIES, P3_PRIMARIES = 2, 1, 12
"""Numbers of color primaries; that for unknown ones is the same for transfer characteristics."""


def distinct_colors(points: CodePoints | None) -> CodePoints | None:
    """The colors that a file states by number; `None` if they are those of sRGB, which need no statement."""
    if points is None or (
        points.primaries in (SRGB_PRIMARIES, UNKNOWN) and points.transfer in LIKE_SRGB and points.full_range
    ):
        return None
    return points


def profile_of_points(points: CodePoints | None, *, grey: bool) -> tuple[bytes | None, str | None]:
    """Find a profile for colors stated by number, as PNG, AVIF and HEIC can (ITU-T H.273).

    Returns:
        The ICC profile, `None` for sRGB and for HDR, which no profile describes well; and a note where something else
        is taken as sRGB.
    """
    if points is None or points.hdr:
        return None, None
    primaries = SRGB_PRIMARIES if grey or points.primaries == UNKNOWN else points.primaries
    if primaries == SRGB_PRIMARIES and points.transfer in LIKE_SRGB:
        return None, None
    if primaries == P3_PRIMARIES and points.transfer in LIKE_SRGB:
        return bytes(pyvips.Operation.call("profile_load", "p3")), None
    profile = make_profile(primaries, points.transfer, grey=grey)
    numbers = f"primaries {points.primaries}, transfer {points.transfer} of H.273, no profile"
    return profile, None if profile else f"its colors ({numbers}) were taken as sRGB"


def check_profile(profile: bytes, channels: int) -> str | None:
    """Why `profile` cannot describe a picture of 1 (grey) or 3 (RGB) channels; `None` if it can."""
    try:
        tags = _tags(profile)
    except (struct.error, ValueError):
        return DAMAGED_PROFILE
    if profile[12:16] not in CLASSES or profile[20:24] not in (b"XYZ ", b"Lab "):
        return "its color profile is not one of a picture"
    if profile[16:20] != SPACES[channels]:
        space = profile[16:20].decode("latin-1").strip()
        return f"its color profile is for {space}, which the picture is not"
    missing = [name for name in CURVE_TAGS[channels] if name not in tags]
    if missing and b"A2B0" not in tags and b"A2B1" not in tags:
        return "its color profile is incomplete"
    try:
        for name in CURVE_TAGS[channels]:
            if name in tags:
                _curve(tags[name])
    except (struct.error, ValueError):
        return DAMAGED_PROFILE
    return None


def picture_tone(picture: Picture) -> Tone | None:
    """The tone conversion for a picture; `None` if its values are encoded for a display."""
    if picture.profile is None and picture.floating:
        return _tone([np.linspace(0, 1, STEPS, dtype=np.float32)] * picture.colors)
    if picture.code_points and picture.code_points.hdr:
        return None
    return find_tone(picture.profile, picture.colors)


def grey_profile(profile: bytes) -> bytes | None:
    """Convert an RGB profile to one for a grey picture, in which some programs embed it.

    Equal values of red, green and blue are neutral, so that only the tone curve matters.

    Returns:
        A profile with the same tone curve; `None` if `profile` is not of that kind.
    """
    if check_profile(profile, 3) is not None:
        return None
    tags = _tags(profile)
    curves = [_curve(tags[name]) for name in CURVE_TAGS[3] if name in tags]
    if len(curves) < 3 or not all(np.array_equal(curve, curves[0]) for curve in curves):
        return None
    kept = {name: tags[name] for name in (b"desc", b"cprt", b"wtpt") if name in tags} | {b"kTRC": tags[b"rTRC"]}
    head = bytearray(profile[:128])
    head[16:20], head[84:100] = SPACES[1], bytes(16)
    return with_tags(bytes(head), kept)


def find_tone(profile: bytes | None, channels: int) -> Tone | None:
    """The tone conversion for a picture with this (checked) profile; `None` if its curves are those of a display."""
    if profile is None:
        return None
    tags = _tags(profile)
    if not all(name in tags for name in CURVE_TAGS[channels]) or tags.get(b"cicp", b"")[9:10] in HDR_TAGS:
        return None
    curves = [_curve(tags[name]) for name in CURVE_TAGS[channels]]
    if all(_is_display_like(curve) or not _is_rising(curve) for curve in curves):
        return None
    return _tone(curves)


def curves_and_matrix(profile: bytes, channels: int) -> tuple[list[Curve], NDArray[np.float64]] | None:
    """The tone curves of a (checked) profile and the matrix from linear light to XYZ under D50, a column for grey.

    `None` if the profile has look-up tables or lacks one of these.
    """
    tags = _tags(profile)
    columns = COLUMN_TAGS[channels]
    needed = (*CURVE_TAGS[channels], *columns)
    if b"A2B0" in tags or b"A2B1" in tags or not all(name in tags for name in needed):
        return None
    curves = [_curve(tags[name]) for name in CURVE_TAGS[channels]]
    points = [struct.unpack_from(">3i", tags[name], 8) if len(tags[name]) >= 20 else (0, 0, 0) for name in columns]
    matrix = np.array(points, np.float64).T / 65_536 if columns else np.array([[0.9642], [1.0], [0.8249]])
    return (curves, matrix) if np.linalg.matrix_rank(matrix) == channels else None


def same_colors(first: bytes | None, second: bytes | None, channels: tuple[int, int]) -> bool:
    """Whether values under two (checked) profiles mean the same colors.

    Args:
        first: A profile; `None` for sRGB.
        second: Another one.
        channels: Number of color channels under each. Only the tone curves matter if either is grey.
    """
    if first == second and (first is None or channels[0] == channels[1]):
        return True
    srgb = bytes(pyvips.Operation.call("profile_load", "srgb"))
    known = [
        curves_and_matrix(srgb, 3) if profile is None else curves_and_matrix(profile, count)
        for profile, count in zip((first, second), channels, strict=True)
    ]
    if known[0] is None or known[1] is None:
        return False
    (curves, matrix), (others, other) = known[0], known[1]
    alike = all(
        np.abs(curves[i % len(curves)] - others[i % len(others)]).max() < SAME_CURVE
        for i in range(max(len(curves), len(others)))
    )
    return alike and (1 in channels or bool(np.abs(matrix - other).max() < SAME_MATRIX))


def to_srgb(values: NDArray[np.uint16], profile: bytes) -> NDArray[np.uint16]:
    """Convert (h, W, 1 or 3) values under a (checked) profile to sRGB: (h, W, 3).

    Raises:
        PictureError: The profile cannot be applied.
    """
    height, width, channels = values.shape
    data = np.ascontiguousarray(values)
    image = pyvips.Image.new_from_memory(data.data, width, height, channels, "ushort")
    image = image.copy(interpretation=space_of(grey=channels == 1, deep=True))
    image.set_type(pyvips.GValue.blob_type, ICC, cast(Any, profile))
    try:
        converted = np.asarray(image.icc_transform("srgb", embedded=True, depth=16).numpy())
    except pyvips.Error:
        raise PictureError("the color profile cannot be applied; convert the picture to sRGB first") from None
    return converted.reshape(height, width, 3)


def _tone(curves: list[Curve]) -> Tone:
    """The conversion for channels with these tone curves."""
    grid = np.linspace(0, 1, STEPS, dtype=np.float32)
    light = srgb_light(grid)
    return Tone(
        to_display=tuple(srgb_signal(curve).astype(np.float32) for curve in curves),
        from_display=tuple(np.interp(light, curve, grid).astype(np.float32) for curve in curves),
    )


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The profile's tags by signature; raises `ValueError` or `struct.error` if it is damaged."""
    size, count = struct.unpack_from(">I", profile)[0], struct.unpack_from(">I", profile, 128)[0]
    if not 132 <= size <= len(profile) or profile[36:40] != b"acsp" or count > 200:
        raise ValueError("not a profile")
    tags: dict[bytes, bytes] = {}
    for number in range(count):
        name, start, length = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if start + length > len(profile):
            raise ValueError("a tag lies outside the profile")
        tags[name] = profile[start : start + length]
    return tags


def _curve(tag: bytes) -> Curve:
    """Evaluate a tone curve tag; raises `ValueError` or `struct.error` if it is damaged."""
    x = np.linspace(0, 1, STEPS)
    if tag[:4] == b"curv":
        count = struct.unpack_from(">I", tag, 8)[0]
        if count == 0:
            return x.astype(np.float32)
        values = np.frombuffer(tag, ">u2", count, 12)
        if count == 1:
            return (x ** (float(values[0]) / 256)).astype(np.float32)
        return np.interp(x, np.linspace(0, 1, count), values / 65_535).astype(np.float32)
    if tag[:4] != b"para":
        raise ValueError("invalid tone curve")
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind >= len(PARAMETER_COUNTS):
        raise ValueError("invalid tone curve")
    parameters = [v / 65_536 for v in struct.unpack_from(f">{PARAMETER_COUNTS[kind]}i", tag, 12)]
    if kind == 0:
        g, a, b, c, d, e, f = parameters[0], 1.0, 0.0, 0.0, -1.0, 0.0, 0.0
    elif kind <= 2:
        g, a, b = parameters[:3]
        if a <= 0:
            raise ValueError("invalid tone curve")
        e = f = parameters[3] if kind == 2 else 0.0
        c, d = 0.0, -b / a
    else:
        g, a, b, c, d, e, f = (*parameters, 0.0, 0.0)[:7]
    with np.errstate(all="ignore"):
        y = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    if not np.isfinite(y).all():
        raise ValueError("invalid tone curve")
    return np.clip(y, 0, 1).astype(np.float32)


def _is_rising(curve: Curve) -> bool:
    return bool((np.diff(curve) >= 0).all()) and curve[-1] - curve[0] > 0.5


def _is_display_like(curve: Curve) -> bool:
    middle = float(curve[STEPS // 2])
    return 0 < middle < 1 and DISPLAY_GAMMA[0] <= np.log(middle) / np.log(0.5) <= DISPLAY_GAMMA[1]
