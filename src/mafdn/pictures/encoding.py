"""Encoding pictures in a thread: rows are encoded while the next ones are computed."""

import contextlib
import queue
import struct
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips

from mafdn._support.atomic import printable
from mafdn._support.threads import STEP, WorkThread
from mafdn.errors import EncodeError, MafdnError, PictureError
from mafdn.pictures.codecs import codec_of
from mafdn.pictures.codecs.base import SaveOptions
from mafdn.pictures.feed import Feed
from mafdn.pictures.fitting import fit_metadata
from mafdn.pictures.floats import FloatBands
from mafdn.pictures.libvips import codec_errors, space_of, stop_at_limit
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import BLOCKS, EXIF, ICC
from mafdn.pictures.picture import DEFAULT_PIXELS_PER_MM, CodePoints, Format, Picture, Pixels
from mafdn.pictures.profiles import picture_tone
from mafdn.pictures.sequences.sequence import Timing
from mafdn.pixels.rows import pieces

KEEP_EXIF, KEEP_PROFILE, KEEP_ALL = 1, 8, 31
"""libvips flags (`VipsForeignKeep`)."""
MOST_HUNDREDTHS, MOST_PLAYS = 65_535, 65_536
"""Longest duration of a GIF frame in hundredths of a second, and the most plays of a GIF animation."""
FEW_BITS = 12
"""Bits per channel up to which steps in dark areas are visible if values are proportional to light."""


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How files are encoded."""

    quality: int | None = None
    """1 to 100, for JPEG, WebP, AVIF and JPEG XL; `None` for the default (95, and 100 for AVIF with transparency)."""
    lossless: bool = False
    """Preserve every pixel in WebP, AVIF and JPEG XL; overrides `quality`."""
    strip: bool = False
    """Leave out metadata, except for the color profile."""
    big: bool = False
    """Write BigTIFF whatever the size."""


class Encoder:
    """Encodes rows into a file while they are being computed; chroma is not subsampled where there is a choice.

    Args:
        picture: The original, from which profile, metadata, depth and channels are taken.
        path: The file to write.
        kind: Its format.
        width: Columns of the result.
        height: Rows of the result.
        report_as: The name to use in errors where `path` is a temporary file.
        options: Quality and metadata.
        limits: Their time limit ends encoding.
        timing: For an animation, whose frames are written one after the other, the timing of all of them.

    Attributes:
        bits: Bits per channel of the file.
    """

    def __init__(
        self,
        picture: Picture,
        path: Path,
        kind: Format,
        *,
        width: int,
        height: int,
        report_as: Path | None = None,
        options: EncodeOptions | None = None,
        limits: Limits | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._timing = timing
        self._picture, self._path, self._kind, self._width, self._height = picture, path, kind, width, height
        self.bits = written_bits(picture, kind)
        self._report_as, self._options, self._limits = report_as or path, options or EncodeOptions(), limits or Limits()
        codec_of(kind).check_encoder(self._report_as, self.bits)
        self._bands: queue.Queue[Pixels | None] = queue.Queue(maxsize=1)
        self._ended = self._cancelled = False
        self._error: Exception | None = None
        self._notes: tuple[str, ...] = ()
        self._image: pyvips.Image | None = None
        self._thread = WorkThread("encoder", self._run)

    def write(self, band: Pixels) -> None:
        """Hand over the next rows, (any, W, C); blocks while the previous ones are still waiting.

        Raises:
            PictureError: Encoding has failed in the meantime.
        """
        if self._error:
            raise self._error
        self._bands.put(band)

    def finish(self) -> tuple[str, ...]:
        """Wait until the file is complete; if Ctrl-C interrupts that, encoding is cancelled.

        Returns:
            What the format could not store, one sentence each.

        Raises:
            PictureError: The file cannot be written, or time ran out.
        """
        try:
            self._bands.put(None)
            self._thread.wait()
        except BaseException:
            self.cancel()
            raise
        if self._error:
            raise self._error
        return self._notes

    def cancel(self) -> None:
        """Stop encoding as soon as possible; the file is left incomplete."""
        self._cancelled, image = True, self._image
        if image is not None:
            image.set_kill(True)
        while not self._thread.is_over:
            with contextlib.suppress(queue.Full):  # also if Ctrl-C interrupted this before
                self._bands.put(None, timeout=STEP)
                self._thread.wait()

    def _run(self) -> None:
        try:
            self._notes = self._encode()
        except OSError as error:
            self._error = PictureError.from_os_error(f"cannot write {printable(self._report_as)}", error)
        except MafdnError as error:
            # Its frames refer to libvips's operation. That must end here and now: in a cycle, it would end whenever
            # Python collects garbage, and GLib aborts the process if that is while another message is being logged.
            error.__context__ = None
            self._error = error.with_traceback(None)
        except Exception as error:  # raised again by write and finish
            self._error = error
        while not self._ended:  # or write would block forever
            self._ended = self._bands.get() is None

    def _received(self) -> Generator[Pixels]:
        while not self._ended:
            band = self._bands.get()
            self._ended = band is None
            if band is None or self._cancelled:
                return
            yield band

    def _encode(self) -> tuple[str, ...]:
        picture, kind, options = fit_metadata(self._picture, self._kind), self._kind, self._options
        check_colors(self._report_as, picture.code_points, kind)
        bands, floats = self._received(), FloatBands(picture, kind) if picture.floating else None
        height = self._height * (len(self._timing.durations) if self._timing else 1)
        shape = (height, self._width, picture.planes.shape[2])
        stored = map(floats.convert, bands) if floats else bands
        feed = Feed(stored, shape, floats.dtype if floats else picture.planes.dtype)
        with codec_errors(self._report_as, writing=True), contextlib.closing(feed):
            image, notes = _converted(picture, feed.image, kind)
            if self._timing:
                notes += _set_timing(image, self._timing, self._height)
            for field, (gtype, value) in picture.fields.items():
                block = BLOCKS.get(field, "EXIF" if field.startswith("exif-") else None)
                if not options.strip and (block is None or block in kind.metadata):
                    image.set_type(gtype, field, value)
            if EXIF in picture.fields and not options.strip:  # the block has the old orientation, whatever fields say
                image.set_type(pyvips.GValue.gint_type, "orientation", 1)
            stop_at_limit(image, self._limits)
            self._image = image
            try:
                half = floats is not None and floats.half
                codec_of(kind).save(image, self._path, _save_options(picture, kind, options, half=half))
            except (ValueError, OverflowError, struct.error) as error:
                raise EncodeError(f"{printable(self._report_as)} cannot be written ({error})") from None
            finally:
                self._image = None
                self._limits.check_time(self._report_as)
        notes += floats.notes(self.bits) if floats else []
        return (*notes, *_losses(picture, kind, strip=options.strip))


def save_picture(
    picture: Picture,
    path: Path,
    kind: Format,
    *,
    report_as: Path | None = None,
    options: EncodeOptions | None = None,
) -> tuple[str, ...]:
    """Encode `picture` unchanged; arguments, result and errors are those of `Encoder`."""
    encoder = Encoder(
        picture, path, kind, width=picture.width, height=picture.height, report_as=report_as, options=options
    )
    try:
        for _, band in pieces(picture.planes):
            encoder.write(band)
    except BaseException:
        encoder.cancel()
        raise
    return encoder.finish()


def written_bits(picture: Picture, kind: Format) -> int:
    """Bits per channel that `kind` is written with: the fewest that hold the picture's, else its most."""
    choice = kind.float_bits if picture.floating and kind.float_bits else kind.bits
    return min((b for b in choice if b >= picture.bits), default=choice[-1])


def check_colors(path: Path, points: CodePoints | None, kind: Format) -> None:
    """Raise `PictureError` if a picture's values mean something that no file of the format `kind` can state.

    Args:
        path: The file to name in the message.
        points: The colors of the picture.
        kind: The format.
    """
    if points is None:
        return
    if points.hdr and not kind.code_points:
        raise PictureError(
            f"cannot write {printable(path)}: {kind.name} cannot state that the picture is HDR ({points.hdr}), and it "
            "would look dull everywhere; choose PNG, AVIF or JPEG XL"
        )
    if not points.full_range and kind.name != "PNG":
        raise PictureError(
            f"cannot write {printable(path)}: the picture has values of narrow range, which only PNG can state; "
            "choose PNG"
        )


def _converted(picture: Picture, image: pyvips.Image, kind: Format) -> tuple[pyvips.Image, list[str]]:
    """The pixels as `kind` can store them, with their profile, and notes on what that changed."""
    notes: list[str] = []
    grey, deep = picture.colors == 1, image.format == "ushort"
    space = "scrgb" if image.format == "float" and not grey else space_of(grey=grey, deep=deep)
    image = image.copy(interpretation=space, xres=picture.pixels_per_mm[0], yres=picture.pixels_per_mm[1])
    if picture.profile is not None and not (_is_stated_by_number(picture, kind) and grey and not kind.grey):
        image.set_type(pyvips.GValue.blob_type, ICC, cast(Any, picture.profile))
        reason = _reason_for_srgb(picture, kind)
        if reason:
            image = image.icc_transform("srgb", embedded=True, depth=16 if deep else 8)
            notes.append(f"{reason}: the picture was converted to sRGB")
            grey = False
    if picture.transparent and not kind.alpha:
        image = image.flatten(background=[65_535.0 if deep else 255.0])
        notes.append(f"{kind.name} has no transparency: transparent areas became white")
    bits = written_bits(picture, kind)
    if bits < picture.bits and (not picture.floating or kind.float_bits):
        notes.append(f"{kind.name} stores {bits} bits per channel: {picture.bits} were rounded")
    if deep and bits == 8:
        image = (image / 257).rint().cast("uchar").copy(interpretation=space_of(grey=grey, deep=False))
    elif deep and bits < 16:  # the encoder cuts off the low bits
        top = 2**bits - 1
        image = ((image * (top / 65_535)).rint() * 2 ** (16 - bits)).cast("ushort")
        image = image.copy(interpretation=space_of(grey=grey, deep=True))
    return image.copy(), notes


def _set_timing(image: pyvips.Image, timing: Timing, height: int) -> list[str]:
    """Make `image` an animation of frames of this height, for GIF; returns notes on what that changed."""
    durations, exact = timing.ticks(100, most=MOST_HUNDREDTHS)
    image.set_type(pyvips.GValue.gint_type, "page-height", height)
    image.set_type(pyvips.GValue.array_int_type, "delay", [10 * duration for duration in durations])
    image.set_type(pyvips.GValue.gint_type, "loop", min(timing.plays, MOST_PLAYS))
    return [] if exact else ["GIF stores durations in hundredths of a second: they were rounded"]


def _is_stated_by_number(picture: Picture, kind: Format) -> bool:
    return kind.code_points and picture.code_points is not None


def _reason_for_srgb(picture: Picture, kind: Format) -> str | None:
    """Why a picture with a profile has to be converted to sRGB; `None` if it keeps its colors."""
    if "ICC" not in kind.metadata:
        return None if _is_stated_by_number(picture, kind) else f"{kind.name} has no color profile"
    if picture.colors == 1 and not kind.grey:
        return f"{kind.name} has no gray"
    if picture.floating and not kind.float_bits and written_bits(picture, kind) <= FEW_BITS and picture_tone(picture):
        return f"{kind.name} has too few bits for linear light"
    return None


def _save_options(picture: Picture, kind: Format, options: EncodeOptions, *, half: bool) -> SaveOptions:
    keep = KEEP_PROFILE if options.strip else KEEP_ALL
    has_exif = any(field.startswith("exif-") for field in picture.fields)
    if not has_exif and np.allclose(picture.pixels_per_mm, DEFAULT_PIXELS_PER_MM, rtol=1e-3):
        keep &= ~KEEP_EXIF  # or libvips would invent a block with the default resolution
    return SaveOptions(
        quality=options.quality,
        lossless=options.lossless,
        bits=written_bits(picture, kind),
        keep=keep,
        chunks=() if options.strip else picture.chunks,
        big=options.big,
        comments=() if options.strip else picture.comments,
        half=half,
        code_points=picture.code_points if kind.code_points else None,
    )


def _losses(picture: Picture, kind: Format, *, strip: bool) -> list[str]:
    """Notes on what is lost in the file itself: colors, and metadata that the format is written without."""
    losses = [*kind.always_loses, *(kind.alpha_loses if picture.transparent else ())]
    if strip:
        return losses
    losses += picture.lost_metadata
    blocks = [BLOCKS[f] for f in picture.fields if f in BLOCKS and BLOCKS[f] not in kind.metadata]
    return losses + [f"{kind.name} files are written without {block}: it was left out" for block in blocks]
