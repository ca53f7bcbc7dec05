"""The outcome of a verification as data, with its form in JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

MOST_BLOCKS = 5
"""Blocks with the largest differences that are named."""


@dataclass(frozen=True, kw_only=True)
class BlockDifference:
    """A block whose mean color differs.

    Attributes:
        x: Its left column in the input, in pixels.
        y: Its top row in the input, in pixels.
        difference: Difference of the mean color, in 8-bit levels of the channel that differs most.
        frame: Number of the frame or page, from 1.
    """

    x: int
    y: int
    difference: float
    frame: int = 1


@dataclass(frozen=True, kw_only=True)
class CoefficientShare:
    """How many DCT coefficients the result still meets within their quantization intervals.

    Attributes:
        count: Number of coefficients that were judged.
        share: Share of them that are met.
        nonzero_count: Number of coefficients that were judged and are not 0 in the file.
        nonzero_share: Share of those that are met; `None` if there are none.
    """

    count: int
    share: float
    nonzero_count: int
    nonzero_share: float | None


@dataclass(frozen=True, kw_only=True)
class JpegCoefficients:
    """How well a result meets the DCT coefficients of a JPEG input.

    Attributes:
        all: All components together.
        luma: Luma alone.
        chroma: Both components of chroma; `None` if there are none, or they are sampled in a rare way.
        judged_blocks: Share of the blocks that were judged. The others are incomplete at an edge, or their colors were
            clipped when the JPEG was decoded, so that its pixels no longer tell the coefficients.
    """

    all: CoefficientShare
    luma: CoefficientShare
    chroma: CoefficientShare | None
    judged_blocks: float


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How far a result, reduced to the size of its input again, is from it.

    All differences are in 8-bit levels, whatever the depth, over all channels.

    Attributes:
        size: Width and height of the input, in pixels.
        result_size: Width and height of the result, in pixels.
        mean_difference: Mean absolute difference.
        largest_difference: Largest absolute difference of a pixel in a channel.
        largest_at: Column and row of that pixel in the input.
        psnr: PSNR in dB; `None` if there is no difference.
        block_difference: Largest difference of the mean color of a block of 64x64 pixels.
        blocks: The blocks that differ most, the worst first.
        coefficients: For a JPEG input, how many of its DCT coefficients are met; `None` otherwise, and if a note says
            that they cannot be judged.
        frames: Number of frames or pages that were compared; the sizes are those of the first.
        notes: What should be known about the comparison, one sentence each.
    """

    size: tuple[int, int]
    result_size: tuple[int, int]
    mean_difference: float
    largest_difference: float
    largest_at: tuple[int, int]
    psnr: float | None
    block_difference: float
    blocks: tuple[BlockDifference, ...]
    coefficients: JpegCoefficients | None = None
    frames: int = 1
    notes: tuple[str, ...] = ()

    def for_programs(self) -> dict[str, Any]:
        """Return everything as a dictionary for JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, value: object) -> Self | None:
        """Return the verification that `for_programs` described, after JSON; `None` if it is something else."""
        try:
            return cls._parse(cast(Mapping[str, Any], value))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            return None

    @classmethod
    def _parse(cls, record: Mapping[str, Any]) -> Self:
        psnr, coefficients = record["psnr"], record["coefficients"]
        return cls(
            size=_pair(record["size"]),
            result_size=_pair(record["result_size"]),
            mean_difference=_number(record["mean_difference"]),
            largest_difference=_number(record["largest_difference"]),
            largest_at=_pair(record["largest_at"]),
            psnr=None if psnr is None else _number(psnr),
            block_difference=_number(record["block_difference"]),
            blocks=tuple(
                BlockDifference(
                    x=int(block["x"]),
                    y=int(block["y"]),
                    difference=_number(block["difference"]),
                    frame=int(block["frame"]),
                )
                for block in record["blocks"]
            ),
            coefficients=None if coefficients is None else _parse_coefficients(coefficients),
            frames=int(record["frames"]),
            notes=tuple(str(note) for note in record["notes"]),
        )


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):  # JSON has no such numbers, but Python's parser takes them
        raise ValueError("not a finite number")
    return number


def _pair(value: Any) -> tuple[int, int]:
    first, second = value
    return int(first), int(second)


def _parse_coefficients(record: Mapping[str, Any]) -> JpegCoefficients:
    chroma = record["chroma"]
    return JpegCoefficients(
        all=_parse_share(record["all"]),
        luma=_parse_share(record["luma"]),
        chroma=None if chroma is None else _parse_share(chroma),
        judged_blocks=_number(record["judged_blocks"]),
    )


def _parse_share(record: Mapping[str, Any]) -> CoefficientShare:
    nonzero = record["nonzero_share"]
    return CoefficientShare(
        count=int(record["count"]),
        share=_number(record["share"]),
        nonzero_count=int(record["nonzero_count"]),
        nonzero_share=None if nonzero is None else _number(nonzero),
    )
