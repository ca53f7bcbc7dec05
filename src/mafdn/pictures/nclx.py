"""The color of an AVIF, HEIC or PNG file that states it by numbers (ITU-T H.273) and not by a profile.

libvips reads only profiles; without this, Display P3 from such a file would be taken as sRGB and turn pale.

Public names: :func:`stated_color`, :func:`numbered_color`.
"""

import struct
from pathlib import Path

import pyvips

UNKNOWN, SRGB, P3 = 2, 1, 12
BRIGHT = {16: "PQ", 18: "HLG"}
LONGEST_HEAD = 1 << 20
"""Where the boxes that describe the picture lie, in bytes from the beginning of the file."""


def stated_color(path: Path) -> tuple[bytes | None, str | None]:
    """The profile for the color that the AVIF or HEIC file at ``path`` states, and what is to be said of it.

    No profile means sRGB. For files that have none of their own.
    """
    with path.open("rb") as file:
        head = file.read(LONGEST_HEAD)
    place = head.find(b"colrnclx")
    if place < 0 or len(head) < place + 14:
        return None, None
    primaries, transfer = struct.unpack_from(">HH", head, place + 8)
    return numbered_color(primaries, transfer)


def numbered_color(primaries: int, transfer: int) -> tuple[bytes | None, str | None]:
    """The profile for these numbers and what is to be said; no profile means that they are taken as sRGB."""
    if transfer in BRIGHT:
        return None, f"its values for bright displays ({BRIGHT[transfer]}) were taken as sRGB"
    if primaries == P3:
        return bytes(pyvips.Operation.call("profile_load", "p3")), None
    if primaries not in (SRGB, UNKNOWN):
        return None, f"its colors (primaries {primaries} of H.273, no profile) were taken as sRGB"
    return None, None
