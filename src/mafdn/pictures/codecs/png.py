"""PNG files, with the chunks that libvips does not report: animation, and colors without a profile."""

import io
import struct
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyvips

from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.png_chunks import PngMetadata, read_metadata, save_with_chunks, xmp_chunk
from mafdn.pictures.codecs.vips import VipsFile
from mafdn.pictures.libvips import field_of, file_name
from mafdn.pictures.metadata import XMP
from mafdn.pictures.picture import Format, Picture
from mafdn.pictures.profiles import DAMAGED_PROFILE, PROFILE_IGNORED, SRGB_PRIMARIES, profile_of_cicp

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

    format = Format(
        name="PNG",
        magic=(b"\x89PNG\r\n\x1a\n",),
        suffixes=(".png",),
        largest_side=2**31 - 1,
        alpha=True,
        metadata=frozenset({"ICC", "EXIF", "XMP"}),
    )
    loader, loader_class = "pngload_source", "VipsForeignLoadPng"

    @cached_property
    def _chunks(self) -> Mapping[bytes, bytes]:
        return read_chunks(self.path)

    def count_pictures(self, image: pyvips.Image) -> tuple[int, str]:  # noqa: ARG002
        control = self._chunks.get(b"acTL", b"")
        return int.from_bytes(control[:4]) if len(control) == 8 else 1, "frames"

    @cached_property
    def _metadata(self) -> PngMetadata:
        return read_metadata(self.path)

    def prepare_pixels(self, image: pyvips.Image) -> tuple[pyvips.Image, int | None]:
        return (image.copy(xres=1, yres=1) if self._metadata.shape_only else image), None  # 1: nothing is stated

    def complete(self, picture: Picture) -> Picture:
        return replace(picture, chunks=self._metadata.chunks, lost_metadata=self._metadata.lost)

    def stated_profile(self, *, grey: bool) -> tuple[bytes | None, str | None]:
        profile = self._metadata.profile  # libvips does not report one that is damaged or for other channels
        if profile is not None and b"cICP" not in self._chunks:
            return (profile, None) if profile else (None, f"{DAMAGED_PROFILE}: {PROFILE_IGNORED}")
        return profile_of_chunks(self._chunks, grey=grey)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:
        settings: dict[str, Any] = {"compression": COMPRESSION, "filter": FILTER_AVERAGE, "keep": options.keep}
        chunks, packet = options.chunks, field_of(image, XMP, None)
        if packet:
            image = image.copy()
            image.remove(XMP)
            chunks = (*chunks, xmp_chunk(packet))
        if chunks:
            save_with_chunks(image, path, chunks, **settings)
        else:
            image.pngsave(file_name(path), **settings)


def read_chunks(path: Path) -> dict[bytes, bytes]:
    """The first bytes of each chunk before the pixels, by chunk name; the first chunk of each name."""
    chunks: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        file.seek(8)
        for _ in range(MOST_CHUNKS):
            start = file.read(8)
            if len(start) < 8 or start[4:] == b"IDAT":
                break
            length = int.from_bytes(start[:4])
            content = file.read(min(length, LONGEST_CHUNK))
            chunks.setdefault(start[4:], content)
            file.seek(length - len(content) + 4, io.SEEK_CUR)
    return chunks


def profile_of_chunks(chunks: Mapping[bytes, bytes], *, grey: bool) -> tuple[bytes | None, str | None]:
    """The profile for the colors that a PNG file without one states, and a note on what is ignored.

    `None` for the profile means sRGB.
    """
    code_points = chunks.get(b"cICP", b"")
    if len(code_points) == 4:
        return profile_of_cicp(SRGB_PRIMARIES if grey else code_points[0], code_points[1])
    if b"sRGB" in chunks or b"iCCP" in chunks:
        return None, None
    gamma, points = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    ignored: list[str] = []
    if len(gamma) == 4 and not _near(int.from_bytes(gamma), GAMMA, 0.02):
        ignored.append("gAMA")
    if len(points) == 32 and not grey:
        stated = zip(struct.unpack(">8I", points), CHROMATICITIES, strict=True)
        ignored += [] if all(_near(value, usual, 0.01) for value, usual in stated) else ["cHRM"]
    return None, f"its colors ({' and '.join(ignored)}, no profile) were taken as sRGB" if ignored else None


def _near(value: int, usual: int, tolerance: float) -> bool:
    """Whether `value` differs from `usual` by at most this share of it."""
    return abs(value - usual) <= usual * tolerance
