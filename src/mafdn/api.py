"""The Python interface: load a network once, upscale arrays and files.

Public names: :func:`load`, :class:`Upscaler`, :func:`upscale_folder`.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mafdn._support.validate import MOST_THREADS, as_kind, as_path, as_whole
from mafdn.errors import UsageError
from mafdn.inference import Engine, open_engine, upscale
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.folder.engines import Networks
from mafdn.upscaling.folder.naming import Pattern
from mafdn.upscaling.folder.plan import Request
from mafdn.upscaling.folder.report import BatchReport, Standing
from mafdn.upscaling.folder.run import upscale_all
from mafdn.upscaling.output import Output
from mafdn.upscaling.picture import Report, upscale_file
from mafdn.upscaling.size import Size
from mafdn.weights.shipped import shipped

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], None]


class Upscaler:
    """A loaded network; made by :func:`load`."""

    def __init__(self, engine: Engine, *, tile: int | None = None, exact: bool = False) -> None:
        self.engine, self.exact = engine, exact
        self.tile = None if tile is None else as_whole("tile", tile)

    @property
    def scale(self) -> int:
        return self.engine.scale

    def upscale(self, picture: NDArray[Any] | PathLike, *, on_progress: Progress | None = None) -> NDArray[Any]:
        """An array ``scale`` times as high and wide as ``picture``, of the same type and channels.

        ``picture`` is an (H, W) or (H, W, C) array of uint8, uint16 or float32 in [0, 1] with 1 to 4
        channels (grey, grey + alpha, RGB, RGB + alpha), or the path of a picture file. Raises
        :class:`MafdnError` when it is neither.
        """
        if isinstance(picture, np.ndarray):
            array: NDArray[Any] = picture
        else:
            array = open_picture(as_path("the picture", picture, wanted="an array or a path")).planes[:]
        return upscale(self.engine, array, tile=self.tile, exact=self.exact, on_progress=on_progress)

    def upscale_file(
        self,
        source: PathLike,
        target: PathLike | None = None,
        *,
        size: Size | None = None,
        strength: float = 1.0,
        output: Output | None = None,
        limits: Limits | None = None,
        overwrite: bool = False,
        on_progress: Progress | None = None,
    ) -> Report:
        """Upscale a picture file into another, metadata, color profile and depth kept.

        Without ``target`` the result lies beside the source as ``NAME_x4.EXT``. ``size`` (else the network's scale),
        ``strength`` (the network's share, the rest is Lanczos), ``output`` and ``limits`` are those of
        :func:`mafdn.upscaling.picture.upscale_file`. Raises :class:`MafdnError`.
        """
        return upscale_file(
            as_path("the picture", source),
            None if target is None else as_path("the result's name", target),
            engine=self.engine,
            tile=self.tile,
            exact=self.exact,
            size=size,
            strength=strength,
            output=output,
            limits=limits,
            overwrite=overwrite,
            on_progress=on_progress,
        )


def load(
    network: PathLike = "x4",
    *,
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str = "fp32",
    tile: int | None = None,
    exact: bool = False,
) -> Upscaler:
    """Load a network: ``"x2"``, ``"x3"`` or ``"x4"`` for the shipped weights, or the path of an ONNX file.

    ``engine`` is ``openvino``, ``onnxruntime``, ``torch``, or ``auto`` for the fastest here; ``device`` is what the
    engine has (``cpu``, ``gpu``, ``cuda`` and so on) or ``auto``; ``threads`` limits the cores used; ``precision`` is
    ``fp32``, ``int8``, ``bf16``, ``fp16``, or ``auto`` for int8 where that is much faster. ``tile`` is the
    side of a tile in input pixels, which changes memory and time, not the result; ``exact`` computes around
    every tile as much as could matter, not as much as was measured to. Raises :class:`MafdnError` when the network,
    engine, device or precision is not to be had.
    """
    path = as_path("the network", network, wanted="x2, x3, x4 or an .onnx file")
    threads = _check(engine, device, precision, threads)
    if str(network) in ("x2", "x3", "x4"):
        path = shipped(int(str(network)[1:]), ".onnx")
    elif path.suffix != ".onnx":
        raise UsageError(f"unknown network {str(network)!r}; give x2, x3, x4 or an .onnx file")
    opened = open_engine(path, name=engine, device=device, threads=threads, precision=precision)
    return Upscaler(opened, tile=tile, exact=exact)


def upscale_folder(
    inputs: PathLike | Sequence[PathLike],
    folder: PathLike | None = None,
    *,
    recursive: bool = False,
    pattern: str | None = None,
    size: Size | None = None,
    strength: float = 1.0,
    output: Output | None = None,
    limits: Limits | None = None,
    overwrite: bool = False,
    redo: bool = False,
    dry_run: bool = False,
    network: PathLike | None = None,
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str = "fp32",
    tile: int | None = None,
    exact: bool = False,
    on_progress: Callable[[Standing], None] | None = None,
) -> BatchReport:
    """Upscale all pictures of ``inputs`` (folders, files, globs) into ``folder``, or beside themselves without one.

    Structure is kept; results are called by ``pattern``, ``{stem}_x{scale}{ext}`` say, and no two alike. What an
    earlier call made in the same way, and is still whole, is kept, unless ``redo``; what is there and is no such result
    is left as it is and reported, unless ``overwrite``. A picture that fails is reported too. With ``dry_run`` nothing
    is written. ``network`` is the path of an ONNX file; the shipped networks are used without. The rest is as for
    :func:`load` and :meth:`Upscaler.upscale_file`, ``limits`` for each picture.

    Raises :class:`MafdnError` where nothing can be done at all, and :class:`mafdn.upscaling.folder.run.Stopped`, a
    ``KeyboardInterrupt`` with the report, at Ctrl-C.
    """
    given = _listed(inputs)
    threads = _check(engine, device, precision, threads)
    networks = Networks(
        None if network is None else as_path("the network", network),
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    size = networks.usual_size() if size is None else as_kind("size", size, Size)
    request = Request(
        folder=None if folder is None else as_path("the folder for the results", folder).absolute(),
        size=size,
        strength=strength,
        output=Output() if output is None else output,
        limits=Limits() if limits is None else limits,
        pattern=Pattern(pattern) if pattern is not None else Pattern.usual(size),
        overwrite=overwrite,
        redo=redo,
        tile=None if tile is None else as_whole("tile", tile),
        exact=exact,
    )
    return upscale_all(
        [os.fspath(one) for one in given],
        request,
        networks,
        recursive=recursive,
        dry_run=dry_run,
        on_progress=on_progress or (lambda _: None),
    )


def _check(engine: str, device: str, precision: str, threads: int | None) -> int | None:
    """Raise :class:`UsageError` for what no network can be opened with; returns ``threads``."""
    for name, value in (("engine", engine), ("device", device), ("precision", precision)):
        as_kind(name, value, str)
    return None if threads is None else as_whole("threads", threads, least=1, most=MOST_THREADS)


def _listed(inputs: PathLike | Sequence[PathLike]) -> list[PathLike]:
    """The inputs one by one; a name with a NUL is told with what became of the others."""
    several = isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes | os.PathLike)
    given = list(cast(Iterable[PathLike], inputs)) if several else [cast(PathLike, inputs)]
    for one in given:
        if "\0" not in str(one):
            as_path("an input", one)
    return given
