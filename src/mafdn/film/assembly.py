"""Films of pictures: these are put together losslessly, in a hidden file, and that film is upscaled."""

import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from mafdn.film.names import name_beside
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress, FilmReport
from mafdn.film.run import check_target, describe_film, upscale_film_file
from mafdn.pictures.picture import Picture
from mafdn.pictures.profiles import same_colors, to_srgb
from mafdn.pictures.reading import as_rgb8
from mafdn.pixels.alpha import opaque

if TYPE_CHECKING:
    from mafdn.film.output.copying import AnyPacket

SOURCE = ".{}.source.mkv"
"""Name of the film that is put together, made from that of the result."""
LOCK = "{}.lock"
"""Name of the lock beside that film."""
SPARE = len(".partial")
"""Bytes that names beside that film have more, at most."""
DIGEST = "comment"
"""Name of the metadata with the identity of the pictures."""
COLORS = "sRGB over white"
"""What became of the colors; part of that entry, so that a film of other colors is not used."""
FORMATS = {False: "bgr0", True: "gbrp16le"}
"""FFmpeg's names of the pixel formats of films of 8 bits, and of more."""
SETTINGS = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1", "threads": "2"}
"""Settings of FFV1, which is lossless."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One frame of a film that is put together.

    Attributes:
        pixels: (H, W, 3) uint8 or uint16, as `film_pixels` returns them.
        begin: When it is shown, in units of the film.
        duration: How long it is shown, in these units.
    """

    pixels: Pixels
    begin: int
    duration: int


@dataclass(frozen=True, kw_only=True)
class Shots:
    """The frames of a film that is put together.

    Attributes:
        path: What messages call the pictures.
        first_file: The file of the first one.
        identity: Changes whenever the film does.
        count: Their number.
        rate: Frames per second, on average if their durations differ.
        unit: The unit of time stamps, in seconds.
        notes: What the film does not keep, one sentence each.
        read: Yields the frames, all with the size and type of the first; raises `PictureError` if one cannot be read.
    """

    path: Path
    first_file: Path
    identity: str
    count: int
    rate: Fraction
    unit: Fraction
    notes: tuple[str, ...]
    read: Callable[[], Iterator[Shot]]


def upscale_shots(
    shots: Shots,
    target: Path,
    *,
    networks: Networks,
    options: FilmOptions,
    on_progress: Callable[[FilmProgress], None],
) -> FilmReport:
    """Upscale pictures to a film.

    Args:
        shots: The pictures.
        target: The film. The pictures are first put together losslessly, in a hidden file beside it.
        networks: The networks to use.
        options: How they are upscaled and encoded.
        on_progress: As for `upscale_film_file`.

    Raises:
        MafdnError: As `upscale_film_file`, a picture cannot be read, or another run is working on the same film.
    """
    check_target(shots.first_file, target, overwrite=options.upscale.overwrite)
    film = target.with_name(name_beside(SOURCE, target.name, spare=SPARE))

    def tick(done: int, total: int) -> None:
        on_progress(FilmProgress(phase="reading", name=shots.path.name, done=done, total=total))

    _check_first(shots, target, networks=networks, options=options)
    with _locked(film, target):
        assemble(shots, film, on_progress=tick)
        with _called(film, shots.path):
            report = upscale_film_file(film, target, networks=networks, options=options, on_progress=on_progress)
        film.unlink(missing_ok=True)
    told = (note.replace(printable(film), printable(shots.path)) for note in report.notes)
    return replace(report, source=shots.path, notes=(*shots.notes, *told))


@contextmanager
def _called(film: Path, path: Path) -> Generator[None]:
    """Name the pictures instead of the film that is made of them in errors."""
    try:
        yield
    except MafdnError as error:
        error.args = (str(error).replace(printable(film), printable(path)),)
        raise


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


def _check_first(shots: Shots, target: Path, *, networks: Networks, options: FilmOptions) -> None:
    """Raise what the film of all pictures would raise before its first frame, by a film of the first one alone."""
    first = next(shots.read())
    alone = replace(shots, count=1, read=lambda: iter([first]))
    with tempfile.TemporaryDirectory(prefix="mafdn-") as folder:
        film = Path(folder) / name_beside(SOURCE, target.name, spare=SPARE)
        assemble(alone, film)
        with _called(film, shots.first_file):
            describe_film(film, networks, options, target=target)


def assemble(shots: Shots, film: Path, *, on_progress: Callable[[int, int], None] = ignore) -> None:
    """Put pictures together as a lossless film, unless it is there already.

    Args:
        shots: The pictures.
        film: The film, a Matroska file; it appears when it is complete.
        on_progress: Called as `on_progress(done, total)` with pictures, and may raise.

    Raises:
        PictureError: A picture cannot be read.
        EncodeError: The film cannot be written.
    """
    if not film.is_file() or _digest_of(film) != _digest(shots):
        with _storing(film) as temporary:
            _write(temporary, shots, on_progress)


@contextmanager
def _storing(film: Path) -> Generator[Path]:
    """Replace a film by what is written to the path that this yields; failures to write are `EncodeError`."""
    try:
        with replacing(film, resumed=True) as temporary:
            yield temporary
    except FFmpegError as error:
        raise EncodeError(f"cannot write {printable(film)}: {error.strerror}", errno=error.errno) from None
    except OSError as error:
        raise EncodeError.from_os_error(f"cannot write {printable(film)}", error) from None


def _write(film: Path, shots: Shots, on_progress: Callable[[int, int], None]) -> None:
    with av.open(f"file:{film}", "w", format="matroska", container_options={"fflags": "+bitexact"}) as container:
        container.metadata[DIGEST] = _digest(shots)
        stream: Any = container.add_stream("ffv1", rate=shots.rate, options=SETTINGS)
        stream.codec_context.time_base = shots.unit
        durations: dict[int, int] = {}

        def store(packets: "list[AnyPacket]") -> None:
            for packet in packets:
                packet.duration = durations.pop(packet.pts or 0)
                container.mux(packet)

        for number, shot in enumerate(shots.read()):
            if number == 0:
                stream.height, stream.width = shot.pixels.shape[:2]
                stream.pix_fmt = FORMATS[shot.pixels.dtype != np.uint8]
            frame = _frame(shot.pixels)
            frame.pts, frame.time_base = shot.begin, shots.unit
            durations[shot.begin] = shot.duration
            store(stream.encode(frame))
            on_progress(number + 1, shots.count)
        store(stream.encode(None))


def _frame(pixels: Pixels) -> VideoFrame:
    """Return (H, W, 3) as a frame in the format that FFV1 takes."""
    (height, width), deep = pixels.shape[:2], pixels.dtype != np.uint8
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


def film_pixels(picture: Picture, path: Path, *, deep: bool) -> Pixels:
    """Return a picture in sRGB over white as (H, W, 3), uint8, or uint16 if `deep`.

    Raises:
        PictureError: If the film would show other colors, or the color profile cannot be applied.
    """
    color, points = picture.color, picture.code_points
    if points is not None and (points.hdr or not points.full_range):
        kind = f"HDR ({points.hdr})" if points.hdr else "narrow-range"
        raise PictureError(f"{printable(path)} has {kind} colors, which a film of pictures does not keep")
    if color.dtype.kind == "f":
        raise PictureError(
            f"{printable(path)} has floating-point numbers, which no film holds; convert it to 16 bits first"
        )
    if not _is_srgb(picture.profile, picture.colors):
        assert picture.profile is not None
        try:
            color = to_srgb(_sixteen_bits(color), picture.profile)
        except PictureError as error:
            raise PictureError(f"{printable(path)}: {error}") from None
    if not deep:
        return _over_white(as_rgb8(color), picture.alpha)
    color = _sixteen_bits(color)
    return _over_white(np.broadcast_to(color, (*color.shape[:2], 3)), picture.alpha)


def color_notes(first: Picture, *, clear: bool) -> tuple[str, ...]:
    """Return what a film does not keep of pictures like `first`, some of which are transparent if `clear`."""
    notes: list[str] = []
    if clear:
        notes.append("films have no transparency: transparent areas became white")
    if not _is_srgb(first.profile, first.colors):
        notes.append("the colors of the pictures were converted to sRGB")
    return tuple(notes)


def _sixteen_bits(color: Pixels) -> Pixels:
    return color.astype(np.uint16) * np.uint16(257) if color.dtype == np.uint8 else color


def _over_white(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """Blend (H, W, 3) with white where (H, W) is not opaque."""
    if alpha is None:
        return pixels
    share = (alpha / np.float32(opaque(alpha.dtype)))[..., None]
    white = np.float32(opaque(pixels.dtype))
    return np.rint(white + (pixels - white) * share).astype(pixels.dtype)


@lru_cache(maxsize=16)
def _is_srgb(profile: bytes | None, channels: int) -> bool:
    return profile is None or same_colors(profile, None, (channels, 3))


def _digest(shots: Shots) -> str:
    return f"{shots.identity}, {COLORS}"


def _digest_of(film: Path) -> str | None:
    try:
        with av.open(f"file:{film}", format="matroska") as container:
            return container.metadata.get(DIGEST)
    except (FFmpegError, OSError):
        return None
