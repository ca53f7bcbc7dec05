"""What `mafdn bench` times: networks in every engine and precision, other networks, resizes, and plain convolutions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mafdn.bench.convolutions import open_convolutions
from mafdn.bench.timing import Job, Work, soft_picture, upscaling_job
from mafdn.errors import UsageError
from mafdn.inference import EngineOptions, open_engine, preferred_engine
from mafdn.inference.engines import ENGINES
from mafdn.inference.engines.model_files import has_int8, int8_file
from mafdn.inference.engines.torch import TorchEngine
from mafdn.inference.options import BF16, FP16, FP32, INT8
from mafdn.pixels import imresize
from mafdn.weights.header import SCALES
from mafdn.weights.resolve import is_pattern, resolve
from mafdn.weights.shipped import PREFIXES, shipped, shipped_scales

OURS = PREFIXES["classic"]
"""Name of the shipped networks in tables, those of the variant `classic`."""


@dataclass(frozen=True, kw_only=True)
class NetworkCase:
    """A network in one engine, on one device, in one precision."""

    name: str
    path: Path
    options: EngineOptions

    def job(self, size: tuple[int, int]) -> Job:
        """The job that upscales a picture of `size` (height, width)."""
        return upscaling_job(self.path, size=size, options=self.options)


@dataclass(frozen=True, kw_only=True)
class ResizeCase:
    """A resize without a network."""

    name: str
    """A key of `RESIZES`."""

    def job(self, size: tuple[int, int], scale: int) -> Job:
        """The job that enlarges a picture of `size` (height, width) by `scale`."""
        return Job(name=self.name, open=partial(RESIZES[self.name], size, scale))


@dataclass(frozen=True, kw_only=True)
class ConvolutionCase:
    """Pure 3x3 convolutions, whose rate is an upper bound for networks made of them."""

    precision: str
    width: int
    """Channels."""
    size: tuple[int, int]
    """Height and width of the input."""

    def job(self, threads: int | None) -> Job:
        name = f"convolutions of {self.width} channels in {self.precision}"
        return Job(name=name, open=partial(_open_convolutions, self.width, self.size, self.precision, threads))


def network_cases(path: Path, *, name: str = OURS, threads: int | None = None) -> list[NetworkCase]:
    """Every engine, device and precision that runs the network in `path` on this machine."""
    cases: list[NetworkCase] = []
    for engine_name, engine in (*ENGINES.items(), (TorchEngine.name, TorchEngine)):
        if engine_name == TorchEngine.name and not path.with_suffix(".safetensors").is_file():
            continue
        try:
            devices = engine.devices()
        except ImportError:  # not installed
            continue
        for device, supported in devices.items():
            for precision in (INT8,) if int8_file(path) == path else (FP32, BF16, FP16, INT8):
                if precision not in supported or (precision == INT8 and not has_int8(path)):
                    continue
                file = int8_file(path) if precision == INT8 else path
                options = EngineOptions(engine=engine_name, device=device, precision=precision, threads=threads)
                cases.append(NetworkCase(name=name, path=file, options=options))
    return cases


def peer_cases(name: str, path: Path, *, threads: int | None = None) -> list[NetworkCase]:
    """Another network, in the first installed engine on the CPU, in every precision that needs no file of its own."""
    engine = preferred_engine()
    supported = ENGINES[engine].devices()["cpu"]
    options = EngineOptions(engine=engine, device="cpu", threads=threads)
    return [
        NetworkCase(name=name, path=path, options=replace(options, precision=precision))
        for precision in (FP32, BF16, FP16)
        if precision in supported
    ]


def network_name(name: str, scale: int) -> str:
    """The name in tables of the network that was given as `name`: a file without its suffix, a run by its folder."""
    source = resolve(name, scale=scale)
    return PREFIXES[source.variant] if source.kind == "shipped" else source.stem


def find_networks(name: str, scales: Sequence[int], folder: Path) -> dict[int, Path]:
    """The ONNX files of the network to benchmark, by scale.

    Args:
        name: A name as in `mafdn.weights.resolve`.
        scales: The scales; if empty, all that the network has.
        folder: Where networks that are not ONNX files are exported to, which needs torch.

    Raises:
        UsageError: The name is unknown or a baseline, or the network has none of the scales.
        WeightsError: A file is unusable.
        ImportError: A network has to be exported, and torch is not installed.
    """
    source = None if is_pattern(name) else resolve(name)
    if source and source.kind == "baseline":
        raise UsageError(
            f"{name} is not a network; choose one (lanczos is always timed for comparison)", setting="networks"
        )
    if source and source.kind == "shipped":
        own = [source.scale] if source.scale else scales or shipped_scales(source.variant)
        files = {scale: shipped(scale, ".onnx", source.variant) for scale in own}
    elif source and source.path and source.path.suffix == ".onnx":
        files = {open_engine(source.path, EngineOptions(engine=preferred_engine(), device="cpu")).scale: source.path}
    else:
        exported = export_networks([name], scales or SCALES, folder)
        files = {scale: path for scale, named in exported.items() for path in named.values()}
    if scales and list(scales) != list(files):
        raise UsageError(f"{name} upscales by {', '.join(map(str, files))}, not {', '.join(map(str, scales))}")
    return files


def export_networks(names: Sequence[str], scales: Sequence[int], folder: Path) -> dict[int, dict[str, Path]]:
    """The ONNX files of networks, by scale and name.

    Args:
        names: Names as in `mafdn.weights.resolve`.
        scales: The scales.
        folder: Where networks that are not ONNX files are exported to, with their weights.

    Raises:
        UsageError, WeightsError: As `mafdn.evaluation.candidates.find_candidates`.
        ImportError: torch is not installed.
    """
    if not names:
        return {}
    from mafdn.evaluation.candidates import find_candidates
    from mafdn.export.onnx import export_onnx
    from mafdn.networks import save_network

    found: dict[int, dict[str, Path]] = {}
    for number, candidate in enumerate(find_candidates(names, scales)):
        path = candidate.file
        if path is None or path.suffix != ".onnx":
            if candidate.network is None:  # a baseline
                continue
            path = folder / str(number) / f"{Path(candidate.source).stem}.onnx"
            path.parent.mkdir()
            export_onnx(candidate.network, path)
            save_network(candidate.network.fold(), path.with_suffix(".safetensors"), card={})
        found.setdefault(candidate.scale, {})[candidate.name] = path
    return found


def _open_convolutions(width: int, size: tuple[int, int], precision: str, threads: int | None) -> tuple[str, Work]:
    return "openvino", open_convolutions(width=width, size=size, precision=precision, threads=threads)


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
"""Resizes by name: each opens a job for a size (height, width) and a scale."""
