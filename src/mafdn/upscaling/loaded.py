"""A network that is loaded once, to upscale many arrays and files: `load` and `Upscaler`."""

from __future__ import annotations  # so that `help` shows the names of types instead of their definitions

from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, overload

from numpy.typing import NDArray

from mafdn.inference import Engine, EngineOptions
from mafdn.upscaling.arguments import PathLike, network_set, one_size, with_size
from mafdn.upscaling.dispatch import upscale_any, upscale_any_file
from mafdn.upscaling.networks import SingleNetwork
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Report
from mafdn.upscaling.pillow import PillowImage
from mafdn.upscaling.size import Size

Array = NDArray[Any]
Progress = Callable[[int, int], None]


class Upscaler:
    """A loaded network, for upscaling several arrays or files, also from several threads; created by `load`.

    Attributes:
        engine: The engine that runs the network; pictures of more than 8 bits run in fp32 if the precision is `auto`.
    """

    def __init__(self, engine: Engine, exact: Callable[[], Engine] | None = None) -> None:
        """Wrap an engine; `exact` opens the network for pictures of more than 8 bits (default: `engine`)."""
        self.engine = engine
        self._networks = SingleNetwork(engine, exact)

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
        size: Size | float | None = ...,
        tile: int | None = ...,
        exact: bool = ...,
        ensemble: int = ...,
        on_progress: Progress | None = ...,
    ) -> Array: ...
    @overload
    def upscale(
        self,
        image: PillowImage,
        *,
        scale: float | None = ...,
        size: Size | float | None = ...,
        tile: int | None = ...,
        exact: bool = ...,
        ensemble: int = ...,
        on_progress: Progress | None = ...,
    ) -> Any: ...
    def upscale(
        self,
        image: Any,
        *,
        scale: float | None = None,
        size: Size | float | None = None,
        tile: int | None = None,
        exact: bool = False,
        ensemble: int = 1,
        on_progress: Progress | None = None,
    ) -> Any:
        """Upscale an array, an image of Pillow, or the pixels of a picture file, with this network.

        Args:
            image: As for `mafdn.upscale`.
            scale: Scale factor (default: the network's scale); other factors are reached by resizing with Lanczos.
            size: As for `mafdn.upscale`.
            tile: As for `mafdn.upscale`.
            exact: As for `mafdn.upscale`.
            ensemble: As for `mafdn.upscale`.
            on_progress: As for `mafdn.upscale`.

        Returns:
            As `mafdn.upscale`.

        Raises:
            MafdnError: As for `mafdn.upscale`.
        """
        return upscale_any(
            self._networks,
            image,
            one_size(scale, size),
            tile=tile,
            exact=exact,
            ensemble=ensemble,
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
        return upscale_any_file(self._networks, source, target, with_size(options, size), on_progress)


def load(network: PathLike = "x4", *, engine: EngineOptions | str | None = None) -> Upscaler:
    """Load a network for upscaling several arrays or files.

    Example:
        upscaler = mafdn.load("x2", engine=mafdn.EngineOptions(threads=4))
        larger = upscaler.upscale(image)

    Args:
        network: `x2`, `x3` or `x4` (shipped networks for clean pictures), `photo-x2` or `photo-x4` (for pictures with
            JPEG artifacts), `photo`, `classic`, `mafdn` or `auto` (all at x4; `auto` is `classic` here, where no
            picture can decide), the path of an `.onnx`, `.safetensors` or `.pth` file, or the folder of a training run.
            Weights files and training runs need torch.
        engine: Engine, device, precision and threads (default: `EngineOptions()`), or the name of an engine.

    Returns:
        The loaded network.

    Raises:
        UsageError: If the network is unknown, or the device or precision is not available.
        WeightsError: If the file is missing or unusable.
        MissingPackageError: If the engine is not installed.
    """
    networks = network_set(network, engine)
    scale = networks.default_scale
    return Upscaler(networks.engine(scale, bits=8), partial(networks.engine, scale, bits=16))
