"""The public functions for films."""

from __future__ import annotations  # so that `help` shows the names of types instead of their definitions

from collections.abc import Callable, Iterator
from dataclasses import replace

from mafdn._support.atomic import printable
from mafdn._support.progress import ignore
from mafdn._support.validate import as_kind, as_path
from mafdn.errors import UsageError
from mafdn.film.frame import FilmFrame
from mafdn.film.libav import require_av
from mafdn.film.numbered.names import Numbering
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress, FilmReport
from mafdn.inference import EngineOptions
from mafdn.pictures.writing import keep_times
from mafdn.upscaling.arguments import PathLike, network_set, with_size
from mafdn.upscaling.size import Size


def upscale_film(
    source: PathLike,
    target: PathLike | None = None,
    *,
    size: Size | float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | str | None = None,
    options: FilmOptions | None = None,
    on_progress: Callable[[FilmProgress], None] | None = None,
) -> FilmReport:
    """Upscale a film: its frames are enlarged, and everything else is kept as it was.

    The film is encoded in segments, in a folder beside the result. Whatever ends the call, the same call goes on from
    the last whole segment, and its result equals that of one that was not interrupted. The result appears when it is
    complete. An existing file is only overwritten if `options.upscale.overwrite` is set. This needs the extra `film`.

    Example:
        report = mafdn.upscale_film("film.mp4", size=2, options=mafdn.FilmOptions(codec="x265", crf=18))

    Args:
        source: The film, in any container and codec that FFmpeg reads; numbered pictures, such as `in/%06d.png`; or an
            animated GIF, WebP, PNG or AVIF, if `target` is a film.
        target: Path of the result, whose ending decides the container (default: `NAME_x4.EXT` beside the film); or
            numbered pictures, such as `out/%06d.png`, for every frame.
        size: Size of the result as a `Size`, or a scale factor (default: the network's scale; 4 for `auto`).
        network: `auto` for the shipped network that suits the film and is nearest to `size`, as reported in `weights`;
            or a network as for `mafdn.load`.
        engine: Engine, device, precision and threads (default: `EngineOptions()`), or the name of an engine.
        options: All other settings (default: `FilmOptions()`).
        on_progress: Called after every tile and frame, and may raise.

    Returns:
        A report with paths, sizes, counts, times and notes.

    Raises:
        FilmStopped: On Ctrl-C; a `KeyboardInterrupt` that holds the number of frames that are kept.
        PictureError: If the film cannot be read or exceeds a limit, or the result cannot be written.
        UsageError: If the network is unknown, or options are invalid, incompatible, or unsuitable for the film.
        WeightsError: If the network file is missing or unusable.
        MissingPackageError: If the extra `film` or the engine is not installed.
        MafdnError: If another process is working on the same result.
    """
    film = as_path("the film", source)
    result = None if target is None else as_path("the result", target)
    options, networks, tick = _with_size(options, size), network_set(network, engine), on_progress or ignore
    pictures, results = Numbering.parse(str(film)), None if result is None else Numbering.parse(str(result))
    if pictures is not None and (results is not None or result is None):
        raise UsageError(
            f"give the name of a film for {printable(film)}; mafdn.upscale_folder makes pictures of pictures"
        )
    require_av(film)
    from mafdn.film.animation import animated_shots
    from mafdn.film.assembly import upscale_shots
    from mafdn.film.names import is_animation_for
    from mafdn.film.numbered.reading import numbered_shots
    from mafdn.film.numbered.writing import write_pictures
    from mafdn.film.run import check_target, upscale_film_file

    if results is not None:
        return write_pictures(film, results, networks=networks, options=options, on_progress=tick)
    shots, limits = None, options.upscale.limits.begun()
    if pictures is not None:
        shots = numbered_shots(pictures, rate=options.frame_rate, limits=limits)
    elif result is not None and is_animation_for(film, result):
        check_target(film, result, overwrite=options.upscale.overwrite)  # before it is decoded
        shots = animated_shots(film, limits=limits, scratch=result.parent)
    if shots is not None and result is not None:
        report = upscale_shots(shots, result, networks=networks, options=options, on_progress=tick)
    else:
        report = upscale_film_file(film, result, networks=networks, options=options, on_progress=tick)
    if options.upscale.keep_times and pictures is None:
        report = replace(report, notes=(*report.notes, *keep_times(film, report.target)))
    return report


def film_frames(
    source: PathLike,
    *,
    size: Size | float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | str | None = None,
    options: FilmOptions | None = None,
) -> Iterator[FilmFrame]:
    """Upscale the frames of a film one after the other, without encoding them. This needs the extra `film`.

    Example:
        for frame in mafdn.film_frames("film.mp4", size=2, options=mafdn.FilmOptions(end=10)):
            show(frame.pixels)

    Args:
        source: The film, in any container and codec that FFmpeg reads.
        size: As for `upscale_film`; it is met exactly, where encoded films need even sides.
        network: As for `upscale_film`.
        engine: As for `upscale_film`.
        options: As for `upscale_film`; what concerns encoding is not used.

    Returns:
        An iterator of frames, with the results as `pixels`: (H, W, 3) RGB, turned as they are shown, uint8, or uint16
        for films of more than 8 bits. They must not be changed; equal frames that follow each other share them.

    Raises:
        MafdnError: As for `upscale_film`, at the latest when the frame at fault is reached.
    """
    film = as_path("the film", source)
    require_av(film)
    from mafdn.film.run import upscaled_frames

    return upscaled_frames(film, networks=network_set(network, engine), options=_with_size(options, size))


def _with_size(options: FilmOptions | None, size: Size | float | None) -> FilmOptions:
    """Return the options with this size; raises `UsageError` if they have one already."""
    options = FilmOptions() if options is None else as_kind("options", options, FilmOptions)
    try:
        return replace(options, upscale=with_size(options.upscale, size))
    except UsageError as error:
        raise UsageError(str(error).replace("options.size", "options.upscale.size")) from None
