"""BMP files, as Windows and OS/2 write them."""

import struct
from pathlib import Path

import numpy as np
import pyvips

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.foreign.arrays import ArrayFile, Decoded, without_empty_alpha
from mafdn.pictures.codecs.foreign.pillow import array_of_pillow
from mafdn.pictures.libvips import array_of, damaged
from mafdn.pictures.picture import DEFAULT_PIXELS_PER_MM

FILE_HEADER = 14
"""Bytes of the first header."""
OS2_HEADER, V4_HEADER, V5_HEADER = 12, 108, 124
COMPRESSIONS = {4: "a JPEG file", 5: "a PNG file"}
"""What the pixels of a file for printers are."""
MASKS, PNG_OR_JPEG = (3, 6), (4, 5)
"""Compressions: pixels with masks for the channels (3 and, with alpha, 6), and whole files."""
EMBEDDED, SRGB, WINDOWS = b"DEBM", b"BGRs", b" niW"
"""Color spaces: an embedded profile, and two names of sRGB."""


class BmpFile(ArrayFile):
    """A BMP file."""

    format = FORMATS["BMP"]

    def read_header(self) -> None:
        with self.path.open("rb") as file:
            self._header = file.read(FILE_HEADER + V5_HEADER)
        (size,) = struct.unpack_from("<I", self._header, FILE_HEADER)
        if size == OS2_HEADER:
            self.width, height, _, self._depth = struct.unpack_from("<4H", self._header, 18)
            compression = 0
        else:
            self.width, height, _, self._depth = struct.unpack_from("<iiHH", self._header, 18)
            compression = struct.unpack_from("<I", self._header, 30)[0] if size >= 40 else 0
        if compression in PNG_OR_JPEG:
            raise PictureError(
                f"{printable(self.path)} is a BMP file that contains {COMPRESSIONS[compression]}, meant for printers; "
                "convert it to PNG first"
            )
        if self._depth not in (1, 2, 4, 8, 16, 24, 32):
            what = f"has {self._depth} bits per pixel; up to 32 are supported, convert it first"
            raise (PictureError(f"{printable(self.path)} {what}") if self._depth == 64 else damaged(self.path, what))
        self.height = abs(height)
        self.channels = 4 if self._depth == 32 else 3

    def read(self) -> Decoded:
        from PIL.BmpImagePlugin import BmpImageFile

        with self.path.open("rb") as file, BmpImageFile(file) as picture:
            dots = picture.info.get("dpi", (0, 0))
            pixels, notes = array_of_pillow(self.path, picture)
        pixels, empty = without_empty_alpha(pixels)
        profile, colors = self._profile()
        return Decoded(
            pixels=pixels,
            profile=profile,
            pixels_per_mm=(dots[0] / 25.4, dots[1] / 25.4) if min(dots) > 0 else DEFAULT_PIXELS_PER_MM,
            notes=(*notes, *empty, *colors),
        )

    def _profile(self) -> tuple[bytes | None, tuple[str, ...]]:
        """The embedded profile, and a note on colors that are stated in another way."""
        (size,) = struct.unpack_from("<I", self._header, FILE_HEADER)
        if size < V4_HEADER or len(self._header) < FILE_HEADER + V5_HEADER:
            return None, ()
        space = self._header[FILE_HEADER + 56 : FILE_HEADER + 60]
        if space == EMBEDDED and size >= V5_HEADER:
            place, length = struct.unpack_from("<II", self._header, FILE_HEADER + 112)
            with self.path.open("rb") as file:
                file.seek(FILE_HEADER + place)
                profile = file.read(min(length, 1 << 24))
            return (profile, ()) if len(profile) == length else (None, ("its color profile is damaged",))
        calibrated = space == bytes(4) and any(self._header[FILE_HEADER + 60 : FILE_HEADER + V4_HEADER])
        if space not in (SRGB, WINDOWS, bytes(4)) or calibrated:
            return None, ("its colors (calibrated, no embedded profile) were taken as sRGB",)
        return None, ()

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:  # noqa: ARG004
        pixels = array_of(image)
        height, width, channels = pixels.shape
        if channels == 2:
            pixels, channels = np.concatenate([np.repeat(pixels[..., :1], 3, 2), pixels[..., 1:]], 2), 4
        palette = b"".join(bytes((level, level, level, 0)) for level in range(256)) if channels == 1 else b""
        stored = pixels if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]]
        header_size = V4_HEADER if channels == 4 else 40  # only a newer header declares the transparency
        row = -(-width * channels // 4) * 4
        start = FILE_HEADER + header_size + len(palette)
        dots = round(image.xres * 1000), round(image.yres * 1000)
        header = struct.pack("<IiiHHIIiiII", header_size, width, height, 1, 8 * channels, 0, 0, *dots, 0, 0)
        if channels == 4:
            masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + SRGB
            header = (header[:16] + struct.pack("<I", MASKS[0]) + header[20:] + masks).ljust(header_size, b"\0")
        with path.open("wb") as file:
            file.write(struct.pack("<2sIHHI", b"BM", min(start + row * height, 2**32 - 1), 0, 0, start))
            file.write(header + palette)
            for rows in np.array_split(stored[::-1], max(1, height // 256)):
                padded = np.zeros((len(rows), row), np.uint8)
                padded[:, : width * channels] = rows.reshape(len(rows), -1)
                file.write(padded.tobytes())
