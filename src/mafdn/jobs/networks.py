"""The networks of a run over many pictures: opened when the first picture needs them, then kept.

Public names: :class:`Networks`.
"""

from pathlib import Path

from mafdn.cards import shipped
from mafdn.errors import WeightsError
from mafdn.files import sha256
from mafdn.inference import Engine, open_engine
from mafdn.jobs.sizes import Size, network_scale, result_size


class Networks:
    """The shipped networks, or the one ONNX file that is given instead; engine and threads as for one picture.

    A given file is opened at once, as it alone knows its scale. Raises what :func:`open_engine` raises.
    """

    def __init__(self, network: Path | None = None, *, engine: str = "auto", threads: int | None = None) -> None:
        self._network, self._engine, self._threads = network, engine, threads
        self._open: dict[int, Engine] = {}
        self._digests: dict[int, str] = {}
        self._only: int | None = None
        if network is not None:
            only = open_engine(network, name=engine, threads=threads)
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
            self._open[scale] = open_engine(self._path(scale), name=self._engine, threads=self._threads)
        return self._open[scale]

    def digest(self, scale: int) -> str:
        """The SHA-256 of the network's file."""
        if scale not in self._digests:
            path = self._path(scale)
            try:
                self._digests[scale] = sha256(path)
            except OSError as error:
                raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
        return self._digests[scale]

    def names(self) -> list[str]:
        """The engines that were opened, as reports name them."""
        return sorted({f"{engine.name} {engine.version}" for engine in self._open.values()})

    def _path(self, scale: int) -> Path:
        return self._network or shipped(scale, ".onnx")
