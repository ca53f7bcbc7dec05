"""Complete what FFmpeg, as PyAV drives it, does not write into the header of a Matroska or WebM file.

These are the size at which frames are displayed, the position of chroma samples, and the light levels of films with a
high dynamic range. The muxer is given a title of `PLACEHOLDER` for the video; its bytes are replaced.
"""

import math
import struct
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mafdn.film.source.info import Light

PLACEHOLDER = "mafdn-" + "-" * 250
"""Title of the video that reserves space in its header."""
SEGMENT, TRACKS, TRACK, CLUSTER, VOID, CRC = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675, 0xEC, 0xBF
NAME, VIDEO, COLOR, MASTERING = 0x536E, 0xE0, 0x55B0, 0x55D0
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
SITING_ACROSS, SITING_DOWN, MAX_CLL, MAX_FALL = 0x55B7, 0x55B8, 0x55BC, 0x55BD
LUMINANCE_MOST, LUMINANCE_LEAST = 0x55D9, 0x55DA
PRIMARIES = range(0x55D1, 0x55D9)
"""x and y of red, green, blue and white."""
SITING = {"left": (1, 2), "center": (2, 2), "topleft": (1, 1), "top": (2, 1)}
"""Matroska's numbers for the positions of chroma samples that it knows."""
LARGEST_HEADER = 1 << 26
"""Bytes at the beginning of a file in which its tracks must be described."""


@dataclass(frozen=True)
class Element:
    """A part of a file: `data` begins at `begin + head`."""

    number: int
    begin: int
    head: int
    size: int


def complete_header(
    path: Path,
    *,
    size: tuple[int, int],
    sample_aspect_ratio: Fraction,
    chroma_location: str | None,
    light: Light,
    title: str | None,
) -> bool:
    """Complete the header of a file whose video has the title `PLACEHOLDER`, in place.

    Args:
        path: The file.
        size: Width and height of frames.
        sample_aspect_ratio: Width of a pixel divided by its height.
        chroma_location: FFmpeg's name of the position of chroma samples.
        light: Metadata of a high dynamic range.
        title: Title of the video stream.

    Returns:
        Whether it has been completed; `False` if the file is not built as expected.
    """
    with path.open("r+b") as file:
        data = file.read(LARGEST_HEADER)
        tracks = _tracks(data)
        if tracks is None:
            return False
        begin, end = tracks.begin + tracks.head, tracks.begin + tracks.head + tracks.size
        placeholder = PLACEHOLDER.encode()
        for track in _elements(data, begin, end):
            body = data[track.begin + track.head : track.begin + track.head + track.size]
            if track.number != TRACK or not any(
                e.number == NAME and body[e.begin + e.head :][: e.size] == placeholder for e in _elements(body)
            ):
                continue
            changed = _changed_track(body, size, sample_aspect_ratio, chroma_location, light, title)
            if len(changed) + 2 > len(body) and len(changed) != len(body):
                return False
            changed += _void(len(body) - len(changed))
            content = (
                data[begin : track.begin + track.head] + changed + data[track.begin + track.head + track.size : end]
            )
            file.seek(begin)
            file.write(_with_checksum(content))
            return True
    return False


def _tracks(data: bytes) -> Element | None:
    for element in _elements(data):
        if element.number == SEGMENT:
            for part in _elements(data, element.begin + element.head):
                if part.number == TRACKS:
                    return part if part.begin + part.head + part.size <= len(data) else None
                if part.number == CLUSTER:
                    return None
    return None


def _changed_track(
    body: bytes,
    size: tuple[int, int],
    ratio: Fraction,
    place: str | None,
    light: Light,
    title: str | None,
) -> bytes:
    result = b""
    for element in _elements(body):
        whole = body[element.begin : element.begin + element.head + element.size]
        if element.number == NAME:
            whole = _element(NAME, title.encode(errors="surrogateescape")) if title else b""
        elif element.number == VIDEO:
            whole = _changed_video(whole[element.head :], size, ratio, place, light)
        elif element.number == VOID:
            continue
        result += whole
    return result


def _changed_video(body: bytes, size: tuple[int, int], ratio: Fraction, place: str | None, light: Light) -> bytes:
    color, rest = b"", b""
    for element in _elements(body):
        whole = body[element.begin : element.begin + element.head + element.size]
        if element.number == COLOR:
            color = whole[element.head :]
        elif element.number not in (DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT):
            rest += whole
    width, height = displayed_size(size, ratio)
    rest += _number(DISPLAY_WIDTH, width) + _number(DISPLAY_HEIGHT, height)
    color = b"".join(
        color[e.begin : e.begin + e.head + e.size]
        for e in _elements(color)
        if e.number not in (SITING_ACROSS, SITING_DOWN, MAX_CLL, MAX_FALL, MASTERING)
    )
    if place in SITING:
        across, down = SITING[place]
        color += _number(SITING_ACROSS, across) + _number(SITING_DOWN, down)
    if light.max_cll is not None:
        color += _number(MAX_CLL, light.max_cll) + _number(MAX_FALL, light.max_fall or 0)
    mastering = b""
    if light.primaries:
        mastering += b"".join(_float(n, value) for n, value in zip(PRIMARIES, light.primaries, strict=True))
    if light.luminance:
        mastering += _float(LUMINANCE_MOST, light.luminance[1]) + _float(LUMINANCE_LEAST, light.luminance[0])
    if mastering:
        color += _element(MASTERING, mastering)
    return _element(VIDEO, rest + (_element(COLOR, color) if color else b""))


def displayed_size(size: tuple[int, int], ratio: Fraction) -> tuple[int, int]:
    """Return the smallest size, at least `size`, that has exactly the aspect ratio of the displayed frames."""
    exact = Fraction(size[0], size[1]) * ratio
    factor = max(math.ceil(Fraction(size[0], exact.numerator)), math.ceil(Fraction(size[1], exact.denominator)))
    return exact.numerator * factor, exact.denominator * factor


def _elements(data: bytes, begin: int = 0, end: int | None = None) -> list[Element]:
    """List the elements one after the other, up to one that is not complete."""
    found: list[Element] = []
    place, end = begin, len(data) if end is None else end
    while place < end:
        number, after = _vint(data, place, marked=True)
        length, start = _vint(data, after, marked=False)
        if start > end or start == after:
            break
        found.append(Element(number, place, start - place, length))
        place = start + length
    return found


def _vint(data: bytes, place: int, *, marked: bool) -> tuple[int, int]:
    """Read a number of variable length, with or without the bit that marks its length; returns where it ends."""
    length = 9 - data[place].bit_length() if place < len(data) else 9
    if length > 8 or place + length > len(data):
        return 0, place
    value = int.from_bytes(data[place : place + length])
    return value if marked else value & ((1 << (7 * length)) - 1), place + length


def _element(number: int, body: bytes) -> bytes:
    size = len(body)
    length = next(n for n in range(1, 9) if size < (1 << (7 * n)) - 1)
    return number.to_bytes((number.bit_length() + 7) // 8) + (size | 1 << (7 * length)).to_bytes(length) + body


def _number(number: int, value: int) -> bytes:
    return _element(number, value.to_bytes(max(1, (value.bit_length() + 7) // 8)))


def _float(number: int, value: Fraction) -> bytes:
    return _element(number, struct.pack(">d", float(value)))


def _void(size: int) -> bytes:
    """Return an element of `size` bytes, 0 or at least 2, that means nothing."""
    if size == 0:
        return b""
    if size < 10:
        return bytes([VOID, 0x80 | (size - 2)]) + bytes(size - 2)
    return bytes([VOID]) + (size - 9 | 1 << 56).to_bytes(8) + bytes(size - 9)


def _with_checksum(content: bytes) -> bytes:
    """Renew the checksum at the beginning of an element's content, if there is one."""
    first = _elements(content)[0]
    if first.number != CRC:
        return content
    rest = content[first.head + first.size :]
    return content[: first.head] + zlib.crc32(rest).to_bytes(4, "little") + rest
