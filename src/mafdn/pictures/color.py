"""What an ICC profile says of the numbers in a picture: whether it fits them, and its tone curves.

A network has seen pictures encoded for displays. The encoded values of sRGB, Display P3, Adobe RGB, ProPhoto and the
like go through it as they are, so no gamut is ever clipped and the same profile fits the result. Only where the tone
curve is not that of a display (linear light, above all) are the values brought onto the curve of sRGB for the network
and back after: channel by channel, so that the primaries, and with them the gamut, stay. A profile of look-up tables
alone is taken as it is.

Public names: :func:`check_profile`, :class:`Tone`, :func:`find_tone`.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float32]

SPACES = {1: b"GRAY", 3: b"RGB "}
CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
CURVES = {1: (b"kTRC",), 3: (b"rTRC", b"gTRC", b"bTRC")}
DISPLAY_GAMMA = (1.4, 3.2)
"""Between them, at half signal, lie the curves of displays: 1.8 to 2.6, sRGB, BT.1886 and L*."""
STEPS = 65_536
PARAMETERS = (1, 3, 4, 5, 7)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tone:
    """Both ways between a profile's own numbers and display-like ones, as tables over [0, 1] for every channel."""

    to_display: tuple[Curve, ...]
    from_display: tuple[Curve, ...]


def check_profile(profile: bytes, channels: int) -> str | None:
    """Why ``profile`` cannot describe a picture of 1 (grey) or 3 (RGB) channels; ``None`` when it can."""
    try:
        tags = _tags(profile)
    except (struct.error, ValueError):
        return "its color profile is damaged"
    if profile[12:16] not in CLASSES or profile[20:24] not in (b"XYZ ", b"Lab "):
        return "its color profile is not one of a picture"
    if profile[16:20] != SPACES[channels]:
        space = profile[16:20].decode("latin-1").strip()
        return f"its color profile is for {space}, which the picture is not"
    missing = [name for name in CURVES[channels] if name not in tags]
    if missing and b"A2B0" not in tags and b"A2B1" not in tags:
        return "its color profile is incomplete"
    try:
        for name in CURVES[channels]:
            if name in tags:
                _curve(tags[name])
    except (struct.error, ValueError):
        return "its color profile is damaged"
    return None


def find_tone(profile: bytes | None, channels: int) -> Tone | None:
    """How to bring a picture with this (checked) profile onto a display's tone curve; ``None`` when it is on one."""
    if profile is None:
        return None
    tags = _tags(profile)
    if not all(name in tags for name in CURVES[channels]):
        return None
    curves = [_curve(tags[name]) for name in CURVES[channels]]
    if all(_is_display_like(curve) or not _is_rising(curve) for curve in curves):
        return None
    grid = np.linspace(0, 1, STEPS, dtype=np.float32)
    light = _srgb_light(grid)
    return Tone(
        to_display=tuple(_srgb_signal(curve) for curve in curves),
        from_display=tuple(np.interp(light, curve, grid).astype(np.float32) for curve in curves),
    )


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The profile's tags by signature; raises ``ValueError`` or ``struct.error`` when it is not whole."""
    size, count = struct.unpack_from(">I", profile)[0], struct.unpack_from(">I", profile, 128)[0]
    if not 132 <= size <= len(profile) or profile[36:40] != b"acsp" or count > 200:
        raise ValueError("no profile")
    tags: dict[bytes, bytes] = {}
    for number in range(count):
        name, start, length = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if start + length > len(profile):
            raise ValueError("a tag lies outside the profile")
        tags[name] = profile[start : start + length]
    return tags


def _curve(tag: bytes) -> Curve:
    """From signal to light, both in [0, 1], at :data:`STEPS` points."""
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
        raise ValueError("no curve")
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind >= len(PARAMETERS):
        raise ValueError("no curve")
    given = [v / 65_536 for v in struct.unpack_from(f">{PARAMETERS[kind]}i", tag, 12)]
    if kind == 0:
        g, a, b, c, d, e, f = given[0], 1.0, 0.0, 0.0, -1.0, 0.0, 0.0
    elif kind <= 2:
        g, a, b = given[:3]
        if a <= 0:
            raise ValueError("no curve")
        e = f = given[3] if kind == 2 else 0.0
        c, d = 0.0, -b / a
    else:
        g, a, b, c, d, e, f = (*given, 0.0, 0.0)[:7]
    with np.errstate(all="ignore"):
        y = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    if not np.isfinite(y).all():
        raise ValueError("no curve")
    return np.clip(y, 0, 1).astype(np.float32)


def _is_rising(curve: Curve) -> bool:
    return bool((np.diff(curve) >= 0).all()) and curve[-1] - curve[0] > 0.5


def _is_display_like(curve: Curve) -> bool:
    middle = float(curve[STEPS // 2])
    return 0 < middle < 1 and DISPLAY_GAMMA[0] <= np.log(middle) / np.log(0.5) <= DISPLAY_GAMMA[1]


def _srgb_light(signal: Curve) -> Curve:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _srgb_signal(light: Curve) -> Curve:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)
