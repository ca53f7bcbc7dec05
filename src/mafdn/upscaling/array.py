"""Upscaling an array to any size."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mafdn.inference import Engine, upscale_rows
from mafdn.inference.upscale import check_array, native
from mafdn.pixels.enlarge import enlarge_rows, with_transparency
from mafdn.upscaling.size import Size, result_size

Array = NDArray[Any]
Progress = Callable[[int, int], None]


def upscale_array(
    engine: Engine,
    array: Array,
    *,
    size: Size,
    tile: int | None = None,
    exact: bool = False,
    on_progress: Progress | None = None,
) -> Array:
    """Upscale an array to any size, by Lanczos as far as the network's scale differs, and alpha as files do.

    Args:
        engine: The network.
        array: As for `mafdn.inference.upscale`.
        size: Size of the result. If it is not that of the network's result, the picture is computed in 16 bits.
        tile: As for `mafdn.inference.upscale`.
        exact: As for `mafdn.inference.upscale`.
        on_progress: As for `mafdn.inference.upscale`.

    Returns:
        The result, with the type and channels of the input.

    Raises:
        UsageError: As `mafdn.inference.upscale`.
    """
    check_array(array)
    rows = native(array if array.ndim == 3 else array[..., None])
    height, width, channels = rows.shape
    new_size = new_width, new_height = result_size(size, width, height)
    network = partial(upscale_rows, engine, tile=tile, exact=exact, mirror=True, on_progress=on_progress)
    way = partial(enlarge_rows, size=new_size, network=network, scale=engine.scale)
    result = np.empty((new_height, new_width, channels), array.dtype)
    top = 0
    for band in with_transparency(rows, new_size, way):
        result[top : top + len(band)] = band
        top += len(band)
    return result if array.ndim == 3 else result[..., 0]
