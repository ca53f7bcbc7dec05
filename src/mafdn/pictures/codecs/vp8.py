"""How coarsely a lossy WebP picture is quantized, from the header of its VP8 frame (RFC 6386, section 9)."""

from typing import BinaryIO

MOST_QUANTIZER = 127
"""Index of the coarsest quantizer."""
START = b"\x9d\x01\x2a"
"""What follows the tag of a key frame."""
TAG, SIZES = 3, 4
"""Bytes of the tag, and of width and height."""
LONGEST_HEADER = 512
"""Bytes that contain everything up to the quantizer."""
SEGMENTS, DELTAS = 4, 8
"""Kinds of macroblocks with quantizers of their own, and values that change the loop filter."""
EVEN = 128
"""Probability of a 0, in 256ths, with which the numbers of the header are coded."""


class _Bools:
    """The boolean entropy decoder (section 7) for bits of even probability."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 2
        self._value, self._range, self._shifted = int.from_bytes(data[:2]), 255, 0

    def bit(self) -> int:
        split = 1 + ((self._range - 1) * EVEN >> 8)
        one = self._value >= split << 8
        if one:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < EVEN:
            self._value <<= 1
            self._range <<= 1
            self._shifted += 1
            if self._shifted == 8:
                self._shifted = 0
                if self._place >= len(self._data):
                    raise ValueError("the header ends early")
                self._value |= self._data[self._place]
                self._place += 1
        return int(one)

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.bit()
        return value

    def signed(self, bits: int) -> int:
        value = self.number(bits)
        return -value if self.bit() else value

    def optional(self, bits: int) -> int:
        return self.signed(bits) if self.bit() else 0


def read_quantizer(file: BinaryIO, place: int) -> float | None:
    """Read the quantizer index of a VP8 key frame.

    Args:
        file: The file.
        place: Byte at which the frame begins.

    Returns:
        0 (finest) to 127, the mean over the segments; `None` if it is no valid key frame.

    Raises:
        OSError: From the system.
    """
    file.seek(place)
    data = file.read(LONGEST_HEADER)
    if len(data) < TAG + len(START) + SIZES + 2 or data[0] & 1 or data[TAG : TAG + len(START)] != START:
        return None
    bools = _Bools(data[TAG + len(START) + SIZES :])
    try:
        return _quantizer(bools)
    except ValueError:
        return None


def _quantizer(bools: _Bools) -> float:
    bools.number(2)  # color space and clamping
    absolute, of_segments = 0, [0]
    if bools.bit():
        new_map, new_data = bools.bit(), bools.bit()
        if new_data:
            absolute = bools.bit()
            of_segments = [bools.optional(7) for _ in range(SEGMENTS)]
            for _ in range(SEGMENTS):
                bools.optional(6)  # levels of the loop filter
        if new_map:
            for _ in range(SEGMENTS - 1):
                if bools.bit():
                    bools.number(8)  # probabilities of segments
    bools.number(10)  # type, level and sharpness of the loop filter
    if bools.bit() and bools.bit():
        for _ in range(DELTAS):
            bools.optional(6)
    bools.number(2)  # number of partitions
    base = bools.number(7)
    indices = of_segments if absolute else [base + delta for delta in of_segments]
    return sum(min(max(index, 0), MOST_QUANTIZER) for index in indices) / len(indices)
