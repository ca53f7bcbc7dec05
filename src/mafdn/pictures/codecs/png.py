"""PNG files, with the chunks that libvips does not report: animation, and colors without a profile."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyvips

from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.animated import check_number
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.png_chunks import PngMetadata, find_chunks, read_metadata, save_with_chunks, xmp_chunk
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import array_of, field_of, file_name
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import XMP
from mafdn.pictures.picture import CodePoints, Picture, Pixels, PngChunk
from mafdn.pictures.profiles import DAMAGED_PROFILE, PROFILE_IGNORED, distinct_colors
from mafdn.pictures.sequences.apng import Apng, read_apng
from mafdn.pictures.sequences.sequence import MOST_PICTURES, Sequence, frames_of
from mafdn.pictures.spill import keep_bands, spill_errors

COMPRESSION = 2
"""Deflate level, 0 to 9; with the filter "average" files are smaller than at 6 without, in half the time."""
FILTER_AVERAGE = 64
"""libvips flag (`VipsForeignPngFilter`)."""
MOST_CHUNKS, LONGEST_CHUNK = 10_000, 64
"""Chunks that are read, and bytes that are kept of each."""
GAMMA = 45_455
"""The gAMA value that stands for sRGB, times 100,000."""
CHROMATICITIES = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
"""The cHRM values of sRGB, times 100,000: x and y of white, red, green and blue."""


class PngFile(VipsFile):
    """A PNG file."""

    format = FORMATS["PNG"]
    loader = "pngload_source"
    _frame: int | None = None
    """Number of the chosen frame of an animation, from 0."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.code_points = distinct_colors(points_of_chunks(self._chunks))

    @cached_property
    def _chunks(self) -> Mapping[bytes, bytes]:
        return read_chunks(self.path)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        return ((self.width, self.height),) * self._count

    @property
    def _count(self) -> int:
        """Number of frames as the file states it."""
        control = self._chunks.get(b"acTL", b"")
        stated = int.from_bytes(control[:4]) if len(control) == 8 else 1
        return min(max(1, stated), MOST_PICTURES + 1)

    def choose(self, number: int) -> None:
        check_number(self.path, number, self._count)
        self._frame = number - 1

    def count_pictures(self, image: pyvips.Image) -> tuple[int, str]:  # noqa: ARG002
        return (self._count if self._frame is None else 1), "frames"

    def decode(self, limits: Limits, *, spill_folder: Path | None) -> Picture:
        picture = super().decode(limits, spill_folder=spill_folder)
        if self._frame is None or self._count == 1:
            return picture
        frame = next(islice(self._composed(read_apng(self.path), limits), self._frame, None))
        return replace(picture, planes=frame.copy())

    def decode_all(self, limits: Limits, *, spill_folder: Path | None) -> Sequence:
        if self._count == 1:
            return super().decode_all(limits, spill_folder=spill_folder)
        self._frame = 0
        first, apng = self.decode(limits, spill_folder=None), read_apng(self.path)
        if apng.still_apart:
            note = "its picture for viewers without animation was left out: they show the first frame"
            first = replace(first, notes=(*first.notes, note))
        shape = (self._count * first.height, first.width, first.planes.shape[2])
        with spill_errors(self.path, spill_folder):
            planes = keep_bands(self._composed(apng, limits), shape, first.planes.dtype, spill_folder)
        return frames_of(replace(first, planes=planes), self._count, apng.timing)

    def _composed(self, apng: Apng, limits: Limits) -> Iterator[Pixels]:
        """The frames, upright; each is only valid until the next one."""
        orientation = int(field_of(self.load(), "orientation", 1))
        for frame in apng.compose():
            limits.check_time(self.path)
            yield frame if orientation == 1 else _turned(frame, orientation)

    @cached_property
    def _metadata(self) -> PngMetadata:
        return read_metadata(self.path)

    def prepare_pixels(self, image: pyvips.Image) -> tuple[pyvips.Image, int | None]:
        return (image.copy(xres=1, yres=1) if self._metadata.shape_only else image), None  # 1: nothing is stated

    def complete(self, picture: Picture) -> Picture:
        return replace(picture, chunks=self._metadata.chunks, lost_metadata=self._metadata.lost)

    def stated_profile(self, *, grey: bool) -> tuple[bytes | None, str | None]:
        if points_of_chunks(self._chunks):
            return super().stated_profile(grey=grey)
        profile = self._metadata.profile  # libvips does not report one that is damaged or for other channels
        if profile is not None:
            return (profile, None) if profile else (None, f"{DAMAGED_PROFILE}: {PROFILE_IGNORED.format('sRGB')}")
        ignored = ignored_colors(self._chunks, grey=grey)
        return None, f"its colors ({' and '.join(ignored)}, no profile) were taken as sRGB" if ignored else None

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        settings: dict[str, Any] = {"compression": COMPRESSION, "filter": FILTER_AVERAGE, "keep": options.keep}
        chunks, packet = options.chunks + chunks_of_points(options.code_points), field_of(image, XMP, None)
        if packet:
            image = image.copy()
            image.remove(XMP)
            chunks = (*chunks, xmp_chunk(packet))
        if chunks:
            save_with_chunks(image, path, chunks, **settings)
        else:
            image.pngsave(file_name(path), **settings)


def _turned(frame: Pixels, orientation: int) -> Pixels:
    """The frame turned as this EXIF orientation demands."""
    image = pyvips.Image.new_from_array(frame).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return array_of(image.autorot())


def read_chunks(path: Path) -> dict[bytes, bytes]:
    """The first bytes of each chunk before the pixels, by chunk name; the first chunk of each name."""
    chunks: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        for kind, _, length in islice(find_chunks(file), MOST_CHUNKS):
            if kind == b"IDAT":
                break
            chunks.setdefault(kind, file.read(min(length, LONGEST_CHUNK)))
    return chunks


def points_of_chunks(chunks: Mapping[bytes, bytes]) -> CodePoints | None:
    """The colors that chunks state by number; `None` if they do not."""
    numbers, display, levels = (chunks.get(kind, b"") for kind in (b"cICP", b"mDCV", b"cLLI"))
    if len(numbers) != 4:
        return None
    return CodePoints(
        primaries=numbers[0],
        transfer=numbers[1],
        full_range=numbers[3] != 0,
        mastering=struct.unpack(">8H2I", display) if len(display) == 24 else None,
        light_levels=struct.unpack(">2I", levels) if len(levels) == 8 else None,
    )


def chunks_of_points(points: CodePoints | None) -> tuple[PngChunk, ...]:
    """The chunks that state these colors."""
    if points is None:
        return ()
    numbers = bytes([points.primaries, points.transfer, 0, points.full_range])
    chunks = [PngChunk(kind=b"cICP", data=numbers)]
    if points.mastering is not None:
        chunks.append(PngChunk(kind=b"mDCV", data=struct.pack(">8H2I", *points.mastering)))
    if points.light_levels is not None:
        chunks.append(PngChunk(kind=b"cLLI", data=struct.pack(">2I", *points.light_levels)))
    return tuple(chunks)


def ignored_colors(chunks: Mapping[bytes, bytes], *, grey: bool) -> list[str]:
    """The kinds of chunks that state other colors than sRGB's in a way that is not supported."""
    if b"sRGB" in chunks or b"iCCP" in chunks:
        return []
    gamma, points = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    ignored: list[str] = []
    if len(gamma) == 4 and not _near(int.from_bytes(gamma), GAMMA, 0.02):
        ignored.append("gAMA")
    if len(points) == 32 and not grey:
        stated = zip(struct.unpack(">8I", points), CHROMATICITIES, strict=True)
        ignored += [] if all(_near(value, usual, 0.01) for value, usual in stated) else ["cHRM"]
    return ignored


def _near(value: int, usual: int, tolerance: float) -> bool:
    """Whether `value` differs from `usual` by at most this share of it."""
    return abs(value - usual) <= usual * tolerance
