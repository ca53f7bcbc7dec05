"""Encoding pictures, in a thread of its own: rows are encoded while the next ones are made.

Public names: :class:`Encoder`, :class:`Options`, :func:`save_picture`, :func:`written_bits`.
"""

import contextlib
import queue
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips

from mafdn._support.atomic import shown
from mafdn.errors import PictureError
from mafdn.pictures import netpbm
from mafdn.pictures.feed import Feed
from mafdn.pictures.formats import Format
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import BLOCKS, EXIF, ICC
from mafdn.pictures.picture import SCREEN, Picture, Pixels, space_of
from mafdn.pictures.reading import file_name, one_line_errors
from mafdn.pixels.rows import pieces

QUALITY = 95
KEEP_EXIF, KEEP_PROFILE, KEEP_ALL, PNG_AVERAGE = 1, 8, 31, 64  # libvips's flags
AVIF_EFFORT = 3
"""Of 9; each step more takes about twice the time for one or two percent of the size."""
PNG_COMPRESSION = 2
"""Of 9; with pixels taken as differences this makes smaller files than 6 without, in half the time."""
TILED = 2**31
"""Bytes of pixels from which on a TIFF file is written as BigTIFF and in tiles."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """``quality`` (1 to 100) is for JPEG, WebP and AVIF, ``lossless`` overrules it, ``strip`` leaves metadata out."""

    quality: int | None = None
    lossless: bool = False
    strip: bool = False


class Encoder:
    """Encodes the rows that come by :meth:`write` into the file ``path``, in the format ``target``.

    They are those of ``picture``, whose profile, metadata, depth and channels go with them, at another ``size`` (width,
    height); chroma is never subsampled where the format has a choice. Errors are :class:`PictureError` and speak of
    ``name`` where ``path`` is only temporary.
    """

    def __init__(
        self,
        picture: Picture,
        size: tuple[int, int],
        path: Path,
        target: Format,
        *,
        name: Path | None = None,
        options: Options | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._picture, self._size, self._path, self._target = picture, size, path, target
        self._name, self._options, self._limits = name or path, options or Options(), limits or Limits()
        self._bands: queue.Queue[Pixels | None] = queue.Queue(maxsize=1)
        self._ended = self._cancelled = False
        self._error: Exception | None = None
        self._notes: tuple[str, ...] = ()
        self._image: pyvips.Image | None = None
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def write(self, band: Pixels) -> None:
        """The next rows, (any, W, C); waits while the band before is not yet taken. Raises what went wrong before."""
        if self._error:
            raise self._error
        self._bands.put(band)

    def finish(self) -> tuple[str, ...]:
        """Wait until the file is complete; returns what its format could not keep, a sentence each."""
        self._bands.put(None)
        self._thread.join()
        if self._error:
            raise self._error
        return self._notes

    def cancel(self) -> None:
        """End as soon as may be; what is in the file is of no use."""
        self._cancelled, image = True, self._image
        if image is not None:
            image.set_kill(True)
        if self._thread.is_alive():
            self._bands.put(None)
            self._thread.join()

    def _run(self) -> None:
        try:
            self._notes = self._encode()
        except OSError as error:
            self._error = PictureError.from_os_error(f"cannot write {shown(self._name)}", error)
        except Exception as error:  # raised again where somebody listens
            self._error = error
        while not self._ended:  # whoever writes must not wait for ever
            self._ended = self._bands.get() is None

    def _taken(self) -> Generator[Pixels]:
        while not self._ended:
            band = self._bands.get()
            self._ended = band is None
            if band is None or self._cancelled:
                return
            yield band

    def _encode(self) -> tuple[str, ...]:
        picture, target, options = self._picture, self._target, self._options
        width, height = self._size
        feed = Feed(self._taken(), (height, width, picture.planes.shape[2]), picture.planes.dtype)
        with one_line_errors(self._name, writing=True), contextlib.closing(feed):
            image, notes = _fitted(picture, feed.image, target)
            for field, (kind, value) in picture.fields.items():
                block = BLOCKS.get(field, "EXIF" if field.startswith("exif-") else None)
                if not options.strip and (block is None or block in target.metadata):
                    image.set_type(kind, field, value)
            if EXIF in picture.fields and not options.strip:  # which holds the old orientation, whatever the fields say
                image.set_type(pyvips.GValue.gint_type, "orientation", 1)
            image.set_progress(True)  # else it cannot be killed
            if self._limits.seconds is not None:
                image.signal_connect("eval", lambda running, _: running.set_kill(self._limits.passed))  # pyright: ignore[reportUnknownLambdaType]
            self._image = image
            try:
                _save(image, self._path, target, picture, options)
            finally:
                self._image = None
                self._limits.check_time(self._name)
        return tuple(notes + _lost(picture, target, strip=options.strip))


def save_picture(
    picture: Picture, path: Path, target: Format, *, name: Path | None = None, options: Options | None = None
) -> tuple[str, ...]:
    """Encode ``picture`` as it is; arguments, result and errors are those of :class:`Encoder`."""
    encoder = Encoder(picture, (picture.width, picture.height), path, target, name=name, options=options)
    try:
        for _, band in pieces(picture.planes):
            encoder.write(band)
    except BaseException:
        encoder.cancel()
        raise
    return encoder.finish()


def written_bits(picture: Picture, target: Format) -> int:
    """The depth ``target`` is written with: the least that holds the picture's, else its greatest."""
    return min((b for b in target.bits if b >= picture.bits), default=target.bits[-1])


def _fitted(picture: Picture, image: pyvips.Image, target: Format) -> tuple[pyvips.Image, list[str]]:
    """The pixels as ``target`` can hold them, with their profile, and what that changed."""
    notes: list[str] = []
    grey, deep = picture.colors == 1, image.format == "ushort"
    space = space_of(grey=grey, deep=deep)
    image = image.copy(interpretation=space, xres=picture.pixels_per_mm[0], yres=picture.pixels_per_mm[1])
    if picture.profile is not None:
        image.set_type(pyvips.GValue.blob_type, ICC, cast(Any, picture.profile))
        if "ICC" not in target.metadata or (grey and not target.grey):
            image = image.icc_transform("srgb", embedded=True, depth=16 if deep else 8)
            what = (
                f"{target.name} has no color profile" if "ICC" not in target.metadata else f"{target.name} has no grey"
            )
            notes.append(f"{what}: the picture was converted to sRGB")
            grey = False
    if picture.transparent and not target.alpha:
        image = image.flatten(background=[65_535.0 if deep else 255.0])
        notes.append(f"{target.name} has no transparency: the picture was laid on white")
    bits = written_bits(picture, target)
    if bits < picture.bits:
        notes.append(f"{target.name} has {bits} bits: {picture.bits} were rounded")
    if deep and bits == 8:
        image = (image / 257).rint().cast("uchar").copy(interpretation=space_of(grey=grey, deep=False))
    elif deep and bits < 16:  # the encoder cuts off the low bits
        top = 2**bits - 1
        image = ((image * (top / 65_535)).rint() * 2 ** (16 - bits)).cast("ushort")
        image = image.copy(interpretation=space_of(grey=grey, deep=True))
    return image.copy(), notes


def _lost(picture: Picture, target: Format, *, strip: bool) -> list[str]:
    """What is lost in ``target`` and shows only there: colors, and the blocks of metadata it is written without."""
    lost = ["GIF has 256 colors: the picture was brought down to them"] if target.name == "GIF" else []
    if target.name == "GIF" and picture.transparent:
        lost.append("GIF has no partial transparency: pixels became opaque or clear")
    blocks = [] if strip else [BLOCKS[f] for f in picture.fields if f in BLOCKS and BLOCKS[f] not in target.metadata]
    return lost + [f"{target.name} files are written without {block}: it was left out" for block in blocks]


def _save(image: pyvips.Image, path: Path, target: Format, picture: Picture, options: Options) -> None:
    name = file_name(path)
    keep = KEEP_PROFILE if options.strip else KEEP_ALL
    says_nothing = not any(field.startswith("exif-") for field in picture.fields)
    if says_nothing and np.allclose(picture.pixels_per_mm, SCREEN, rtol=1e-3):
        keep &= ~KEEP_EXIF  # libvips would make a block that says what nobody has said
    # AVIF stores transparency at the quality of its colors, and only the highest keeps opaque parts opaque.
    usual = 100 if target.name == "AVIF" and picture.transparent else QUALITY
    quality = usual if options.quality is None else options.quality
    if target.name == "JPEG":
        image.jpegsave(name, Q=quality, subsample_mode="off", keep=keep)
    elif target.name == "PNG":
        image.pngsave(name, compression=PNG_COMPRESSION, filter=PNG_AVERAGE, keep=keep)
    elif target.name == "WebP" and options.lossless:
        image.webpsave(name, lossless=True, exact=True, keep=keep)
    elif target.name == "WebP":
        image.webpsave(name, Q=quality, smart_subsample=True, keep=keep)
    elif target.name == "AVIF":
        image.heifsave(
            name,
            compression="av1",
            bitdepth=written_bits(picture, target),
            Q=quality,
            lossless=options.lossless,
            subsample_mode="off",
            effort=AVIF_EFFORT,
            keep=keep,
        )
    elif target.name == "GIF":
        image.gifsave(name, keep=keep)
    elif target.name == "PPM":
        _save_pnm(image, path)
    else:
        large = image.width * image.height * image.bands * (2 if image.format == "ushort" else 1) > TILED
        image.tiffsave(
            name,
            compression="deflate",
            predictor="horizontal",
            bigtiff=large,
            tile=large,
            tile_width=256,
            tile_height=256,
            keep=keep,
        )


def _save_pnm(image: pyvips.Image, path: Path) -> None:
    deep = image.format == "ushort"
    with path.open("wb") as file:
        file.write(netpbm.start_of(image.width, image.height, image.bands, deep=deep))
        file.flush()
        swapped = image.byteswap() if deep and sys.byteorder == "little" else image
        swapped.rawsave_target(pyvips.Target.new_to_descriptor(file.fileno()))
