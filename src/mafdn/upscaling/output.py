"""The format and name of a result."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from mafdn._support.atomic import printable
from mafdn._support.validate import as_kind, as_whole, is_folder
from mafdn.errors import UsageError
from mafdn.pictures.codecs.foreign.unsupported import FILM_SUFFIXES
from mafdn.pictures.codecs.foreign.unsupported import SUFFIXES as UNSUPPORTED
from mafdn.pictures.encoding import EncodeOptions
from mafdn.pictures.formats import FORMATS, SUFFIXES, Format, format_called, format_of_name
from mafdn.pictures.reading import PictureHeader
from mafdn.upscaling.pattern import Pattern
from mafdn.upscaling.size import Size

DOCUMENTS = (".pdf", ".eps", ".xcf", ".hdr", ".pfm")
"""Endings of further formats that are not written; a result's name with one of them does not mean a folder."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """How results are written.

    Args:
        format: `jpeg`, `png`, `webp`, `tiff`, `avif`, `gif`, `ppm`, `jxl`, `jp2`, `bmp`, `qoi` or `tga` (default: from
            the result's name, else that of the input).
        quality: 1 to 100 for JPEG, WebP, AVIF and JPEG XL (default: 95).
        lossless: Write lossless WebP, AVIF or JPEG XL.
        strip_metadata: Remove EXIF, XMP, IPTC and text; the color profile is kept.
        keep_print_size: Raise the print resolution with the size in pixels.

    Raises:
        UsageError: For an unknown format, a value out of range, or settings that exclude each other.
    """

    format: str | None = None
    quality: int | None = None
    lossless: bool = False
    strip_metadata: bool = False
    keep_print_size: bool = False

    def __post_init__(self) -> None:
        if self.quality is not None:
            object.__setattr__(self, "quality", as_whole("quality", self.quality, least=1, most=100))
        if self.quality is not None and self.lossless:
            raise UsageError("use either a quality or lossless, not both")
        if self.format is not None:
            check_output(self, format_called(as_kind("format", self.format, str)))


def is_picture_name(path: str | os.PathLike[str]) -> bool:
    """Whether a path for results is that of a picture file: by its ending, and neither `FOLDER/` nor a folder."""
    text = os.fspath(path)
    separators = tuple(filter(None, (os.sep, os.altsep)))
    ending = Path(text).suffix.lower()
    return (
        ending in (*SUFFIXES, *UNSUPPORTED, *DOCUMENTS, *FILM_SUFFIXES)
        and not text.endswith(separators)
        and not is_folder(Path(text))
    )


def encode_options(output: Output) -> EncodeOptions:
    """Return the encoder's options for these settings."""
    return EncodeOptions(quality=output.quality, lossless=output.lossless, strip=output.strip_metadata)


def check_output(output: Output, kind: Format, *, kept: bool = False) -> None:
    """Raise `UsageError` if the format `kind`, `kept` from the picture or chosen, cannot be written so."""
    if output.lossless and not kind.lossless:
        remedy = "choose the format png, webp, tiff, avif or jxl" if kept else "choose PNG, WebP, TIFF, AVIF or JPEG XL"
        raise UsageError(f"{kind.name} is never lossless; {remedy}", setting="format" if kept else "")
    if output.quality is not None and not kind.lossy:
        raise UsageError(f"{kind.name} has no quality setting; omit it, or choose JPEG, WebP, AVIF or JPEG XL")


def named_format(target: Path, output: Output) -> Format:
    """Return the format of a result by its name.

    Raises:
        UsageError: If the name has an unknown ending, or that of another format than was requested.
    """
    if output.format is None:
        return format_of_name(target)
    kind = format_called(output.format)
    if target.suffix.lower() not in kind.suffixes:
        raise UsageError(f"{printable(target)} does not end in {' or '.join(kind.suffixes)}, as {kind.name} files do")
    return kind


def choose_format(header: PictureHeader, target: Path | None, output: Output) -> Format:
    """Return the format of a result: the requested one, else that of `target`'s name, else that of the picture.

    Of PNM's endings it has those that are true of this picture.

    Raises:
        UsageError: If `target` has an unknown ending, or that of another format than was requested.
    """
    if target is not None:
        kind = named_format(target, output)
    elif output.format is not None:
        kind = format_called(output.format)
    else:
        kind = header.format if header.format.written_as is None else FORMATS[header.format.written_as]
    check_output(output, kind, kept=target is None and output.format is None)
    return _pnm_with_true_endings(kind, target, color=header.channels > 2) if kind.name == "PPM" else kind


def _pnm_with_true_endings(kind: Format, target: Path | None, *, color: bool) -> Format:
    """Drop the endings for gray pictures if this one has color, and that for one bit; `.ppm` may also be gray."""
    ending = "" if target is None else target.suffix.lower()
    if color and ending in (".pgm", ".pbm"):
        raise UsageError(f"{printable(target or '')} is a name for gray pictures, but this one has color; use .ppm")
    if ending == ".pbm":
        raise UsageError(f"{printable(target or '')} is a name for pictures of one bit; use .pgm")
    return replace(kind, suffixes=(".ppm", ".pnm")) if color else kind


def default_target(source: Path, size: Size, new_size: tuple[int, int], kind: Format) -> Path:
    """Return the default path of a result: `photo_x4.jpg` beside `photo.jpg`, or `photo_640x480.jpg`.

    The ending is that of the source if it fits the format. The stem of a name that would be too long is cut.
    """
    return source.with_name(Pattern.default(size).name(source, size, new_size, kind))
