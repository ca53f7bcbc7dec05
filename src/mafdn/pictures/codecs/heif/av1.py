"""The colors that an AV1 stream states in its sequence header (AV1 specification, section 5.5)."""

from dataclasses import dataclass

SEQUENCE_HEADER = 1
"""Type of the unit (OBU) with the sequence header."""
IDENTITY = 0
"""The matrix of RGB."""
MOST_UNITS = 100
"""Units that are searched for it."""


@dataclass(frozen=True)
class StreamColors:
    """Colors by number (ITU-T H.273), and the bit of the stream at which the number of the primaries begins."""

    place: int
    primaries: int
    transfer: int
    matrix: int

    @property
    def replaceable(self) -> bool:
        """Whether other numbers have the same syntax: with those of sRGB and the identity matrix, a bit is absent."""
        return self.matrix != IDENTITY


class _Bits:
    """Reads unsigned numbers of some bits; raises `ValueError` at the end."""

    def __init__(self, data: bytes, place: int) -> None:
        self._value, self._length, self.place = int.from_bytes(data), 8 * len(data), place

    def take(self, count: int) -> int:
        self.place += count
        if self.place > self._length:
            raise ValueError("the stream ends early")
        return (self._value >> (self._length - self.place)) & ((1 << count) - 1)

    def skip(self, *counts: int) -> None:
        self.take(sum(counts))


def find_colors(stream: bytes) -> StreamColors | None:
    """Find the colors in the first bytes of a stream; `None` if it does not state them.

    Raises:
        ValueError: The stream is damaged, or of a kind that pictures do not have.
    """
    place = 0
    for _ in range(MOST_UNITS):
        if place >= len(stream):
            break
        kind, extended, sized = stream[place] >> 3 & 15, stream[place] >> 2 & 1, stream[place] >> 1 & 1
        bits = _Bits(stream, 8 * (place + 1 + extended))
        size = _size(bits) if sized else len(stream)
        if kind == SEQUENCE_HEADER:
            return _colors(bits)
        place = bits.place // 8 + size
    return None


def restated(stream: bytes, found: StreamColors, *, primaries: int, transfer: int) -> tuple[int, bytes]:
    """State other colors in a stream.

    Returns:
        The number of the first changed byte, and the bytes that belong there.
    """
    first, last = found.place // 8, (found.place + 15) // 8 + 1
    below = 8 * last - found.place - 16
    old = int.from_bytes(stream[first:last])
    new = old & ~(0xFFFF << below) | (primaries << 8 | transfer) << below
    return first, new.to_bytes(last - first)


def _size(bits: _Bits) -> int:
    """A number in groups of seven bits, the lowest first."""
    size = 0
    for group in range(8):
        byte = bits.take(8)
        size |= (byte & 127) << 7 * group
        if byte < 128:
            break
    return size


def _colors(bits: _Bits) -> StreamColors | None:
    """The colors in a sequence header that begins here."""
    profile, _, reduced = bits.take(3), bits.take(1), bits.take(1)
    if reduced:
        bits.skip(5)
    else:
        _skip_operating_points(bits)
    width, height = bits.take(4) + 1, bits.take(4) + 1
    bits.skip(width, height)
    if not reduced and bits.take(1):  # frame numbers
        bits.skip(4, 3)
    bits.skip(3)
    if not reduced:
        _skip_tools(bits)
    bits.skip(3)
    deep = bits.take(1)
    if profile == 2 and deep:
        bits.skip(1)
    if profile != 1:  # whether it is grey
        bits.skip(1)
    if not bits.take(1):
        return None
    return StreamColors(bits.place, bits.take(8), bits.take(8), bits.take(8))


def _skip_operating_points(bits: _Bits) -> None:
    if bits.take(1):
        raise ValueError("the stream has timing")
    delays = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.skip(12)
        if bits.take(5) > 7:
            bits.skip(1)
        if delays and bits.take(1):
            bits.skip(4)


def _skip_tools(bits: _Bits) -> None:
    bits.skip(4)
    order = bits.take(1)
    bits.skip(2 * order)
    screen = 2 if bits.take(1) else bits.take(1)
    if screen and not bits.take(1):
        bits.skip(1)
    bits.skip(3 * order)
