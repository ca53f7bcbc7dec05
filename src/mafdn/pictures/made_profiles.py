"""ICC profiles made from primaries and a tone curve, for files that state their colors by numbers.

The profiles are of version 4 (ICC.1:2010): matrix and parametric curves, adapted to D50 by Bradford's transform.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

XY = tuple[float, float]
"""Chromaticity: x and y of CIE 1931."""
D65: XY = (0.3127, 0.329)
BT709_PRIMARIES: tuple[XY, XY, XY] = ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
P3_PRIMARIES: tuple[XY, XY, XY] = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
BT2020_PRIMARIES: tuple[XY, XY, XY] = ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046))
"""Red, green and blue of BT.709 (sRGB), Display P3 and BT.2020."""

LINEAR = (1.0,)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
"""Parameters of tone curves: gamma alone, or g, a, b, c and d of ICC's parametric curve of type 3."""

BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
XYZ_TAGS = (b"rXYZ", b"gXYZ", b"bXYZ")
D50_XYZ = np.array([0.9642, 1.0, 0.8249])
"""The white of ICC's connection space."""


def matrix_profile(primaries: tuple[XY, XY, XY], curve: tuple[float, ...], *, white: XY = D65, name: str) -> bytes:
    """A profile for RGB.

    Args:
        primaries: Chromaticities of red, green and blue.
        curve: Parameters of the tone curve, from the signal to light: 1 (gamma) or 5.
        white: Chromaticity of white.
        name: Description of the profile.

    Raises:
        ValueError: The primaries do not span a gamut.
    """
    xyz = np.array([_xyz(point) for point in primaries]).T  # columns: red, green, blue
    if abs(np.linalg.det(xyz)) < 1e-6:
        raise ValueError("the primaries of its colors are invalid")
    columns = xyz * np.linalg.solve(xyz, _xyz(white))
    adaptation = _adaptation(white)
    trc = _curve_tag(curve)
    tags = {
        **_common_tags(name, adaptation),
        **{tag: _xyz_tag(column) for tag, column in zip(XYZ_TAGS, (adaptation @ columns).T, strict=True)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc),
    }
    return _profile(b"RGB ", tags)


def grey_profile(curve: tuple[float, ...], *, white: XY = D65, name: str) -> bytes:
    """A profile for grey; arguments as in `matrix_profile`."""
    return _profile(b"GRAY", {**_common_tags(name, _adaptation(white)), b"kTRC": _curve_tag(curve)})


def _xyz(point: XY) -> NDArray[np.float64]:
    x, y = point
    if not (0 < y <= 2 and abs(x) <= 2):
        raise ValueError("the primaries of its colors are invalid")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(white: XY) -> NDArray[np.floating[Any]]:
    """The matrix that adapts XYZ colors under `white` to D50."""
    cones = BRADFORD @ _xyz(white)
    if (cones <= 0).any():
        raise ValueError("the white of its colors is invalid")
    return np.linalg.solve(BRADFORD, np.diag(BRADFORD @ D50_XYZ / cones) @ BRADFORD)


def _common_tags(name: str, adaptation: NDArray[np.floating[Any]]) -> dict[bytes, bytes]:
    matrix = struct.pack(">9i", *np.rint(adaptation.ravel() * 65_536).astype(int))
    return {
        b"desc": _text_tag(name),
        b"cprt": _text_tag("No copyright"),
        b"wtpt": _xyz_tag(D50_XYZ),
        b"chad": b"sf32" + bytes(4) + matrix,
    }


def _text_tag(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _xyz_tag(xyz: NDArray[Any]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *np.rint(np.asarray(xyz) * 65_536).astype(int))


def _curve_tag(curve: tuple[float, ...]) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return b"para" + bytes(4) + struct.pack(f">HH{len(curve)}i", kind, 0, *(round(v * 65_536) for v in curve))


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body = b"", b""
    places: dict[bytes, int] = {}
    for tag, data in tags.items():
        if data not in places:
            places[data] = 132 + 12 * len(tags) + len(body)
            body += data.ljust(-(-len(data) // 4) * 4, b"\0")
        table += struct.pack(">4sII", tag, places[data], len(data))
    white = struct.pack(">3i", *np.rint(D50_XYZ * 65_536).astype(int))
    header = struct.pack(">I4sI4s4s4s", 0, b"", 0x0420_0000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s4sI", 2024, 1, 1, 0, 0, 0, b"acsp", b"", 0).ljust(44, b"\0")  # to the white
    header = (header + white).ljust(128, b"\0")
    size = 132 + len(table) + len(body)
    return struct.pack(">I", size) + header[4:] + struct.pack(">I", len(tags)) + table + body
