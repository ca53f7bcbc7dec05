"""What is timed to tell how fast a network runs here: its engines and precisions, peers, resizes and ceilings.

Public names: :class:`Way`, :func:`ways_of`, :func:`export_peers`, :func:`open_plain`, :data:`RESIZES`, :data:`OURS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mafdn.bench.convolutions import open_ceiling
from mafdn.bench.timing import Work, soft_picture
from mafdn.inference.engines import ENGINES
from mafdn.inference.engines.base import BF16, FP16, FP32, INT8
from mafdn.inference.engines.model_files import has_int8, int8_file
from mafdn.inference.engines.torch import TorchEngine
from mafdn.pixels import imresize

OURS = "mafdn"


@dataclass(frozen=True, kw_only=True)
class Way:
    """A network to be timed."""

    name: str
    path: Path
    engine: str
    device: str
    precision: str


def ways_of(path: Path) -> list[Way]:
    """Every engine, device and precision that runs the network ``path`` here."""
    ways: list[Way] = []
    for name, kind in (*ENGINES.items(), (TorchEngine.name, TorchEngine)):
        if name == TorchEngine.name and not path.with_suffix(".safetensors").is_file():
            continue
        try:
            devices = kind.devices()
        except ImportError:  # not installed
            continue
        for device, known in devices.items():
            for precision in (INT8,) if int8_file(path) == path else (FP32, BF16, FP16, INT8):
                if precision not in known or (precision == INT8 and not has_int8(path)):
                    continue
                of = int8_file(path) if precision == INT8 else path
                ways.append(Way(name=OURS, path=of, engine=name, device=device, precision=precision))
    return ways


def export_peers(networks: Sequence[str], scales: Sequence[int], folder: Path) -> dict[int, dict[str, Path]]:
    """The ONNX files of networks that ``mafdn compare`` takes, by scale and name; ``folder`` gets those of torch.

    Raises what :func:`mafdn.evaluation.resolve.find_candidates` raises, and ``ImportError`` without torch.
    """
    from mafdn.evaluation.resolve import find_candidates
    from mafdn.export.onnx import export_onnx

    found: dict[int, dict[str, Path]] = {}
    for number, candidate in enumerate(find_candidates(networks, scales) if networks else []):
        path = candidate.file
        if path is None or path.suffix != ".onnx":
            if candidate.network is None:
                continue
            path = folder / f"{number}.onnx"
            export_onnx(candidate.network, path)
        found.setdefault(candidate.scale, {})[candidate.name] = path
    return found


def open_plain(width: int, size: tuple[int, int], precision: str, threads: int | None) -> tuple[str, Work]:
    """Convolutions and nothing else, as a job."""
    return "openvino", open_ceiling(width=width, size=size, precision=precision, threads=threads)


def _open_imresize(size: tuple[int, int], scale: int) -> tuple[str, Work]:
    return "numpy", partial(imresize, soft_picture(*size), scale, kernel="lanczos3")


def _open_libvips(size: tuple[int, int], scale: int) -> tuple[str, Work]:
    import pyvips

    picture = soft_picture(*size)

    def work() -> object:
        image = pyvips.Image.new_from_array(picture, interpretation="srgb")
        return image.resize(scale, kernel="lanczos3").numpy()  # pyright: ignore[reportCallIssue]

    return f"libvips {pyvips.version(0)}.{pyvips.version(1)}", work


RESIZES: dict[str, Callable[[tuple[int, int], int], tuple[str, Work]]] = {
    "lanczos": _open_imresize,
    "lanczos of libvips": _open_libvips,
}
