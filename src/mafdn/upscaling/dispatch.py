"""Upscaling of arrays, images of Pillow, files and streams: the choice of the function by the type."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mafdn._support.validate import as_path, as_whole
from mafdn.errors import UsageError
from mafdn.inference import ensembled
from mafdn.inference.ensemble import as_ensemble
from mafdn.inference.upscale import check_array
from mafdn.pictures.reading import PictureHeader, decode_integers, read_header
from mafdn.upscaling.arguments import PathLike
from mafdn.upscaling.array import upscale_array
from mafdn.upscaling.choice.weights import WeightsChoice, choose_by_pixels, choose_weights
from mafdn.upscaling.networks import Networks
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Report, upscale_file
from mafdn.upscaling.pillow import PillowImage, is_image, to_array, to_image
from mafdn.upscaling.size import Size
from mafdn.upscaling.streams import is_stream, upscale_stream

Progress = Callable[[int, int], None]


def upscale_any(
    networks: Networks,
    image: Any,
    size: Size | None,
    *,
    tile: int | None,
    exact: bool,
    ensemble: int,
    on_progress: Progress | None,
) -> Any:
    """Upscale an array, an image of Pillow or the pixels of a file; arguments and result as for `mafdn.upscale`."""
    tile, ensemble = None if tile is None else as_whole("tile", tile), as_ensemble(ensemble)
    original: PillowImage | None = None
    header: PictureHeader | None = None
    if isinstance(image, np.ndarray):
        array = cast(NDArray[Any], image)
    elif is_image(image):
        original, array = image, to_array(image)
    else:
        path = as_path("the picture", image, wanted="an array or a path")
        header = read_header(path)
        array = decode_integers(header, advice="use mafdn.upscale_file, which keeps their colors").planes[:]
    check_array(array)
    width, height = array.shape[1], array.shape[0]
    rows = array if array.ndim == 3 else array[..., None]

    def choose() -> WeightsChoice:
        return choose_by_pixels(rows) if header is None else choose_weights(header, lambda: rows)

    result = upscale_array(
        ensembled(networks.select(choose, bits=8 * array.itemsize).engine(size, width, height), ensemble),
        array,
        size=size or Size(scale=networks.scale_for(size, width, height)),
        tile=tile,
        exact=exact,
        on_progress=on_progress,
    )
    return result if original is None else to_image(result, original)


def upscale_any_file(
    networks: Networks,
    source: PathLike | BinaryIO,
    target: PathLike | BinaryIO | None,
    options: UpscaleOptions,
    on_progress: Progress | None,
) -> Report:
    """Upscale a picture from and to files and streams; arguments and result as for `mafdn.upscale_file`."""
    picture = source if is_stream(source) else as_path("the picture", source)
    if target is None:
        if not isinstance(picture, Path):
            raise UsageError("a stream has no name; give the target, a path or a stream")
        return upscale_file(picture, networks=networks, options=options, on_progress=on_progress)
    result = target if is_stream(target) else as_path("the output path", target)
    if isinstance(picture, Path) and isinstance(result, Path):
        return upscale_file(picture, result, networks=networks, options=options, on_progress=on_progress)
    return upscale_stream(picture, result, networks=networks, options=options, on_progress=on_progress)
