"""Measure how faithful results are to JPEG files: `mafdn.verify` for classic, photo, bicubic and Lanczos.

    python -m tools.faithfulness ../shared/data/bench/B100 ../shared/data/photos/*.jpg

The LR pictures of the first 20 pictures of B100 are coded as JPEG by Pillow, enlarged, and verified; so are camera JPEG
files at x2, as they are. The figures are written to docs/results/faithfulness.json, and from there into docs/photo.md.
It takes about five minutes on two cores, most of them for the camera files.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import mafdn
from mafdn._support.atomic import replacing
from mafdn._support.machine import machine
from mafdn.evaluation.benchset import read_bench
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels.bands import resized_rows
from mafdn.pixels.resize import Kernel
from tools.documents.update import PROJECT, refresh
from tools.documents.weights import RESULTS

FIRST = 20
"""Pictures of the benchmark dataset, by name."""
SCALES, QUALITIES = (2, 4), (90, 75, 50)
CAMERA_SCALE = 2
BAND = 256
"""Rows that are interpolated at a time."""
NETWORKS = {"classic": "x{scale}", "photo": "photo-x{scale}"}
KERNELS: dict[str, Kernel] = {"bicubic": "bicubic", "Lanczos": "lanczos3"}
"""Networks and kernels by their names in the tables."""
Picture = NDArray[np.uint8]
Method = Callable[[Picture], Picture]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path, help="folder of B100")
    parser.add_argument("photos", type=Path, nargs="*", help="camera JPEG files")
    parser.add_argument("-o", "--output", type=Path, default=PROJECT / RESULTS / "faithfulness.json")
    parser.add_argument("--pictures", type=int, default=FIRST, help=f"pictures of the dataset (default: {FIRST})")
    arguments = parser.parse_args()
    report = measure(arguments.bench, arguments.photos, count=arguments.pictures)
    with replacing(arguments.output) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    for path in refresh(PROJECT):
        print(path)


def measure(bench: Path, photos: Iterable[Path], *, count: int) -> dict[str, Any]:
    """Verify all methods on all inputs."""
    inputs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for scale in SCALES:
            chosen = methods(scale)
            pictures = [picture.lr for picture in islice(read_bench(bench, scale), count)]
            for quality in QUALITIES:
                files = [Path(name, f"{scale}-{quality}-{number}.jpg") for number in range(len(pictures))]
                for file, lr in zip(files, pictures, strict=True):
                    Image.fromarray(lr).save(file, quality=quality)
                title = f"{bench.name} x{scale}, quality {quality}"
                inputs.append(verified(title, files, chosen, scale=scale))
    chosen = methods(CAMERA_SCALE)
    inputs += [verified(f"{photo.name} x{CAMERA_SCALE}", [photo], chosen, scale=CAMERA_SCALE) for photo in photos]
    about = machine()
    return {
        "command": "python -m tools.faithfulness B100 PHOTO...",
        "machine": {"processor": about.processor, "cores": about.cores, "features": about.features},
        "inputs": inputs,
    }


def methods(scale: int) -> dict[str, Method]:
    """What enlarges (H, W, 3) pictures, by name."""
    found: dict[str, Method] = {}
    for name, network in NETWORKS.items():
        found[name] = mafdn.load(network.format(scale=scale)).upscale
    for name, kernel in KERNELS.items():
        found[name] = partial(interpolated, scale=scale, kernel=kernel)
    return found


def interpolated(picture: Picture, *, scale: int, kernel: Kernel) -> Picture:
    """Enlarge by MATLAB's `imresize`, a band at a time."""
    height, width = picture.shape[0] * scale, picture.shape[1] * scale
    result = np.empty((height, width, picture.shape[2]), np.uint8)
    for top in range(0, height, BAND):
        rows = range(top, min(top + BAND, height))
        values = resized_rows(picture, rows, shape=(height, width), kernel=kernel)
        result[rows.start : rows.stop] = np.clip(np.floor(values + 0.5), 0, 255)
    return result


def verified(title: str, files: list[Path], chosen: dict[str, Method], *, scale: int) -> dict[str, Any]:
    """The figures of all methods on JPEG files, over all of them."""
    entry: dict[str, Any] = {"input": title, "scale": scale, "pictures": len(files), "methods": {}}
    for name, method in chosen.items():
        found = [mafdn.verify(file, method(read_rgb8(file))) for file in files]
        entry["methods"][name] = summary(found)
        print(title, name, entry["methods"][name], flush=True)
    return entry


def summary(found: list[mafdn.Verification]) -> dict[str, float | None]:
    """Means over pictures, and the worst of them."""
    shares = [v.coefficients for v in found if v.coefficients]
    nonzero = [share.all.nonzero_share for share in shares if share.all.nonzero_share is not None]
    psnrs = [v.psnr for v in found if v.psnr is not None]
    figures = {
        "mean_difference": statistics.mean(v.mean_difference for v in found),
        "block_difference": max(v.block_difference for v in found),
        "psnr": statistics.mean(psnrs) if psnrs else None,
        "share": statistics.mean(share.all.share for share in shares),
        "least_share": min(share.all.share for share in shares),
        "nonzero_share": statistics.mean(nonzero),
        "least_nonzero_share": min(nonzero),
        "judged_blocks": statistics.mean(share.judged_blocks for share in shares),
    }
    return {name: None if value is None else round(value, 5) for name, value in figures.items()}


if __name__ == "__main__":
    main()
