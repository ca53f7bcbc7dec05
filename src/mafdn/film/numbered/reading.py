"""Numbered pictures as a film: they are put together losslessly, and that film is upscaled."""

import hashlib
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import filelock
import numpy as np
from av import VideoFrame
from av.error import FFmpegError

from mafdn._support.atomic import printable, replacing
from mafdn._support.progress import ignore
from mafdn.errors import EncodeError, MafdnError, PictureError
from mafdn.film.choice import Networks
from mafdn.film.frame import Pixels
from mafdn.film.numbered.names import Numbering
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress, FilmReport
from mafdn.film.run import check_target, describe_film, upscale_film_file
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import open_picture

SOURCE = ".{}.source.mkv"
"""Name of the film that is put together, made from that of the result."""
LOCK = "{}.lock"
"""Name of the lock beside that film."""
DIGEST = "comment"
"""Name of the metadata with the identity of the pictures."""
FORMATS = {False: "bgr0", True: "gbrp16le"}
"""FFmpeg's names of the pixel formats of films of 8 bits, and of more."""
SETTINGS = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1", "threads": "2"}
"""Settings of FFV1, which is lossless."""


def upscale_pictures(
    pictures: Numbering,
    target: Path,
    *,
    networks: Networks,
    options: FilmOptions,
    on_progress: Callable[[FilmProgress], None],
) -> FilmReport:
    """Upscale numbered pictures to a film, with `options.rate` frames per second.

    Args:
        pictures: The pictures, all of one size.
        target: The film. The pictures are first put together losslessly, in a hidden file beside it.
        networks: The networks to use.
        options: How they are upscaled and encoded.
        on_progress: As for `upscale_film_file`.

    Raises:
        MafdnError: As `upscale_film_file` and `assemble`, or another run is working on the same film.
    """
    check_target(pictures.files()[0], target, overwrite=options.upscale.overwrite)
    film = target.with_name(SOURCE.format(target.name))

    def tick(done: int, total: int) -> None:
        on_progress(FilmProgress(phase="reading", name=pictures.name, done=done, total=total))

    _check_first(pictures.files()[0], target, networks=networks, options=options)
    with _locked(film, target):
        notes = assemble(pictures, film, rate=options.frame_rate, limits=options.upscale.limits, on_progress=tick)
        try:
            report = upscale_film_file(film, target, networks=networks, options=options, on_progress=on_progress)
        except MafdnError as error:
            error.args = (str(error).replace(printable(film), printable(pictures.path)),)
            raise
        film.unlink(missing_ok=True)
    told = (note.replace(printable(film), printable(pictures.path)) for note in report.notes)
    return replace(report, source=pictures.path, notes=(*notes, *told))


@contextmanager
def _locked(film: Path, target: Path) -> Generator[None]:
    """Keep other runs from putting the same film together; raises `MafdnError` if one does."""
    path = film.with_name(LOCK.format(film.name))
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise MafdnError(f"another run is working on {printable(target)}; wait for it or stop it") from None
    except OSError as error:
        raise EncodeError.from_os_error(f"cannot write {printable(path)}", error) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not remove an open file
            path.unlink()
        lock.release()


def _check_first(path: Path, target: Path, *, networks: Networks, options: FilmOptions) -> None:
    """Raise what the film of all pictures would raise before its first frame, by a film of the first one alone."""
    limits = options.upscale.limits
    with tempfile.TemporaryDirectory(prefix="mafdn-") as folder:
        film = Path(folder) / SOURCE.format(target.name)
        with _storing(film) as temporary:
            _write(temporary, [path], open_picture(path, limits=limits), options.frame_rate, "", limits, ignore)
        try:
            describe_film(film, networks, options, target=target)
        except MafdnError as error:
            error.args = (str(error).replace(printable(film), printable(path)),)
            raise


def assemble(
    pictures: Numbering,
    film: Path,
    *,
    rate: Fraction,
    limits: Limits,
    on_progress: Callable[[int, int], None] = ignore,
) -> tuple[str, ...]:
    """Put numbered pictures together as a lossless film, unless it is there already.

    Args:
        pictures: The pictures, all of one size.
        film: The film, a Matroska file; it appears when it is complete.
        rate: Frames per second.
        limits: Limits for each picture.
        on_progress: Called as `on_progress(done, total)` with pictures, and may raise.

    Returns:
        Notes on what is not kept, one sentence each.

    Raises:
        PictureError: A picture cannot be read, or has another size than the first.
        EncodeError: The film cannot be written.
    """
    files = pictures.files()
    first = open_picture(files[0], limits=limits)
    notes = _notes(first)
    digest = _identity(files, rate)
    if not film.is_file() or _digest_of(film) != digest:
        with _storing(film) as temporary:
            _write(temporary, files, first, rate, digest, limits, on_progress)
    return notes


@contextmanager
def _storing(film: Path) -> Generator[Path]:
    """Replace a film by what is written to the path that this yields; failures to write are `EncodeError`."""
    try:
        with replacing(film) as temporary:
            yield temporary
    except FFmpegError as error:
        raise EncodeError(f"cannot write {printable(film)}: {error.strerror}", errno=error.errno) from None
    except OSError as error:
        raise EncodeError.from_os_error(f"cannot write {printable(film)}", error) from None


def _write(
    film: Path,
    files: Sequence[Path],
    first: Picture,
    rate: Fraction,
    digest: str,
    limits: Limits,
    on_progress: Callable[[int, int], None],
) -> None:
    deep = first.planes.dtype != np.uint8
    with av.open(f"file:{film}", "w", format="matroska", container_options={"fflags": "+bitexact"}) as container:
        container.metadata[DIGEST] = digest
        stream: Any = container.add_stream("ffv1", rate=rate, options=SETTINGS)
        stream.width, stream.height = first.width, first.height
        stream.pix_fmt = FORMATS[deep]
        stream.codec_context.time_base = 1 / rate
        for number, path in enumerate(files):
            picture = first if number == 0 else open_picture(path, limits=limits)
            if (picture.width, picture.height) != (first.width, first.height):
                raise PictureError(
                    f"{printable(path)} has {picture.width}x{picture.height} pixels, and {printable(files[0].name)} "
                    f"{first.width}x{first.height}; the pictures of a film have one size"
                )
            frame = _frame(_rgb(picture, path, deep=deep), deep=deep)
            frame.pts, frame.time_base = number, 1 / rate
            for packet in stream.encode(frame):
                container.mux(packet)
            on_progress(number + 1, len(files))
        for packet in stream.encode(None):
            container.mux(packet)


def _frame(pixels: Pixels, *, deep: bool) -> VideoFrame:
    """Return (H, W, 3) as a frame in the format that FFV1 takes."""
    height, width = pixels.shape[:2]
    frame = VideoFrame(width, height, FORMATS[deep])
    if deep:
        parts = [pixels[..., channel, None].astype("<u2") for channel in (1, 2, 0)]
    else:
        parts = [np.concatenate([pixels[..., ::-1], np.zeros((height, width, 1), np.uint8)], axis=2)]
    for plane, part in zip(frame.planes, parts, strict=True):
        rows = np.zeros((height, plane.line_size), np.uint8)
        values = np.ascontiguousarray(part).view(np.uint8).reshape(height, -1)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame


def _rgb(picture: Picture, path: Path, *, deep: bool) -> Pixels:
    """Return the colors of a picture as (H, W, 3), uint8 or uint16; gray is repeated, alpha dropped.

    Raises:
        PictureError: If the film would show other colors.
    """
    color, points = picture.color, picture.code_points
    if points is not None and (points.hdr or not points.full_range):
        kind = f"HDR ({points.hdr})" if points.hdr else "narrow-range"
        raise PictureError(f"{printable(path)} has {kind} colors, which a film of numbered pictures does not keep")
    if color.dtype.kind == "f":
        raise PictureError(
            f"{printable(path)} has floating-point numbers, which no film holds; convert it to 16 bits first"
        )
    if deep and color.dtype == np.uint8:
        color = color.astype(np.uint16) * np.uint16(257)
    elif not deep and color.dtype != np.uint8:
        color = ((color.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.broadcast_to(color, (*color.shape[:2], 3))


def _notes(first: Picture) -> tuple[str, ...]:
    notes = ["the film does not hold the transparency of the pictures"] if first.transparent else []
    notes += ["the colors of the pictures are taken for sRGB, whatever their profile"] if first.profile else []
    return tuple(notes)


def _identity(files: Sequence[Path], rate: Fraction) -> str:
    """Return a digest of the names, sizes and times of pictures, and of the rate."""
    parts = [str(rate)]
    try:
        for path in files:
            status = path.stat()
            parts.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {printable(files[0].parent)}", error) from None
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _digest_of(film: Path) -> str | None:
    try:
        with av.open(f"file:{film}", format="matroska") as container:
            return container.metadata.get(DIGEST)
    except (FFmpegError, OSError):
        return None
