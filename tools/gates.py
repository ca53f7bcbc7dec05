"""Measure the loss from computing gates from a part of a picture, and from a halo smaller than the radius.

    python -m tools.gates BENCH PHOTO... > docs/results/gates.json

BENCH is a folder with Set5, Set14 and B100. A further set is one sheet of B100's pictures side by side, which resembles
none of its parts; another one consists of the photographs, reduced by the scale. PSNR follows the standard protocol.
Needs torch.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from mafdn.evaluation.benchset import BenchPicture, read_bench
from mafdn.inference import Stencil, open_engine
from mafdn.inference.gates import SAMPLE_AREA, WINDOW_SIDE, Windows, spread_windows
from mafdn.inference.upscale import cut
from mafdn.networks import load_mafdn
from mafdn.networks.fast import CONTRAST_EPSILON
from mafdn.networks.gated import Gated
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, modulo_crop, psnr_y
from mafdn.weights.shipped import shipped

SETS = ("Set5", "Set14", "B100")
MEASURED = {4: (*SETS, "sheet", "photos"), 2: SETS[:2]}
"""Sets by scale."""
PATCH = 48
"""Side of a training patch, in LR pixels."""
HALOS = range(0, 25, 2)
PATCHWISE = {"each pixel's own window of 48": True, "the mean over all windows of 48": False}
SHEET = (6, 8)
"""Rows and columns of pictures on the sheet."""
Pixels = Any


def whole(lr: Pixels) -> np.ndarray:
    return cut(lr, Windows(tops=(0,), lefts=(0,), height=lr.shape[0], width=lr.shape[1]))


def windows(area: int, side: int) -> Callable[[Pixels], np.ndarray]:
    return lambda lr: cut(lr, spread_windows(*lr.shape[:2], area=area, side=side))


def reduced(lr: Pixels) -> np.ndarray:
    """Reduced to half the size on each side, or to an area of 256x256 pixels if that is less."""
    return whole(imresize(lr, min(0.5, 256 / float(np.sqrt(lr.shape[0] * lr.shape[1])))))


SAMPLES: dict[str, Callable[[Pixels], np.ndarray]] = {
    "the whole picture": whole,
    **{
        f"{count} windows of {side}": windows(count * side**2, side)
        for count, side in ((8, 64), (32, 48), (32, 64), (64, 64))
    },
    "a reduced picture": reduced,
}


def pictures(bench: Path, photos: list[Path], name: str, scale: int) -> Iterator[BenchPicture]:
    if name in SETS:
        yield from read_bench(bench / name, scale)
    elif name == "sheet":
        parts = [p for p in read_bench(bench / "B100", scale) if p.lr.shape[0] < p.lr.shape[1]]
        rows, columns = SHEET

        def joined(kind: str) -> Pixels:
            grid = [[getattr(parts[r * columns + c], kind) for c in range(columns)] for r in range(rows)]
            return np.concatenate([np.concatenate(row, axis=1) for row in grid])

        yield BenchPicture(name=name, hr=joined("hr"), lr=joined("lr"))
    else:
        for path in photos:
            hr = modulo_crop(read_rgb8(path), scale)
            yield BenchPicture(name=path.stem, hr=hr, lr=imresize(hr, 1 / scale))


def measure(bench: Path, photos: list[Path]) -> dict[str, Any]:
    """The differences of all sets, and the halo; see the head of this file."""
    sets: list[dict[str, Any]] = []
    for scale, names in MEASURED.items():
        stencil = open_engine(shipped(scale, ".onnx")).stencil
        assert stencil
        for name in names:
            shown = list(pictures(bench, photos, name, scale))
            outputs = {row: [held(stencil, p.lr, sample) for p in shown] for row, sample in SAMPLES.items()}
            if name in SETS[:2]:
                for row, local in PATCHWISE.items():
                    outputs[row] = [patchwise(scale, p.lr, local=local) for p in shown]
            reference = next(iter(outputs.values()))
            rows = {row: compared(made, reference, shown, scale) for row, made in outputs.items()}
            sets.append({"set": name, "scale": scale, "pictures": len(shown), "samples": rows})
            print(name, scale, file=sys.stderr)
    halos = [halo_errors(bench, scale) for scale in MEASURED]
    return {"window": WINDOW_SIDE, "area": SAMPLE_AREA, "sets": sets, "halos": halos}


def held(stencil: Stencil, lr: Pixels, sample: Callable[[Pixels], np.ndarray]) -> np.ndarray:
    return stencil.run(whole(lr), stencil.gates(sample(lr)))[0].transpose(1, 2, 0)


def compared(
    made: list[np.ndarray], reference: list[np.ndarray], shown: list[BenchPicture], scale: int
) -> dict[str, float]:
    """Mean PSNR in dB over the pictures, and the largest difference from `reference` in 8-bit levels."""
    rounded = [np.rint(output.clip(0, 1) * 255).astype(np.uint8) for output in made]
    psnr = [psnr_y(output, picture.hr, border=scale) for output, picture in zip(rounded, shown, strict=True)]
    levels = [255 * float(np.abs(a - b).max()) for a, b in zip(made, reference, strict=True)]
    return {"psnr": float(np.mean(psnr)), "levels": max(levels)}


def patchwise(scale: int, lr: Pixels, *, local: bool) -> np.ndarray:
    """The result with statistics over windows of the size of a training patch: local ones (TLC), or their mean."""
    gated = Gated(load_mafdn(shipped(scale, ".safetensors")))

    def hold(attention: Any, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        (x,) = inputs
        height, width = x.shape[2:]
        size = (min(PATCH, height), min(PATCH, width))
        mean = pooled(x, size)
        variance = (pooled(x.square(), size) - mean.square()).clamp(0)
        statistics = mean + (variance + CONTRAST_EPSILON).sqrt()
        if not local:
            return x, attention.gates(statistics.mean((2, 3), keepdim=True))
        down, right = height - statistics.shape[2], width - statistics.shape[3]
        around = (right // 2, right - right // 2, down // 2, down - down // 2)
        return x, attention.gates(F.pad(statistics, around, mode="replicate"))

    for attention in gated.attentions:
        attention.register_forward_pre_hook(hold)
    with torch.inference_mode():
        return gated.network(torch.from_numpy(whole(lr)))[0].numpy().transpose(1, 2, 0)


def pooled(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The mean over every window, along columns and then along rows: twenty times as fast as both at once."""
    return F.avg_pool2d(F.avg_pool2d(x, (size[0], 1), 1), (1, size[1]), 1)


def halo_errors(bench: Path, scale: int) -> dict[str, Any]:
    """Largest and mean difference (8-bit levels) at each distance from a cut, on the HR pictures of Set5 and Set14."""
    stencil = open_engine(shipped(scale, ".onnx")).stencil
    assert stencil
    worst, mean, count = np.zeros(stencil.radius + 1), np.zeros(stencil.radius + 1), 0
    for name in SETS[:2]:
        for picture in read_bench(bench / name, scale):
            x = whole(picture.hr[:160, :240])
            gates = stencil.gates(x)
            top = x.shape[2] // 2
            same = stencil.run(x, gates)[:, :, top * scale :]
            change = np.abs(stencil.run(np.ascontiguousarray(x[:, :, top:]), gates) - same)[0].max(0)
            lines = 255 * change.reshape(-1, scale * change.shape[1])[: stencil.radius + 1]
            worst, mean, count = np.maximum(worst, lines.max(1)), mean + lines.mean(1), count + 1
    rows = [{"halo": h, "largest": float(worst[h:].max()), "mean": float(mean[h]) / count} for h in HALOS]
    return {"scale": scale, "radius": stencil.radius, "halo": stencil.halo, "pictures": count, "errors": rows}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]), indent=2))
