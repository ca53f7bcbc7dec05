"""The networks of a run over many pictures: opened when the first picture needs them, then kept.

Public names: :class:`Networks`.
"""

from functools import partial
from pathlib import Path

from mafdn.errors import WeightsError
from mafdn.inference import Engine, open_engine
from mafdn.inference.engines import describe, settled
from mafdn.inference.engines.model_files import network_digest
from mafdn.upscaling.size import Size, network_scale, result_size
from mafdn.weights.shipped import shipped


class Networks:
    """The shipped networks, or the one ONNX file that is given instead; the rest is as for :func:`open_engine`.

    A given file is opened at once, as it alone knows its scale. Raises what :func:`open_engine` raises.
    """

    def __init__(
        self,
        network: Path | None = None,
        *,
        engine: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> None:
        self._network = network
        self._settled = partial(settled, name=engine, device=device, precision=precision)
        self._opened = partial(open_engine, name=engine, device=device, threads=threads, precision=precision)
        self._open: dict[int, Engine] = {}
        self._digests: dict[int, str] = {}
        self._only: int | None = None
        if network is not None:
            only = self._opened(network)
            self._only, self._open[only.scale] = only.scale, only

    def usual_size(self) -> Size:
        """What is made where no size is asked for."""
        return Size(scale=self._only or 4)

    def scale_for(self, size: Size, width: int, height: int) -> int:
        """The scale of the network for a picture of this size in pixels."""
        return self._only or network_scale((width, height), result_size(size, width, height))

    def engine(self, scale: int) -> Engine:
        """The engine for ``scale``; opened the first time. One thread at a time."""
        if scale not in self._open:
            self._open[scale] = self._opened(self._path(scale))
        return self._open[scale]

    def digest(self, scale: int) -> str:
        """One number for the network's files and the precision it is run in."""
        if scale not in self._digests:
            path = self._path(scale)
            try:
                path, precision = self._settled(path)
                self._digests[scale] = f"{network_digest(path)} {precision}"
            except OSError as error:
                raise WeightsError.from_os_error(f"cannot read {path}", error) from None
        return self._digests[scale]

    def names(self) -> list[str]:
        """The engines that were opened, as reports name them."""
        return sorted({describe(engine) for engine in self._open.values()})

    def _path(self, scale: int) -> Path:
        return self._network or shipped(scale, ".onnx")
