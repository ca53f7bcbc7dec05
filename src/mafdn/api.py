"""The public functions: upscale arrays, files and folders."""

from __future__ import annotations  # so that `help` shows the names of types instead of their definitions

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, BinaryIO, overload

from numpy.typing import NDArray

from mafdn._support.progress import ignore
from mafdn._support.validate import as_kind
from mafdn.film.folder import FolderFilms
from mafdn.film.options import FilmOptions
from mafdn.inference import EngineOptions
from mafdn.upscaling.arguments import PathLike, input_list, network_set, one_size, result_folder, with_size
from mafdn.upscaling.dispatch import upscale_any, upscale_any_file
from mafdn.upscaling.folder.options import FolderOptions
from mafdn.upscaling.folder.report import FolderItem, FolderProgress, FolderReport
from mafdn.upscaling.folder.selection import Only, Order, as_moment
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.pattern import Pattern
from mafdn.upscaling.picture import Report
from mafdn.upscaling.pillow import PillowImage
from mafdn.upscaling.shards import as_shard
from mafdn.upscaling.size import Size

Array = NDArray[Any]
Progress = Callable[[int, int], None]


@overload
def upscale(
    image: Array | PathLike,
    *,
    scale: float | None = ...,
    size: Size | float | None = ...,
    network: PathLike = ...,
    engine: EngineOptions | str | None = ...,
    tile: int | None = ...,
    exact: bool = ...,
    ensemble: int = ...,
    on_progress: Progress | None = ...,
) -> Array: ...
@overload
def upscale(
    image: PillowImage,
    *,
    scale: float | None = ...,
    size: Size | float | None = ...,
    network: PathLike = ...,
    engine: EngineOptions | str | None = ...,
    tile: int | None = ...,
    exact: bool = ...,
    ensemble: int = ...,
    on_progress: Progress | None = ...,
) -> Any: ...
def upscale(
    image: Any,
    *,
    scale: float | None = None,
    size: Size | float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | str | None = None,
    tile: int | None = None,
    exact: bool = False,
    ensemble: int = 1,
    on_progress: Progress | None = None,
) -> Any:
    """Upscale an array, an image of Pillow, or the pixels of a picture file.

    Every call loads the network: use `load` for many arrays, and `upscale_folder` for many files.

    Example:
        larger = mafdn.upscale(image, scale=2)

    Args:
        image: An (H, W) or (H, W, C) array of uint8, uint16, or float32 in [0, 1], a `PIL.Image.Image`, or the path of
            a picture file. C is 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGB and alpha); alpha is not premultiplied.
            Images of mode `1` become gray, those with a palette or a transparent color RGB, LA or RGBA; CMYK and others
            must be converted first.
        scale: Scale factor, any positive number (default: the network's scale; 4 for `auto`).
        size: In place of `scale`, a size as for `upscale_file`.
        network: `auto` for the shipped network that suits the picture, by the quality of a JPEG file or by the pixels,
            and is nearest to the size; `photo` or `classic` for that nearest to it; or a network as for `load`.
        engine: Engine, device, precision and threads (default: `EngineOptions()`), or the name of an engine.
        tile: Tile side in input pixels (default: 512). Smaller tiles use less memory and give the same result.
        exact: Overlap tiles by the full receptive field instead of the measured halo (slower).
        ensemble: 8 to average the network's results on eight orientations of the picture: a little better, and about
            eight times slower.
        on_progress: Called as `on_progress(done, total)` after every tile.

    Returns:
        An array with the type and channels of the input; for an image of Pillow another one with its information.

    Raises:
        UsageError: If the type, shape or range of the array or the mode of the image is unsupported, the network is
            unknown, or an option is invalid.
        PictureError: If the file cannot be read.
        WeightsError: If the network file is missing or unusable.
        MissingPackageError: If the engine is not installed.
    """
    wanted, networks = one_size(scale, size), network_set(network, engine)
    return upscale_any(networks, image, wanted, tile=tile, exact=exact, ensemble=ensemble, on_progress=on_progress)


def upscale_file(
    source: PathLike | BinaryIO,
    target: PathLike | BinaryIO | None = None,
    *,
    size: Size | float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | str | None = None,
    options: UpscaleOptions | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Upscale a picture file; metadata, color profile, transparency and bit depth are kept.

    The result is written atomically. An existing file is only overwritten if `options.overwrite` is set.

    Example:
        report = mafdn.upscale_file("photo.jpg", size=mafdn.Size(fit=(3840, 2160)))

    Args:
        source: The picture: JPEG, PNG, WebP, TIFF, AVIF, GIF, PPM, JPEG 2000, BMP, TGA, QOI, ICO or PSD; JPEG XL with
            the extra `formats`, HEIC with `heic`. A binary stream is read to its end first. All frames of an animation
            and pages of a TIFF file are upscaled if the format of the result holds them.
        target: Path of the result; its extension determines the format (default: `NAME_x4.EXT` beside the source). A
            binary stream is written in the format of `options` (default: the format of the source).
        size: Size of the result as a `Size`, or a scale factor (default: the network's scale; 4 for `auto`).
        network: `auto` for the shipped network that suits the picture and is nearest to `size`, as reported in
            `weights`; `photo` or `classic` for that nearest to `size`; or a network as for `load`.
        engine: Engine, device, precision and threads (default: `EngineOptions()`), or the name of an engine.
        options: All other settings, such as the output format and limits (default: `UpscaleOptions()`).
        on_progress: Called as `on_progress(done, total)` after every tile.

    Returns:
        A report with paths, sizes, engine, times and notes.

    Raises:
        PictureError: If the picture cannot be read or exceeds a limit, or the result cannot be written.
        UsageError: If the network is unknown, or options are invalid, incompatible, or unsuitable for the picture.
        WeightsError: If the network file is missing or unusable.
        MissingPackageError: If the engine, or the decoder for HEIC, is not installed.
    """
    options = with_size(options, size)
    return upscale_any_file(network_set(network, engine), source, target, options, on_progress)


def upscale_folder(
    inputs: PathLike | Sequence[PathLike],
    folder: PathLike | None = None,
    *,
    recursive: bool = False,
    pattern: str | None = None,
    redo: bool = False,
    dry_run: bool = False,
    skip_larger_than: int | None = None,
    since: datetime | date | timedelta | str | None = None,
    only: Only | None = None,
    order: Order = "name",
    jobs: int = 1,
    shard: str | None = None,
    size: Size | float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | str | None = None,
    options: UpscaleOptions | None = None,
    films: FilmOptions | None = None,
    on_progress: Callable[[FolderProgress], None] | None = None,
    on_start: Callable[[FolderReport], None] | None = None,
    on_item: Callable[[FolderItem], None] | None = None,
) -> FolderReport:
    """Upscale many pictures and films: folders, files and glob patterns.

    Intact results of an earlier call with the same settings are kept. Other existing files are only overwritten if
    `options.overwrite` is set; otherwise they are reported as failures. If a picture fails, it is reported and the
    others are still upscaled.

    Example:
        report = mafdn.upscale_folder("photos", "large", recursive=True)

    Args:
        inputs: One or several folders, files, or glob patterns.
        folder: Folder for the results (default: next to each picture).
        recursive: Include subfolders; the results keep their structure.
        pattern: File names of the results, made of `{stem}`, `{scale}`, `{width}`, `{height}` and `{ext}` (default:
            `{stem}_x{scale}{ext}`). Colliding names are made unique.
        redo: Re-create results that are already up to date.
        dry_run: Only report what would be done, with an estimate of time and disk space by parts of a few pictures.
        skip_larger_than: Skip pictures whose longest side has more pixels than this.
        since: Skip pictures not modified since: a date and time, a duration, or a text such as `2026-11-01` or `7d`.
        only: `pictures` or `films`, to leave out the others.
        order: Which pictures come first: `name`, `size` (the smallest first), `newest`, `oldest` or `random`.
        jobs: How many pictures are decoded, and how many encoded, while the network runs; no result depends on it.
        shard: Only a share of the pictures, such as `3/8`. Each is in one share, by its name.
        size: As for `upscale_file`.
        network: As for `upscale_file`.
        engine: As for `upscale_file`.
        options: As for `upscale_file`; limits apply to each picture.
        films: How films are encoded (default: `FilmOptions()`); their `upscale` is not used.
        on_progress: Called for every file that is checked and after every tile.
        on_start: Called once with the plan, when all files have been checked: what is to be upscaled is `left`.
        on_item: Called with the outcome of every picture as soon as it is known. An error that it raises ends the run.

    Returns:
        A report with the outcome of every picture.

    Raises:
        Stopped: On Ctrl-C; a `KeyboardInterrupt` that holds the report so far.
        PictureError: If no picture is found.
        UsageError: If the network is unknown, or options are invalid or incompatible.
        WeightsError: If the network file is missing or unusable.
        MafdnError: If another run is writing to the same output folder, unless it has another share.
    """
    options = with_size(options, size)
    folder_options = FolderOptions(
        folder=result_folder(folder),
        recursive=recursive,
        pattern=None if pattern is None else Pattern(pattern),
        redo=redo,
        dry_run=dry_run,
        skip_larger_than=skip_larger_than,
        since=None if since is None else as_moment(since),
        only=only,
        order=order,
        jobs=jobs,
        shard=None if shard is None else as_shard(shard),
    )
    from mafdn.upscaling.folder.run import upscale_all  # not needed for single pictures

    return upscale_all(
        input_list(inputs),
        network_set(network, engine),
        options,
        folder_options,
        on_progress=on_progress or ignore,
        on_start=on_start or ignore,
        on_item=on_item or ignore,
        films=FolderFilms(as_kind("films", films or FilmOptions(), FilmOptions)),
    )
