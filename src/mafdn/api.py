"""The public functions: upscale arrays, files and folders."""

from __future__ import annotations  # so that `help` shows the names of types instead of their definitions

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, BinaryIO, overload

from numpy.typing import NDArray

from mafdn._support.progress import ignore
from mafdn.inference import Engine, EngineOptions
from mafdn.upscaling.arguments import PathLike, input_list, network_set, result_folder, with_size
from mafdn.upscaling.dispatch import upscale_any, upscale_any_file
from mafdn.upscaling.folder.naming import Pattern
from mafdn.upscaling.folder.report import FolderItem, FolderProgress, FolderReport
from mafdn.upscaling.folder.selection import Order, as_moment
from mafdn.upscaling.networks import SingleNetwork
from mafdn.upscaling.options import FolderOptions, UpscaleOptions
from mafdn.upscaling.picture import Report
from mafdn.upscaling.pillow import PillowImage
from mafdn.upscaling.size import Size

Array = NDArray[Any]
Progress = Callable[[int, int], None]


class Upscaler:
    """A loaded network, for upscaling several arrays or files; created by `load`.

    Attributes:
        engine: The engine that runs the network.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def scale(self) -> int:
        """The factor by which the network upscales."""
        return self.engine.scale

    @overload
    def upscale(
        self,
        image: Array | PathLike,
        *,
        scale: float | None = ...,
        tile: int | None = ...,
        exact: bool = ...,
        on_progress: Progress | None = ...,
    ) -> Array: ...
    @overload
    def upscale(
        self,
        image: PillowImage,
        *,
        scale: float | None = ...,
        tile: int | None = ...,
        exact: bool = ...,
        on_progress: Progress | None = ...,
    ) -> Any: ...
    def upscale(
        self,
        image: Any,
        *,
        scale: float | None = None,
        tile: int | None = None,
        exact: bool = False,
        on_progress: Progress | None = None,
    ) -> Any:
        """Upscale an array, an image of Pillow, or the pixels of a picture file, with this network.

        Args:
            image: As for `mafdn.upscale`.
            scale: Scale factor (default: the network's scale); other factors are reached by resizing with Lanczos.
            tile: As for `mafdn.upscale`.
            exact: As for `mafdn.upscale`.
            on_progress: As for `mafdn.upscale`.

        Returns:
            As `mafdn.upscale`.

        Raises:
            MafdnError: As for `mafdn.upscale`.
        """
        return upscale_any(
            SingleNetwork(self.engine),
            image,
            None if scale is None else Size(scale=scale),
            tile=tile,
            exact=exact,
            on_progress=on_progress,
        )

    def upscale_file(
        self,
        source: PathLike | BinaryIO,
        target: PathLike | BinaryIO | None = None,
        *,
        size: Size | float | None = None,
        options: UpscaleOptions | None = None,
        on_progress: Progress | None = None,
    ) -> Report:
        """Upscale a picture file with this network.

        Args:
            source: As for `mafdn.upscale_file`.
            target: As for `mafdn.upscale_file`.
            size: Size of the result as a `Size`, or a scale factor (default: the network's scale); other sizes are
                reached by resizing with Lanczos.
            options: As for `mafdn.upscale_file`.
            on_progress: As for `mafdn.upscale_file`.

        Returns:
            A report with paths, sizes, engine, times and notes.

        Raises:
            MafdnError: As for `mafdn.upscale_file`.
        """
        return upscale_any_file(SingleNetwork(self.engine), source, target, with_size(options, size), on_progress)


def load(network: PathLike = "x4", *, engine: EngineOptions | str | None = None) -> Upscaler:
    """Load a network for upscaling several arrays or files.

    Example:
        upscaler = mafdn.load("x2", engine=mafdn.EngineOptions(threads=4))
        larger = upscaler.upscale(image)

    Args:
        network: `x2`, `x3` or `x4` (shipped networks), `auto` or `mafdn` (both x4), the path of an `.onnx`,
            `.safetensors` or `.pth` file, or the folder of a training run. Weights files and training runs need torch.
        engine: Engine, device, precision and threads (default: `EngineOptions()`), or the name of an engine.

    Returns:
        The loaded network.

    Raises:
        UsageError: If the network is unknown, or the device or precision is not available.
        WeightsError: If the file is missing or unusable.
        MissingPackageError: If the engine is not installed.
    """
    networks = network_set(network, engine)
    return Upscaler(networks.engine(networks.default_scale))


@overload
def upscale(
    image: Array | PathLike,
    *,
    scale: float | None = ...,
    network: PathLike = ...,
    engine: EngineOptions | str | None = ...,
    tile: int | None = ...,
    exact: bool = ...,
    on_progress: Progress | None = ...,
) -> Array: ...
@overload
def upscale(
    image: PillowImage,
    *,
    scale: float | None = ...,
    network: PathLike = ...,
    engine: EngineOptions | str | None = ...,
    tile: int | None = ...,
    exact: bool = ...,
    on_progress: Progress | None = ...,
) -> Any: ...
def upscale(
    image: Any,
    *,
    scale: float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | str | None = None,
    tile: int | None = None,
    exact: bool = False,
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
        network: `auto` or `mafdn` for the shipped network nearest to `scale`, or a network as for `load`.
        engine: Engine, device, precision and threads (default: `EngineOptions()`), or the name of an engine.
        tile: Tile side in input pixels (default: 512). Smaller tiles use less memory and give the same result.
        exact: Overlap tiles by the full receptive field instead of the measured halo (slower).
        on_progress: Called as `on_progress(done, total)` after every tile.

    Returns:
        An array with the type and channels of the input, for an image of Pillow another one with its color profile and
        other information.

    Raises:
        UsageError: If the type, shape or range of the array or the mode of the image is unsupported, the network is
            unknown, or an option is invalid.
        PictureError: If the file cannot be read.
        WeightsError: If the network file is missing or unusable.
        MissingPackageError: If the engine is not installed.
    """
    size = None if scale is None else Size(scale=scale)
    return upscale_any(network_set(network, engine), image, size, tile=tile, exact=exact, on_progress=on_progress)


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
        network: `auto` or `mafdn` for the shipped network nearest to `size`, or a network as for `load`.
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
    order: Order = "name",
    jobs: int = 1,
    size: Size | float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | str | None = None,
    options: UpscaleOptions | None = None,
    on_progress: Callable[[FolderProgress], None] | None = None,
    on_start: Callable[[FolderReport], None] | None = None,
    on_item: Callable[[FolderItem], None] | None = None,
) -> FolderReport:
    """Upscale many pictures: folders, files and glob patterns.

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
        dry_run: Only report what would be done, with an estimate of the time and the disk space, which is measured on
            parts of a few pictures.
        skip_larger_than: Skip pictures whose longest side has more pixels than this.
        since: Skip pictures that were not modified since: a date and time, a duration before now, or a text such as
            `2026-11-01`, `2026-11-01T18:30`, `7d` or `12h`.
        order: Which pictures come first: `name`, `size` (the smallest first), `newest`, `oldest` or `random`.
        jobs: How many pictures are decoded, and how many encoded, at the same time as the network runs. Results do not
            depend on it.
        size: As for `upscale_file`.
        network: As for `upscale_file`.
        engine: As for `upscale_file`.
        options: As for `upscale_file`; limits apply to each picture.
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
        MafdnError: If another run is writing to the same output folder.
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
        order=order,
        jobs=jobs,
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
    )
