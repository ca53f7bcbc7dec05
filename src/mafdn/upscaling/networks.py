"""The networks of an upscaling job, opened when first needed and then kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Protocol

from mafdn.errors import WeightsError
from mafdn.inference import Engine, EngineOptions, open_engine
from mafdn.inference.engines import describe, resolve_model
from mafdn.inference.engines.model_files import has_int8, network_digest
from mafdn.inference.options import AUTO_BITS, FP32, INT8
from mafdn.upscaling.choice.weights import WeightsChoice
from mafdn.upscaling.size import Size, network_scale, result_size
from mafdn.weights.header import SCALES
from mafdn.weights.shipped import Variant, shipped, shipped_scales

DEFAULT_SCALE = 4
"""Scale of the shipped network that is used if no size is requested."""
CHOICE_VERSION = 1
"""Raised whenever other weights may be chosen for the same picture: all results of a folder are then re-created."""


class Networks(Protocol):
    """Chooses and opens the network for a picture."""

    @property
    def automatic(self) -> bool:
        """Whether each picture decides between variants of the weights; then `select` returns its networks."""
        ...

    def scale_for(self, size: Size | None, width: int, height: int) -> int:
        """Return the scale of the network for a picture of `width` x `height` pixels and the requested size.

        If it depends on the variant of the weights, that is the largest one.
        """
        ...

    def engine(self, scale: int, *, bits: int) -> Engine:
        """Return the engine of the network of this scale, for pictures of so many bits per channel."""
        ...

    def select(self, choose: Callable[[], WeightsChoice], *, bits: int) -> "Selection":
        """Return the networks for one picture of so many bits, whose choice is only made if it matters."""
        ...


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The networks for one picture."""

    networks: Networks
    """Networks that are not automatic."""
    bits: int
    """Bits per channel of the picture."""
    weights: WeightsChoice | None = None
    """The variant of the weights, and why; `None` if the picture had no choice."""
    precision: str = ""
    """The precision that was requested where networks may run in another one."""

    def engine(self, size: Size | None, width: int, height: int) -> Engine:
        """Return the engine for a picture; arguments and errors as for `Networks.scale_for` and `Networks.engine`."""
        return self.networks.engine(self.networks.scale_for(size, width, height), bits=self.bits)

    def notes(self, engine: Engine) -> tuple[str, ...]:
        """Return what is not as requested, one sentence each."""
        if self.weights is None or self.precision != INT8 or engine.precision == INT8:
            return ()
        weights = f"the {self.weights.variant} weights at x{engine.scale}"
        return (f"{weights} have no int8 version: they ran in {engine.precision}",)


class SingleNetwork:
    """One opened network, whatever the size.

    Args:
        engine: The network.
        exact: Opens it for pictures of more than 8 bits (default: they use `engine` too).
    """

    automatic = False

    def __init__(self, engine: Engine, exact: Callable[[], Engine] | None = None) -> None:
        self._engine, self._exact = engine, exact

    def scale_for(self, size: Size | None, width: int, height: int) -> int:
        """Return the scale of the network."""
        del size, width, height
        return self._engine.scale

    def engine(self, scale: int, *, bits: int) -> Engine:
        """Return the engine for pictures of so many bits."""
        del scale
        return self._engine if self._exact is None or bits <= AUTO_BITS else self._exact()

    def select(self, choose: Callable[[], WeightsChoice], *, bits: int) -> Selection:
        """Return this network for any picture."""
        del choose
        return Selection(networks=self, bits=bits)


class NetworkSet:
    """The shipped networks of a variant, of which the nearest to a size is used, or one network file instead.

    Args:
        path: An ONNX or weights file to use for every size; it is opened as soon as its scale is needed.
        options: Engine, device, precision and threads.
        variant: The variant of the shipped networks.
        int8_optional: Whether networks without an int8 version run in fp32 if int8 is requested.
    """

    automatic = False

    def __init__(
        self,
        path: Path | None = None,
        options: EngineOptions | None = None,
        *,
        variant: Variant = "classic",
        int8_optional: bool = False,
    ) -> None:
        self._path, self._options = path, options or EngineOptions()
        self._variant: Variant = variant
        self._int8_optional = int8_optional
        self._engines: dict[tuple[int, str], Engine] = {}
        """Engines by scale and precision."""
        self._models: dict[tuple[int, bool], tuple[Path, str]] = {}
        """The file that runs and its precision, by scale and whether a picture has more than 8 bits."""
        self._digests: dict[Path, str] = {}
        self._file_scale: int | None = None
        self._opening = Lock()
        """Held while an engine is opened, so that several threads share one."""

    @property
    def default_scale(self) -> int:
        """The factor by which pictures are upscaled if no size is requested; raises what `open_engine` raises."""
        if self._path is None:
            return DEFAULT_SCALE
        if self._file_scale is None:
            engine = open_engine(self._path, self._options)
            self._file_scale = engine.scale
            self._engines[engine.scale, self._model(engine.scale, bits=AUTO_BITS)[1]] = engine
        return self._file_scale

    def scale_for(self, size: Size | None, width: int, height: int) -> int:
        """Return the scale of the network for a picture of `width` x `height` pixels and the requested size.

        Of the shipped networks this is the smallest scale that suffices. Raises what `open_engine` raises.
        """
        if self._path is not None:
            return self.default_scale
        scales = shipped_scales(self._variant) or SCALES
        new_size = result_size(size or Size(scale=DEFAULT_SCALE), width, height)
        return network_scale((width, height), new_size, scales)

    def engine(self, scale: int, *, bits: int) -> Engine:
        """Return the engine of the network of this scale for pictures of so many bits, opened the first time.

        Raises what `open_engine` raises.
        """
        with self._opening:
            key = scale, self._model(scale, bits=bits)[1]
            if key not in self._engines:
                path = self._file(scale)
                self._engines[key] = open_engine(path, self._options_for(path, bits))
            return self._engines[key]

    def select(self, choose: Callable[[], WeightsChoice], *, bits: int) -> Selection:
        """Return these networks for any picture."""
        del choose
        return Selection(networks=self, bits=bits)

    def digest(self, size: Size | None, width: int, height: int, *, bits: int) -> str:
        """Return a digest of the files and precision of a picture's network, which changes whenever results may change.

        Raises:
            WeightsError: If a file is missing or cannot be read.
        """
        path, precision = self._model(self.scale_for(size, width, height), bits=bits)
        if path not in self._digests:
            try:
                self._digests[path] = network_digest(path)
            except OSError as error:
                raise WeightsError.from_os_error(f"cannot read {path}", error) from None
        return f"{self._digests[path]} {precision}"

    def names(self) -> list[str]:
        """Return the engines that were opened, as reports name them."""
        return sorted({describe(engine) for engine in self._engines.values()})

    def _file(self, scale: int) -> Path:
        return self._path or shipped(scale, ".onnx", self._variant)

    def _options_for(self, path: Path, bits: int) -> EngineOptions:
        """The options with which a file is opened for pictures of so many bits."""
        if self._int8_optional and self._options.precision == INT8 and not has_int8(path):
            return replace(self._options, precision=FP32)
        return self._options.for_bits(bits)

    def _model(self, scale: int, *, bits: int) -> tuple[Path, str]:
        """The file that runs for pictures of so many bits, and its precision; raises `WeightsError`."""
        key = scale, bits > AUTO_BITS
        if key not in self._models:
            path = self._file(scale)
            try:
                self._models[key] = resolve_model(path, self._options_for(path, bits))
            except OSError as error:
                raise WeightsError.from_os_error(f"cannot read {path}", error) from None
        return self._models[key]


class AutomaticNetworks:
    """The shipped networks of both variants, between which each picture decides.

    Args:
        options: Engine, device, precision and threads.
    """

    automatic = True

    def __init__(self, options: EngineOptions | None = None) -> None:
        self._options = options or EngineOptions()
        self._sets: dict[Variant, NetworkSet] = {
            "classic": NetworkSet(options=options, int8_optional=True),
            "photo": NetworkSet(options=options, variant="photo", int8_optional=True),
        }

    @property
    def default_scale(self) -> int:
        """The factor by which pictures are upscaled if no size is requested."""
        return DEFAULT_SCALE

    def scale_for(self, size: Size | None, width: int, height: int) -> int:
        """Return the scale of the network; the larger one if it depends on the variant."""
        return max(networks.scale_for(size, width, height) for networks in self._sets.values())

    def engine(self, scale: int, *, bits: int) -> Engine:
        """Return the engine of the network for clean pictures, where no picture decides."""
        return self._sets["classic"].engine(scale, bits=bits)

    def select(self, choose: Callable[[], WeightsChoice], *, bits: int) -> Selection:
        """Return the networks of the variant that suits a picture."""
        weights = choose()
        networks = self._sets[weights.variant]
        return Selection(networks=networks, bits=bits, weights=weights, precision=self._options.precision)

    def digest(self, size: Size | None, width: int, height: int, *, bits: int) -> str:
        """Return a digest of both networks that may be chosen, and of how; raises `WeightsError`."""
        parts = [networks.digest(size, width, height, bits=bits) for networks in self._sets.values()]
        return " ".join([f"auto {CHOICE_VERSION}", *parts])

    def names(self) -> list[str]:
        """Return the engines that were opened, as reports name them."""
        return sorted({name for networks in self._sets.values() for name in networks.names()})
