"""TGA, ICO and QOI files, and pixels as Pillow decodes them.

Each format is opened by its own plugin: Pillow never guesses, and its warnings about large pictures, which
`mafdn.pictures.limits` replaces, are not reached.
"""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.codecs import FORMATS
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.codecs.foreign.arrays import ArrayFile, Decoded, encoder_errors, without_empty_alpha
from mafdn.pictures.libvips import array_of, damaged
from mafdn.pictures.picture import PNG_SIGNATURE, Pixels

MODES = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "1": "L", "RGBX": "RGB", "La": "LA", "RGBa": "RGBA"}
"""Pillow's modes that can be converted without loss, and into what."""
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
TGA_TYPES = {1: (8,), 2: (16, 24, 32), 3: (8, 16), 9: (8,), 10: (16, 24, 32), 11: (8, 16)}
"""Bits per pixel by image type: with a palette, RGB and grey, then the same compressed."""


def array_of_pillow(path: Path, picture: Any) -> tuple[Pixels, tuple[str, ...]]:
    """Decode an opened Pillow picture.

    Returns:
        (H, W, 1 to 4) pixels, a palette resolved; and a note if bits were added.

    Raises:
        PictureError: The pixels are of another kind.
    """
    one_bit = picture.mode == "1"
    if picture.mode in ("P", "PA"):
        mode = "RGBA" if picture.mode == "PA" or "transparency" in picture.info else picture.palette.mode
        picture = picture.convert(mode if mode in ("RGB", "RGBA") else "RGB")
    if picture.mode in DEEP_MODES:
        return np.asarray(picture).astype(np.uint16)[..., None], ()
    if picture.mode not in MODES:
        raise PictureError(f"{printable(path)} has pixels of the kind {picture.mode}; convert it to gray or RGB first")
    pixels = np.asarray(picture.convert(MODES[picture.mode]))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return pixels, (("1 bit per channel became 8",) if one_bit else ())


class TgaFile(ArrayFile):
    """A TGA file; it has no signature, so that it is recognized by name and header."""

    format = FORMATS["TGA"]

    @classmethod
    def recognizes(cls, start: bytes, path: Path) -> bool:
        return path.suffix.lower() in cls.format.suffixes and _is_tga_header(start)

    def read_header(self) -> None:
        with self.path.open("rb") as file:
            start = file.read(18)
        if not _is_tga_header(start):
            raise damaged(self.path, "its header is invalid")
        self.width, self.height, depth = struct.unpack_from("<HHB", start, 12)
        self.channels = {8: 1, 16: 4, 24: 3, 32: 4}[depth] if start[2] & 3 != 1 else 4

    def read(self) -> Decoded:
        from PIL.TgaImagePlugin import TgaImageFile

        with self.path.open("rb") as file, TgaImageFile(file) as picture:
            pixels, notes = array_of_pillow(self.path, picture)
        pixels, empty = without_empty_alpha(pixels)
        return Decoded(pixels=pixels, notes=(*notes, *empty))

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:  # noqa: ARG004
        _save(array_of(image), path, "TGA")


def _is_tga_header(start: bytes) -> bool:
    if len(start) < 18:
        return False
    palette, kind = start[1], start[2]
    width, height, depth, flags = struct.unpack_from("<HHBB", start, 12)
    palette_fits = start[7] in (16, 24, 32) if palette == 1 else palette == 0
    if kind in (1, 9) and palette != 1:
        return False
    return palette_fits and depth in TGA_TYPES.get(kind, ()) and width > 0 and height > 0 and flags < 64


class IcoFile(ArrayFile):
    """An icon or cursor of Windows, of which the largest picture is read."""

    format = FORMATS["ICO"]

    @classmethod
    def recognizes(cls, start: bytes, path: Path) -> bool:  # noqa: ARG003
        # count, reserved bytes and the place of the first picture
        if len(start) < 22 or start[:2] != b"\0\0" or start[2] not in (1, 2) or start[3:4] != b"\0":
            return False
        (count,) = struct.unpack_from("<H", start, 4)
        size, place = struct.unpack_from("<II", start, 14)
        return 0 < count < 1024 and size > 0 and place >= 6 + 16 * count

    def read_header(self) -> None:
        with self.path.open("rb") as file:
            self._count = struct.unpack_from("<H", file.read(6), 4)[0]
            table = file.read(16 * self._count)
            entries = [(*struct.unpack_from("<II", table, 16 * number + 8),) for number in range(self._count)]
            found: list[tuple[int, int, int, int, int, int]] = []
            for size, place in entries:
                file.seek(place)
                width, height, bits = _icon_size(file.read(26))
                found.append((width * height, bits, width, height, size, place))
        _, self._bits, self.width, self.height, self._size, self._place = max(found, key=lambda e: e[:2])
        self.channels = 4

    def read(self) -> Decoded:
        from PIL.IcoImagePlugin import IcoFile as PillowIcon

        with self.path.open("rb") as file:
            file.seek(self._place)
            data = file.read(self._size)
        if len(data) < self._size:
            raise damaged(self.path, "it ends too early")
        # Handed over as an icon of this one picture, so that a cursor is read, and with what its own header states.
        sides = bytes(side if side < 256 else 0 for side in (self.width, self.height))
        entry = sides + struct.pack("<BBHHII", 0, 0, 1, self._bits, len(data), 22)
        picture = PillowIcon(io.BytesIO(struct.pack("<HHH", 0, 1, 1) + entry + data)).frame(0)
        pixels, notes = array_of_pillow(self.path, picture)
        profile = picture.info.get("icc_profile")
        if pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
            pixels = pixels[..., :3]
        pixels, empty = without_empty_alpha(pixels)
        if self._count > 1:
            notes = (f"only the largest of {self._count} pictures was read", *notes)
        return Decoded(pixels=pixels, profile=profile, notes=(*notes, *empty))


def _icon_size(head: bytes) -> tuple[int, int, int]:
    """Width, height and bits per pixel by the first bytes of a picture in an icon; zeros if they are invalid."""
    if head.startswith(PNG_SIGNATURE) and len(head) >= 26:
        return (*struct.unpack_from(">II", head, 16), 32)
    if len(head) < 16:
        return 0, 0, 0
    width, height, _, bits = struct.unpack_from("<iiHH", head, 4)
    return (width, height // 2, bits) if width > 0 and height > 0 else (0, 0, 0)


class QoiFile(ArrayFile):
    """A QOI file."""

    format = FORMATS["QOI"]

    def read_header(self) -> None:
        with self.path.open("rb") as file:
            start = file.read(14)
        self.width, self.height, self.channels, self._space = struct.unpack_from(">IIBB", start, 4)
        if self.channels not in (3, 4) or self._space > 1:
            raise damaged(self.path, "its header is invalid")

    def read(self) -> Decoded:
        from PIL.QoiImagePlugin import QoiImageFile

        with self.path.open("rb") as file, QoiImageFile(file) as picture:
            pixels, notes = array_of_pillow(self.path, picture)
        if self._space:  # as Pillow writes by default, and viewers disregard
            notes = (*notes, "its values, which it states to be linear light, were taken as sRGB")
        return Decoded(pixels=pixels, notes=notes)

    @staticmethod
    def save(image: pyvips.Image, path: Path, options: SaveOptions) -> None:  # noqa: ARG004
        pixels = array_of(image)
        if pixels.shape[2] < 3:  # QOI has no grey
            pixels = pixels[..., [0, 0, 0, 1][: pixels.shape[2] + 2]]
        _save(pixels, path, "QOI", colorspace="sRGB")


def _save(pixels: Pixels, path: Path, name: str, **settings: str) -> None:
    from PIL import Image

    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    with encoder_errors(), path.open("wb") as file:
        picture.save(file, format=name, **settings)
