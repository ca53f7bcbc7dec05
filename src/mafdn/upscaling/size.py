"""The size of a result, computed in exact arithmetic so that it is never off by one pixel."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from numbers import Real
from typing import Any, cast

from mafdn._support.atomic import printable
from mafdn._support.validate import as_kind, as_number, as_whole
from mafdn.errors import UsageError
from mafdn.weights.header import SCALES

LARGEST = 2**31 - 1
"""Largest value of any part of a size."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a result, as exactly one of these values; the aspect ratio is kept.

    Args:
        scale: Factor, any positive number.
        width: Width in pixels.
        height: Height in pixels.
        longest: Longest side in pixels.
        fit: Width and height in pixels of a box; the result is the largest that fits into it.
        megapixels: Largest area, in millions of pixels.

    Raises:
        UsageError: If none or several are given, or a value is not a positive number.
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
                "give exactly one size: scale, width, height, longest, fit or megapixels"
                + (f" (not {', '.join(given)} together)" if given else "")
            )
        name, value = given[0], getattr(self, given[0])
        if name == "fit" and not (isinstance(value, tuple | list) and len(cast(Sequence[Any], value)) == 2):
            raise UsageError(f"fit must be a width and a height such as (1920, 1080), not {value!r}")
        convert = as_number if name in ("scale", "megapixels") else as_whole
        numbers = tuple(convert(name, number) for number in (value if name == "fit" else (value,)))
        for number in numbers:
            if not 0 < number <= LARGEST:
                raise UsageError(f"{name} must be above 0 and at most {LARGEST}, not {number}")
        object.__setattr__(self, name, numbers if name == "fit" else numbers[0])


def as_box(text: str, *, name: str) -> tuple[int, int]:
    """Return the width and height of a box such as `1920x1080`; raises `UsageError`, which calls the option `name`."""
    found = re.fullmatch(r"(\d{1,10})[x\u00d7](\d{1,10})", text.strip(), re.IGNORECASE | re.ASCII)
    if not found:
        raise UsageError(f"{name} must be WIDTHxHEIGHT such as 1920x1080, not {printable(text)!r}")
    return int(found[1]), int(found[2])


def as_size(value: object) -> Size:
    """Convert a number, which is a factor, to a `Size`; raises `UsageError` for any other type."""
    if not isinstance(value, bool) and isinstance(value, Real):
        return Size(scale=cast(float, value))
    return as_kind("size", value, Size)


def result_size(size: Size, width: int, height: int) -> tuple[int, int]:
    """Return width and height, each at least 1, of the result for a picture of `width` x `height` pixels.

    The requested value is met exactly; the other side is rounded to keep the aspect ratio.
    """
    if size.scale is not None:
        factor = Fraction(str(size.scale))  # 1.1 means 11/10, not the nearest double
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


def network_scale(size: tuple[int, int], new_size: tuple[int, int], scales: Sequence[int] = SCALES) -> int:
    """Return the scale of the shipped network for an enlargement: the smallest that suffices, else the largest.

    Both sizes are (width, height); `scales` are those that ship, ascending. Beyond x4 the result of x4 is enlarged by
    Lanczos: on Set5 reduced by 6 and by 8, a second pass of a network scored 0.01 to 0.1 dB lower.
    """
    factor = max(Fraction(new, old) for new, old in zip(new_size, size, strict=True))
    return next((scale for scale in scales if scale >= factor), scales[-1])


def _rounded(value: Fraction) -> int:
    """Round to the nearest whole number, halves up, at least 1."""
    return max(1, math.floor(value + Fraction(1, 2)))


def _largest_within(pixels: int, width: int, height: int) -> tuple[int, int]:
    """Return the largest size of this aspect ratio with at most `pixels` pixels, but at least 1x1.

    It is found by bisection over the longer side.
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
