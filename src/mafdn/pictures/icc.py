"""ICC profiles for colors that files state by number (ITU-T H.273)."""

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

D65, C, DCI, E = (0.3127, 0.329), (0.31, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)
"""White points: x, y."""
BT601 = ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65)
PRIMARIES: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C),
    5: ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06), D65),
    6: BT601,
    7: BT601,
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), E),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), DCI),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), D65),
    22: ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077), D65),
}
"""Chromaticities x, y of red, green, blue and white by the number of the primaries (H.273, table 2)."""
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""Parameters of the curve of sRGB as an ICC curve of type 3."""
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
"""Exponents by the number of the transfer characteristics."""
LIKE_SRGB = (1, 2, 6, 7, 11, 12, 13, 14, 15)
"""Transfer characteristics that are shown by the curve of sRGB: its own, those of video cameras, whose pictures are
graded on displays, and the unspecified one."""
D50 = (0.9642, 1.0, 0.8249)
"""White of the connection space."""
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""From XYZ to the responses in which white points are adapted."""
Matrix = NDArray[np.float64]
Points = tuple[tuple[float, float], ...]


def make_profile(primaries: int, transfer: int, *, grey: bool) -> bytes | None:
    """Make an ICC profile (version 4) for an SDR picture.

    Args:
        primaries: Number of the color primaries.
        transfer: Number of the transfer characteristics.
        grey: Whether the picture is grey; it then has no primaries.

    Returns:
        The profile; `None` if the numbers are unknown, or stand for a curve that is neither a power nor that of sRGB.
    """
    curve = SRGB_CURVE if transfer in LIKE_SRGB else (GAMMAS[transfer],) if transfer in GAMMAS else None
    if curve is None or (not grey and primaries not in PRIMARIES):
        return None
    if grey:
        return profile_of_curve(curve, name=f"H.273 transfer {transfer}")
    return profile_of_primaries(PRIMARIES[primaries], curve, name=f"H.273 primaries {primaries}, transfer {transfer}")


def profile_of_primaries(points: Points, curve: tuple[float, ...], *, name: str) -> bytes:
    """An ICC profile for RGB.

    Args:
        points: Chromaticities x, y of red, green, blue and white.
        curve: Parameters of the tone curve from signal to light: an exponent, or the five of an ICC curve of type 3.
        name: Description of the profile.

    Raises:
        ValueError: The chromaticities do not span a gamut.
    """
    if len(points) != 4 or points[3][1] < 1e-4 or _area(points) < 1e-4:
        raise ValueError("the primaries of its colors are invalid")
    colors, adaptation = matrices(points)
    tags = _common_tags(name)
    tags[b"chad"] = b"sf32" + bytes(4) + _fixed(*adaptation.ravel())
    for letter, column in zip(b"rgb", colors.T, strict=True):
        tags[b"%cXYZ" % letter] = _xyz(*column)
        tags[b"%cTRC" % letter] = _parametric(curve)
    return _profile(b"RGB ", tags)


def profile_of_curve(curve: tuple[float, ...], *, name: str) -> bytes:
    """An ICC profile for grey; arguments as in `profile_of_primaries`."""
    return _profile(b"GRAY", _common_tags(name) | {b"kTRC": _parametric(curve)})


def _area(points: Points) -> float:
    """Twice the area of the triangle of red, green and blue."""
    (a, b), (c, d), (e, f) = points[:3]
    return abs((c - a) * (f - b) - (e - a) * (d - b))


def _common_tags(name: str) -> dict[bytes, bytes]:
    return {b"desc": _text(name), b"cprt": _text("No copyright, use freely"), b"wtpt": _xyz(*D50)}


def _parametric(curve: tuple[float, ...]) -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", 0 if len(curve) == 1 else 3, 0) + _fixed(*curve)


def matrices(points: Points) -> tuple[Matrix, Matrix]:
    """From RGB to XYZ adapted to D50, and from XYZ under the picture's white to XYZ under D50."""
    *colors, white = (np.array([x, y, 1 - x - y]) for x, y in points)
    columns, white = np.stack(colors, axis=1), white / white[1]
    columns = columns * np.linalg.solve(columns, white)
    responses = (BRADFORD @ np.array(D50)) / (BRADFORD @ white)
    adaptation = np.linalg.inv(BRADFORD) @ np.diag(responses) @ BRADFORD
    return adaptation @ columns, adaptation


def with_tags(header: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """A profile of these tags, with a header of 128 bytes whose first four are replaced by the profile's size."""
    table, values = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    return struct.pack(">I", start + len(values)) + header[4:128] + table + values


def _profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    head = struct.pack(">I4sI4s4s4s", 0, bytes(4), 0x0440_0000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp").ljust(44, b"\0") + _fixed(*D50)
    return with_tags(head.ljust(128, b"\0"), tags)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values))


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
