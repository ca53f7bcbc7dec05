"""The public functions: upscale arrays, files and folders."""

from __future__ import annotations  # so that `help` shows the names of types instead of their definitions

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn._support.atomic import printable
from mafdn._support.validate import as_kind, as_path, as_whole
from mafdn.errors import UsageError
from mafdn.inference import Engine, EngineOptions
from mafdn.inference.upscale import check_array
from mafdn.pictures.reading import read_integers
from mafdn.upscaling import picture as pictures
from mafdn.upscaling.array import upscale_array
from mafdn.upscaling.folder.naming import Pattern
from mafdn.upscaling.folder.report import FolderProgress, FolderReport
from mafdn.upscaling.folder.run import upscale_all
from mafdn.upscaling.networks import Networks, NetworkSet, SingleNetwork
from mafdn.upscaling.options import FolderOptions, UpscaleOptions
from mafdn.upscaling.picture import Report
from mafdn.upscaling.size import Size
from mafdn.weights.resolve import FILE_TYPES, describe_vocabulary, resolve

PathLike = str | os.PathLike[str]
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

    def upscale(
        self,
        image: Array | PathLike,
        *,
        scale: float | None = None,
        tile: int | None = None,
        exact: bool = False,
        on_progress: Progress | None = None,
    ) -> Array:
        """Upscale an array, or the pixels of a picture file, with this network.

        Args:
            image: As for `mafdn.upscale`.
            scale: Scale factor (default: the network's scale); other factors are reached by resizing with Lanczos.
            tile: As for `mafdn.upscale`.
            exact: As for `mafdn.upscale`.
            on_progress: As for `mafdn.upscale`.

        Returns:
            The result, with the type and channels of the input.

        Raises:
            MafdnError: As for `mafdn.upscale`.
        """
        return _upscale(
            SingleNetwork(self.engine),
            image,
            None if scale is None else Size(scale=scale),
            tile=tile,
            exact=exact,
            on_progress=on_progress,
        )

    def upscale_file(
        self,
        source: PathLike,
        target: PathLike | None = None,
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
        return _upscale_file(SingleNetwork(self.engine), source, target, _with_size(options, size), on_progress)


def load(network: PathLike = "x4", *, engine: EngineOptions | None = None) -> Upscaler:
    """Load a network for upscaling several arrays or files.

    Example:
        upscaler = mafdn.load("x2", engine=mafdn.EngineOptions(threads=4))
        larger = upscaler.upscale(image)

    Args:
        network: `x2`, `x3` or `x4` (shipped networks), `auto` or `mafdn` (both x4), the path of an `.onnx`,
            `.safetensors` or `.pth` file, or the folder of a training run. Weights files and training runs need torch.
        engine: Engine, device, precision and threads (default: `EngineOptions()`).

    Returns:
        The loaded network.

    Raises:
        UsageError: If the network is unknown, or the device or precision is not available.
        WeightsError: If the file is missing or unusable.
        MissingPackageError: If the engine is not installed.
    """
    networks = _networks(network, engine)
    return Upscaler(networks.engine(networks.default_scale))


def upscale(
    image: Array | PathLike,
    *,
    scale: float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | None = None,
    tile: int | None = None,
    exact: bool = False,
    on_progress: Progress | None = None,
) -> Array:
    """Upscale an array, or the pixels of a picture file.

    Every call loads the network: use `load` for many arrays, and `upscale_folder` for many files.

    Example:
        larger = mafdn.upscale(image, scale=2)

    Args:
        image: An (H, W) or (H, W, C) array of uint8, uint16, or float32 in [0, 1], or the path of a picture file.
            C is 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGB and alpha); alpha is not premultiplied.
        scale: Scale factor, any positive number (default: the network's scale; 4 for `auto`).
        network: `auto` or `mafdn` for the shipped network nearest to `scale`, or a network as for `load`.
        engine: Engine, device, precision and threads (default: `EngineOptions()`).
        tile: Tile side in input pixels (default: 512). Smaller tiles use less memory and give the same result.
        exact: Overlap tiles by the full receptive field instead of the measured halo (slower).
        on_progress: Called as `on_progress(done, total)` after every tile.

    Returns:
        The result, with the type and channels of the input.

    Raises:
        UsageError: If the array's type, shape or range is unsupported, the network is unknown, or an option is invalid.
        PictureError: If the file cannot be read.
        WeightsError: If the network file is missing or unusable.
        MissingPackageError: If the engine is not installed.
    """
    size = None if scale is None else Size(scale=scale)
    return _upscale(_networks(network, engine), image, size, tile=tile, exact=exact, on_progress=on_progress)


def upscale_file(
    source: PathLike,
    target: PathLike | None = None,
    *,
    size: Size | float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | None = None,
    options: UpscaleOptions | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Upscale a picture file; metadata, color profile, transparency and bit depth are kept.

    The result is written atomically. An existing file is only overwritten if `options.overwrite` is set.

    Example:
        report = mafdn.upscale_file("photo.jpg", size=mafdn.Size(fit=(3840, 2160)))

    Args:
        source: The picture: JPEG, PNG, WebP, TIFF, AVIF, GIF or PPM, and HEIC with the extra `heic`.
        target: Path of the result; its extension determines the format (default: `NAME_x4.EXT` beside the source).
        size: Size of the result as a `Size`, or a scale factor (default: the network's scale; 4 for `auto`).
        network: `auto` or `mafdn` for the shipped network nearest to `size`, or a network as for `load`.
        engine: Engine, device, precision and threads (default: `EngineOptions()`).
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
    options = _with_size(options, size)
    return _upscale_file(_networks(network, engine), source, target, options, on_progress)


def upscale_folder(
    inputs: PathLike | Sequence[PathLike],
    folder: PathLike | None = None,
    *,
    recursive: bool = False,
    pattern: str | None = None,
    redo: bool = False,
    dry_run: bool = False,
    size: Size | float | None = None,
    network: PathLike = "auto",
    engine: EngineOptions | None = None,
    options: UpscaleOptions | None = None,
    on_progress: Callable[[FolderProgress], None] | None = None,
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
        dry_run: Only report what would be done.
        size: As for `upscale_file`.
        network: As for `upscale_file`.
        engine: As for `upscale_file`.
        options: As for `upscale_file`; limits apply to each picture.
        on_progress: Called for every file that is checked and after every tile.

    Returns:
        A report with the outcome of every picture.

    Raises:
        Stopped: On Ctrl-C; a `KeyboardInterrupt` that holds the report so far.
        PictureError: If no picture is found.
        UsageError: If the network is unknown, or options are invalid or incompatible.
        WeightsError: If the network file is missing or unusable.
        MafdnError: If another run is writing to the same output folder.
    """
    options = _with_size(options, size)
    folder_options = FolderOptions(
        folder=None if folder is None else as_path("the output folder", folder).absolute(),
        recursive=recursive,
        pattern=None if pattern is None else Pattern(pattern),
        redo=redo,
        dry_run=dry_run,
    )
    return upscale_all(
        [os.fspath(source) for source in _as_list(inputs)],
        _networks(network, engine),
        options,
        folder_options,
        on_progress=on_progress or (lambda _: None),
    )


def _upscale(
    networks: Networks,
    image: Array | PathLike,
    size: Size | None,
    *,
    tile: int | None,
    exact: bool,
    on_progress: Progress | None,
) -> Array:
    tile = None if tile is None else as_whole("tile", tile)
    if isinstance(image, np.ndarray):
        array: Array = image
    else:
        path = as_path("the picture", image, wanted="an array or a path")
        array = read_integers(path, advice="use mafdn.upscale_file, which keeps their colors").planes[:]
    check_array(array)
    scale = networks.scale_for(size, array.shape[1], array.shape[0])
    return upscale_array(
        networks.engine(scale),
        array,
        size=size or Size(scale=scale),
        tile=tile,
        exact=exact,
        on_progress=on_progress,
    )


def _upscale_file(
    networks: Networks,
    source: PathLike,
    target: PathLike | None,
    options: UpscaleOptions,
    on_progress: Progress | None,
) -> Report:
    return pictures.upscale_file(
        as_path("the picture", source),
        None if target is None else as_path("the output path", target),
        networks=networks,
        options=options,
        on_progress=on_progress,
    )


def _with_size(options: UpscaleOptions | None, size: Size | float | None) -> UpscaleOptions:
    """Return the options with `size` set; raises `UsageError` if they have a size already."""
    options = UpscaleOptions() if options is None else as_kind("options", options, UpscaleOptions)
    if size is None:
        return options
    if options.size is not None:
        raise UsageError("the size is set twice: use either size or options.size")
    return replace(options, size=size)


def _networks(network: PathLike, engine: EngineOptions | None) -> NetworkSet:
    """Resolve the name of a network; raises `UsageError` for baselines and architectures, which have no weights."""
    as_path("the network", network, wanted="a name or a path")
    options = EngineOptions() if engine is None else as_kind("engine", engine, EngineOptions)
    source = resolve(network)
    if source.kind == "shipped" and source.scale is None:
        return NetworkSet(options=options)
    path = source.file()
    if path.suffix not in FILE_TYPES:
        raise UsageError(f"unknown network {printable(path)!r}; {describe_vocabulary()}")
    return NetworkSet(path, options)


def _as_list(inputs: PathLike | Sequence[PathLike]) -> list[PathLike]:
    """Return the inputs as a list; names that contain NUL are left in, to be reported per item."""
    several = isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes | os.PathLike)
    sources = list(cast(Iterable[PathLike], inputs)) if several else [cast(PathLike, inputs)]
    for source in sources:
        if "\0" not in str(source):
            as_path("an input", source)
    return sources
