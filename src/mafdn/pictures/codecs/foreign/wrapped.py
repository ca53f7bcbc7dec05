"""TIFF directories made in memory, around pixels of another kind of file."""

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16
"""Types of entries."""
SHORTS, RATIONALS = (258, 259, 262, 277, 284, 296, 320, 338, 339), (282, 283)
"""Tags whose values have 2 bytes, and that are fractions."""
Value = list[int] | bytes | NDArray[np.uint64]


def directory(tags: Mapping[int, Value], place: int) -> bytes:
    """A directory of BigTIFF in big-endian order, followed by the values that do not fit into its entries.

    Args:
        tags: Values by tag: integers, numerator and denominator, bytes, or an array of places and lengths.
        place: Byte of the file at which the directory begins.
    """
    table, values = b"", b""
    values_at = place + 8 + 20 * len(tags) + 8
    for tag in sorted(tags):
        kind, count, data = _packed(tag, tags[tag])
        if len(data) > 8:
            stored = struct.pack(">Q", values_at + len(values))
            values += data + bytes(len(data) % 2)
        else:
            stored = data.ljust(8, b"\0")
        table += struct.pack(">HHQ", tag, kind, count) + stored
    return struct.pack(">Q", len(tags)) + table + bytes(8) + values


def _packed(tag: int, value: Value) -> tuple[int, int, bytes]:
    """Type, number and bytes of an entry's values."""
    if isinstance(value, bytes):
        return UNDEFINED, len(value), value
    if isinstance(value, np.ndarray):
        return LONG8, len(value), value.astype(">u8").tobytes()
    if tag in RATIONALS:
        return RATIONAL, 1, struct.pack(">II", *value)
    kind = SHORT if tag in SHORTS else LONG
    return kind, len(value), struct.pack(f">{len(value)}{'H' if kind == SHORT else 'I'}", *value)
