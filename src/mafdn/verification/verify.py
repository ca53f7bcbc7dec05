"""Comparing a result, reduced to the size of its input again, with the input."""

import os
import tempfile
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn._support.progress import counted
from mafdn.errors import PictureError, UnsupportedError
from mafdn.pictures.codecs.foreign.unsupported import is_film_file
from mafdn.pictures.codecs.jpeg import JpegFile
from mafdn.pictures.codecs.jpeg_coding import read_coding
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import PictureHeader, read_header
from mafdn.pictures.sequences.sequence import single
from mafdn.pixels.bands import resized_rows
from mafdn.pixels.rows import Rows, SlidingRows
from mafdn.verification.coefficients import CoefficientJudge
from mafdn.verification.differences import BLOCK, Differences
from mafdn.verification.figures import Verification
from mafdn.verification.sides import Side, paired

KERNEL = "bicubic"
"""The reduction that the networks are trained to undo: MATLAB's `imresize`, antialiased."""
BAND_VALUES = 2**22
"""Target number of values of the result that are compared at a time."""
SMALLER = "the result is smaller than the picture: it was enlarged for the comparison"
NOT_JUDGED = "its DCT coefficients were not judged: {}"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class _Input:
    """One side of a comparison: the pictures of a file, or an array."""

    name: str
    sizes: tuple[tuple[int, int], ...]
    sides: Iterable[Side]
    header: PictureHeader | None = None


def verify_pictures(
    source: Path | Rows,
    result: Path | Rows,
    *,
    frame: int | None = None,
    limits: Limits | None = None,
    result_limits: Limits | None = None,
    on_progress: Progress | None = None,
) -> Verification:
    """Reduce a result to the size of its input and compare them.

    Args:
        source: The input: a file, or (H, W, C) pixels.
        result: The result: a file, or pixels. Pixels have the colors of the other one if that is a file, else they are
            encoded for a display.
        frame: Number of the only frame or page of the input to compare, from 1 (default: all if the result has as many,
            else the first).
        limits: Limits on the input and on the time.
        result_limits: Limits on the result (default: `limits`).
        on_progress: Called as `on_progress(done, total)`, in rows of the input; may raise.

    Raises:
        PictureError: If a file cannot be read, or the two do not have the same shape.
    """
    limits = limits or Limits()
    result_limits = result_limits or limits
    header = _read_header(source, limits, frame) if isinstance(source, Path) else None
    result_header = _read_header(result, result_limits) if isinstance(result, Path) else None
    count, result_count = (1 if one is None else len(one.sizes) for one in (header, result_header))
    if isinstance(result, Path) and frame is not None and result_count > 1:
        result_header = _read_header(result, result_limits, frame)
    several = frame is None and count == result_count > 1
    if frame is None and not several and result_count > 1:
        raise PictureError(
            f"the result has {result_count:,} frames or pages, the picture {count:,}; choose one of them",
            setting="frame",
        )
    judge = _judge_of(header) if header else None
    first, second = (
        _opened(one, name, header=opened, several=several, limits=limits)
        for one, name, opened in ((source, "the picture", header), (result, "the result", result_header))
    )
    for size, result_size in zip(first.sizes, second.sizes, strict=True):
        _check_shape(size, result_size, names=(first.name, second.name))
    notes = [] if frame is not None or several or count == 1 else [f"only the first of {count:,} pictures was compared"]
    return _compared(
        first,
        second,
        judge=judge,
        notes=notes,
        on_progress=limits.timed(source if isinstance(source, Path) else Path(first.name), on_progress),
    )


def _read_header(path: Path, limits: Limits, number: int | None = None) -> PictureHeader:
    """Read the header of a picture; raises what `read_header` does, and refuses films as such."""
    try:
        return read_header(path, limits=limits, number=number)
    except UnsupportedError:
        if is_film_file(path):
            raise UnsupportedError(f"{printable(path)} is a film, and films cannot be verified") from None
        raise


def _compared(
    first: _Input,
    second: _Input,
    *,
    judge: CoefficientJudge | str | None,
    notes: list[str],
    on_progress: Progress,
) -> Verification:
    """Compare pairs of pictures.

    Args:
        first: The inputs.
        second: Their results.
        judge: What judges the coefficients of a JPEG; a string says why they cannot be judged.
        notes: Notes on the pairs.
        on_progress: Called as `on_progress(done, total)`.
    """
    tick = counted(on_progress, sum(height for _, height in first.sizes))
    differences, said = Differences(), dict.fromkeys(notes)
    for source, result in zip(first.sides, second.sides, strict=True):
        if not (first.header and second.header):
            source, result = _with_colors_of_file(source, result, first.header is not None)
        pair = paired(source, result)
        if isinstance(judge, CoefficientJudge) and not pair.as_stored:
            judge = "its colors had to be converted"
        if result.size < source.size:
            said[SMALLER] = None
        said |= dict.fromkeys(pair.notes)
        _compare(pair.source, pair.result, differences, judge if isinstance(judge, CoefficientJudge) else None, tick)
    coefficients = None
    if isinstance(judge, CoefficientJudge):
        coefficients = judge.outcome()
        judge = None if coefficients else "no block is complete and without clipped colors"
    if judge is not None:
        said[NOT_JUDGED.format(judge)] = None
    return Verification(
        size=first.sizes[0],
        result_size=second.sizes[0],
        mean_difference=differences.mean,
        largest_difference=differences.largest,
        largest_at=differences.largest_at,
        psnr=differences.psnr,
        block_difference=differences.block_difference,
        blocks=differences.blocks,
        coefficients=coefficients,
        frames=len(first.sizes),
        notes=tuple(said),
    )


def _compare(
    source: Rows, result: Rows, differences: Differences, judge: CoefficientJudge | None, tick: Callable[[int], None]
) -> None:
    """Compare two pictures in levels and add what is found."""
    height, width, channels = source.shape
    differences.begin((height, width, channels))
    row = max(1, result.shape[0] // height) * result.shape[1] * channels
    step = max(1, BAND_VALUES // (row * BLOCK)) * BLOCK
    margin = judge.margin if judge else 0
    reduced = SlidingRows(_reduced(result, (height, width), step), (height, width, channels), np.float32)
    for start, stop in _bands(height, step, from_end=judge is not None and judge.reversed):
        low, high = max(0, start - margin), min(height, stop + margin)
        before, after = source[low:high], reduced[low:high]
        differences.add(start, (after - before)[start - low : stop - low])
        if judge:
            judge.add(range(start, stop), before, after)
        tick(stop - start)
    differences.end()


def _reduced(result: Rows, shape: tuple[int, int], step: int) -> Generator[NDArray[Any]]:
    """Bands of the result at the size of the input, (rows, columns)."""
    for start in range(0, shape[0], step):
        yield resized_rows(result, range(start, min(start + step, shape[0])), shape=shape, kernel=KERNEL)


def _bands(height: int, step: int, *, from_end: bool) -> list[tuple[int, int]]:
    """Start and stop of bands whose ends are multiples of `step`, counted from the last row if `from_end`."""
    first = height % step if from_end else step
    starts = [0, *range(first or step, height, step)]
    return list(zip(starts, [*starts[1:], height], strict=True))


def _judge_of(header: PictureHeader) -> CoefficientJudge | str | None:
    """What judges the coefficients of an input, or why they cannot be; `None` if it is not a JPEG."""
    if not isinstance(header.file, JpegFile):
        return None
    try:
        with header.path.open("rb") as file:
            coding = read_coding(file)
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {printable(header.path)}", error) from None
    if coding is None:
        return "its header is unusual"
    judge = CoefficientJudge(coding, header.file.orientation)
    if judge.refusal or judge.size == (header.width, header.height):
        return judge.refusal or judge
    return "the sizes in its header disagree"


def _opened(picture: Path | Rows, name: str, *, header: PictureHeader | None, several: bool, limits: Limits) -> _Input:
    """Open one side of a comparison; frames are decoded now, pages when their turn comes."""
    if not isinstance(picture, Path) or header is None:
        rows = cast(Rows, picture)
        return _Input(name=name, sizes=((rows.shape[1], rows.shape[0]),), sides=[Side(planes=rows)])
    scratch = _scratch(picture.parent)
    if several:
        sizes, pictures = header.sizes, header.decode_all(limits=limits, scratch=scratch)
    else:
        sizes = ((header.width, header.height),)
        pictures = single(header.decode(limits=limits, scratch=scratch))
    return _Input(name=printable(picture), sizes=sizes, sides=map(Side.of, pictures), header=header)


def _with_colors_of_file(source: Side, result: Side, source_is_file: bool) -> tuple[Side, Side]:
    """Give pixels without a file the colors of the side that has one."""
    known = source if source_is_file else result
    same = {"profile": known.profile, "tone": known.tone, "code_points": known.code_points}
    return replace(source, **same), replace(result, **same)


def _check_shape(size: tuple[int, int], result_size: tuple[int, int], *, names: tuple[str, str]) -> None:
    """Raise `PictureError` unless the sides have the same ratio, but for the rounding of one side of the result."""
    (width, height), (new_width, new_height) = size, result_size
    if min(abs(new_width - new_height * width / height), abs(new_height - new_width * height / width)) > 1:
        raise PictureError(
            f"{names[1]} ({new_width}x{new_height}) is not a resized {names[0]} ({width}x{height}): their sides have "
            "different ratios"
        )


def _scratch(folder: Path) -> Path:
    """A folder for the pixels of large pictures: this one if files can be created there."""
    return folder if os.access(folder, os.W_OK) else Path(tempfile.gettempdir())
