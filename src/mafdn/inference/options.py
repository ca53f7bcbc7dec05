"""How networks are run.

Public names: :class:`EngineOptions`.
"""

from dataclasses import dataclass

from mafdn._support.validate import MOST_THREADS, as_kind, as_whole


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What runs a network, on what, and in which precision; made once at the edge and handed on whole.

    Raises :class:`UsageError` for values of another type; whether an engine or device exists here is known only when a
    network is opened.
    """

    engine: str = "auto"
    """``openvino``, ``onnxruntime``, ``torch``, or ``auto``: the fastest on this machine, measured once."""
    device: str = "auto"
    """What the engine has: ``cpu``, ``gpu``, ``npu``, ``cuda`` and so on, or ``auto``."""
    precision: str = "fp32"
    """``fp32``, ``int8``, ``bf16``, ``fp16``, or ``auto``: int8 where it is much faster, else fp32."""
    threads: int | None = None
    """Cores to use; all when ``None``."""

    def __post_init__(self) -> None:
        for name in ("engine", "device", "precision"):
            as_kind(name, getattr(self, name), str)
        if self.threads is not None:
            as_whole("threads", self.threads, least=1, most=MOST_THREADS)
