"""The networks of an upscaling job, opened when first needed and then kept."""

from pathlib import Path
from typing import Protocol

from mafdn.errors import WeightsError
from mafdn.inference import Engine, EngineOptions, open_engine
from mafdn.inference.engines import describe, resolve_model
from mafdn.inference.engines.model_files import network_digest
from mafdn.upscaling.size import Size, network_scale, result_size
from mafdn.weights.shipped import shipped

DEFAULT_SCALE = 4
"""Scale of the shipped network that is used if no size is requested."""


class Networks(Protocol):
    """Chooses and opens the network for a picture."""

    def scale_for(self, size: Size | None, width: int, height: int) -> int:
        """Return the scale of the network for a picture of `width` x `height` pixels and the requested size."""
        ...

    def engine(self, scale: int) -> Engine:
        """Return the engine of the network of this scale."""
        ...


class SingleNetwork:
    """One opened network, whatever the size."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def scale_for(self, size: Size | None, width: int, height: int) -> int:
        """Return the scale of the network."""
        del size, width, height
        return self._engine.scale

    def engine(self, scale: int) -> Engine:
        """Return the engine."""
        del scale
        return self._engine


class NetworkSet:
    """The shipped networks, of which the nearest to a size is used, or one network file instead.

    Args:
        path: An ONNX or weights file to use for every size; it is opened as soon as its scale is needed.
        options: Engine, device, precision and threads.
    """

    def __init__(self, path: Path | None = None, options: EngineOptions | None = None) -> None:
        self._path, self._options = path, options or EngineOptions()
        self._engines: dict[int, Engine] = {}
        self._digests: dict[int, str] = {}
        self._file_scale: int | None = None

    @property
    def default_scale(self) -> int:
        """The factor by which pictures are upscaled if no size is requested; raises what `open_engine` raises."""
        if self._path is None:
            return DEFAULT_SCALE
        if self._file_scale is None:
            engine = open_engine(self._path, self._options)
            self._file_scale, self._engines[engine.scale] = engine.scale, engine
        return self._file_scale

    def scale_for(self, size: Size | None, width: int, height: int) -> int:
        """Return the scale of the network for a picture of `width` x `height` pixels and the requested size.

        Of the shipped networks this is the smallest scale that suffices. Raises what `open_engine` raises.
        """
        if self._path is not None or size is None:
            return self.default_scale
        return network_scale((width, height), result_size(size, width, height))

    def engine(self, scale: int) -> Engine:
        """Return the engine of the network of this scale, opened the first time.

        This is not thread-safe. Raises what `open_engine` raises.
        """
        if scale not in self._engines:
            self._engines[scale] = open_engine(self._file(scale), self._options)
        return self._engines[scale]

    def digest(self, scale: int) -> str:
        """Return a digest of the network's files and precision, which changes whenever results may change.

        Raises:
            WeightsError: If a file is missing or cannot be read.
        """
        if scale not in self._digests:
            path = self._file(scale)
            try:
                path, precision = resolve_model(path, self._options)
                self._digests[scale] = f"{network_digest(path)} {precision}"
            except OSError as error:
                raise WeightsError.from_os_error(f"cannot read {path}", error) from None
        return self._digests[scale]

    def names(self) -> list[str]:
        """Return the engines that were opened, as reports name them."""
        return sorted({describe(engine) for engine in self._engines.values()})

    def _file(self, scale: int) -> Path:
        return self._path or shipped(scale, ".onnx")
