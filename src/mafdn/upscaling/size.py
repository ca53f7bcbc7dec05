"""How large a result is to be: the arithmetic, in whole numbers where it must not be off by one.

Public names: :class:`Size`, :func:`result_size`, :func:`network_scale`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, cast

from mafdn._support.validate import as_number, as_whole
from mafdn.errors import UsageError
from mafdn.weights.header import SCALES

LARGEST = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Size:
    """What was asked for: exactly one of these. Raises :class:`UsageError` otherwise.

    ``scale`` is any positive number; ``width``, ``height`` and ``longest`` (the longest side) are in pixels, ``fit`` is
    the width and height of a box that the result fills without leaving it, ``megapixels`` the most it may hold.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    longest: int | None = None
    fit: tuple[int, int] | None = None
    megapixels: float | None = None

    def __post_init__(self) -> None:
        given = [f.name for f in fields(self) if getattr(self, f.name) is not None]
        if len(given) != 1:
            raise UsageError(
                f"give one size, not {len(given)}: scale, width, height, longest, fit or megapixels"
                + (f" (here: {', '.join(given)})" if given else "")
            )
        name, value = given[0], getattr(self, given[0])
        if name == "fit" and not (isinstance(value, tuple | list) and len(cast(Sequence[Any], value)) == 2):
            raise UsageError(f"fit is a width and a height, not {value!r}; give (1920, 1080), say")
        settle = as_number if name in ("scale", "megapixels") else as_whole
        numbers = tuple(settle(name, number) for number in (value if name == "fit" else (value,)))
        for number in numbers:
            if not 0 < number <= LARGEST:
                raise UsageError(f"{name} {number} makes no size; give a number above 0")
        object.__setattr__(self, name, numbers if name == "fit" else numbers[0])


def result_size(size: Size, width: int, height: int) -> tuple[int, int]:
    """Width and height of the result for a picture of ``width`` x ``height`` pixels, each at least 1.

    What is asked for is met exactly; the other side is the one that keeps the aspect ratio best.
    """
    if size.scale is not None:
        factor = Fraction(str(size.scale))  # 1.1 is meant as 11/10, not as the double next to it
        return _rounded(width * factor), _rounded(height * factor)
    if size.width is not None:
        return size.width, _rounded(Fraction(height * size.width, width))
    if size.height is not None:
        return _rounded(Fraction(width * size.height, height)), size.height
    if size.longest is not None:
        size = Size(width=size.longest) if width >= height else Size(height=size.longest)
        return result_size(size, width, height)
    if size.fit is not None:
        wide, high = size.fit
        size = Size(width=wide) if wide * height <= high * width else Size(height=high)
        return result_size(size, width, height)
    assert size.megapixels is not None
    return _largest_within(int(Fraction(str(size.megapixels)) * 10**6), width, height)


def network_scale(size: tuple[int, int], new_size: tuple[int, int]) -> int:
    """The scale of the shipped network for this enlargement: the nearest at or above it, else the largest.

    Both sizes are (width, height). Beyond x4 the result of x4 is enlarged by Lanczos: on Set5 reduced by 6 and by 8 a
    second pass of a network measured 0.01 to 0.1 dB less than that.
    """
    factor = max(Fraction(new, old) for new, old in zip(new_size, size, strict=True))
    return next((scale for scale in SCALES if scale >= factor), SCALES[-1])


def _rounded(value: Fraction) -> int:
    """The nearest whole number, halves upward, at least 1."""
    return max(1, math.floor(value + Fraction(1, 2)))


def _largest_within(pixels: int, width: int, height: int) -> tuple[int, int]:
    """The largest size of this aspect ratio with at most ``pixels`` pixels, found along the longer side.

    It is 1x1 where not even that is within.
    """
    long, short = max(width, height), min(width, height)
    low, high = 1, LARGEST
    while low < high:
        middle = (low + high + 1) // 2
        if middle * _rounded(Fraction(short * middle, long)) <= pixels:
            low = middle
        else:
            high = middle - 1
    other = _rounded(Fraction(short * low, long))
    return (low, other) if width >= height else (other, low)
