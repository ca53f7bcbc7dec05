"""How a network is run: engine, device, precision and threads."""

from dataclasses import dataclass, replace

from mafdn._support.validate import MOST_THREADS, as_kind, as_whole
from mafdn.errors import UsageError

FP32, BF16, FP16, INT8 = PRECISIONS = ("fp32", "bf16", "fp16", "int8")
"""Precisions of an engine. `int8` needs a quantized file, whose unquantized parts are computed in fp32."""
AUTO = "auto"
AUTO_BITS = 8
"""Most bits per channel of pictures for which a precision of `auto` may be another one than fp32."""
ENGINE_NAMES = ("openvino", "onnxruntime", "torch")
"""All engines, the preferred one first; torch is slow to import and only used on request or for weights files."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Engine, device, precision and threads of a network.

    Args:
        engine: `openvino`, `onnxruntime`, `torch`, or `auto` for the fastest on this machine, which is measured once.
            `auto` runs weights files (`.safetensors`, `.pth`) in torch.
        device: A device of the engine, such as `cpu`, `gpu`, `npu` or `cuda` (case-insensitive), or `auto`.
        precision: `fp32`, `int8`, `bf16`, `fp16`, or `auto`: for 8-bit pictures the fastest precision that was measured
            to give nearly the same result as fp32 (`mafdn.inference.engines.precision`), and fp32 for all others.
        threads: Number of cores to use (default: all that this process may use).

    Raises:
        UsageError: If the engine or precision is unknown, or a value has the wrong type. Whether the engine and device
            are available is only checked when a network is opened.
    """

    engine: str = AUTO
    device: str = AUTO
    precision: str = AUTO
    threads: int | None = None

    def __post_init__(self) -> None:
        _require_known("engine", as_kind("engine", self.engine, str), ENGINE_NAMES)
        _require_known("precision", as_kind("precision", self.precision, str), PRECISIONS)
        object.__setattr__(self, "device", as_kind("device", self.device, str).lower())
        if self.threads is not None:
            object.__setattr__(self, "threads", as_whole("threads", self.threads, least=1, most=MOST_THREADS))

    def for_bits(self, bits: int) -> "EngineOptions":
        """Return the options for a picture of so many bits per channel: with more than 8, `auto` is fp32."""
        return replace(self, precision=FP32) if self.precision == AUTO and bits > AUTO_BITS else self


def as_engine_options(value: EngineOptions | str | None) -> EngineOptions:
    """Options as callers give them: `None` for the defaults, or the name of an engine; raises `UsageError`."""
    if value is None:
        return EngineOptions()
    return EngineOptions(engine=value) if isinstance(value, str) else as_kind("engine", value, EngineOptions)


def _require_known(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in (AUTO, *known):
        raise UsageError(f"unknown {what} {name!r}; choose one of auto, {', '.join(known)}")


EXACT = EngineOptions(precision=FP32)
"""The fastest engine in fp32, for whatever is measured or compared."""
