"""Arguments of the public functions, converted to what the jobs take."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from mafdn._support.atomic import printable
from mafdn._support.validate import as_kind, as_path
from mafdn.errors import UsageError
from mafdn.inference import EngineOptions
from mafdn.inference.options import as_engine_options
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import is_picture_name
from mafdn.upscaling.size import Size, as_size
from mafdn.weights.resolve import AUTO, FILE_TYPES, resolve, unknown_network
from mafdn.weights.shipped import shipped_scales

PathLike = str | os.PathLike[str]


def with_size(options: UpscaleOptions | None, size: Size | float | None) -> UpscaleOptions:
    """Return the options with `size` set; raises `UsageError` if they have a size already."""
    options = UpscaleOptions() if options is None else as_kind("options", options, UpscaleOptions)
    if size is None:
        return options
    if options.size is not None:
        raise UsageError("the size is set twice: use either size or options.size")
    return replace(options, size=size)


def one_size(scale: float | None, size: Size | float | None) -> Size | None:
    """Return the size for an array; raises `UsageError` if it is given in both ways."""
    if scale is not None and size is not None:
        raise UsageError("the size is set twice: use either scale or size")
    return Size(scale=scale) if scale is not None else None if size is None else as_size(size)


def network_set(network: PathLike, engine: EngineOptions | str | None) -> NetworkSet | AutomaticNetworks:
    """Resolve the name of a network; raises `UsageError` for baselines and architectures, which have no weights."""
    as_path("the network", network, wanted="a name or a path")
    options = as_engine_options(engine)
    source = resolve(network)
    if network == AUTO and shipped_scales("photo"):
        return AutomaticNetworks(options)
    if source.kind == "shipped" and source.scale is None:
        return NetworkSet(options=options, variant=source.variant)
    path = source.file()
    if path.suffix not in FILE_TYPES:
        raise unknown_network(path)
    return NetworkSet(path, options)


def result_folder(folder: PathLike | None) -> Path | None:
    """Return the folder for results; raises `UsageError` for the name of a picture."""
    if folder is None:
        return None
    path = as_path("the output folder", folder).absolute()
    if is_picture_name(folder):
        raise UsageError(f"{printable(path)} has the name of a picture; give a folder for the results")
    return path


def input_list(inputs: PathLike | Sequence[PathLike]) -> list[str]:
    """Return the inputs as a list; names that contain NUL are left in, to be reported per item."""
    several = isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes | os.PathLike)
    sources = list(cast(Iterable[PathLike], inputs)) if several else [cast(PathLike, inputs)]
    for source in sources:
        if "\0" not in str(source):
            as_path("an input", source)
    return [os.fspath(source) for source in sources]
