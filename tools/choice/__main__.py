"""Measure how often `--network auto` chooses the right weights, and where the variants score alike.

    python -m tools.choice SHARED [--gains]

SHARED has the folders `data/bench`, `data/train` and `data/photos` of docs/data.md. Clean pictures are reductions of
their pictures by factors that are no whole numbers, so that no earlier block is left. From each, files are made in ways
that are known to be degraded or clean: qualities between them, at which the choice matters little, are left out.
`--gains` also measures the gain of the photo weights over the classic ones by quality, which takes minutes. The result
is stored in `docs/results/weights-choice.json`, and docs/photo.md is updated.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mafdn._support.atomic import replacing
from mafdn.inference import EngineOptions, open_engine, preferred_engine, upscale
from mafdn.pictures.reading import read_header, read_rgb8
from mafdn.pixels.color import luma
from mafdn.upscaling.choice.weights import WeightsChoice, choose_weights
from mafdn.weights.shipped import shipped
from tools.choice.cases import CLEAN, DEGRADED, GRAPHICS, Case, encoded
from tools.documents.choice import NAME, SCALES
from tools.documents.update import PROJECT, refresh
from tools.documents.weights import RESULTS

PICTURES = 26
"""Clean photographs of which files are made."""
LARGEST = 1_000
"""Longest side of a clean picture in pixels."""
GAIN_PICTURES = 10
"""Pictures of B100 for the gains."""
CODINGS: tuple[tuple[str, int | None], ...] = (
    ("clean", None),
    *(("JPEG", quality) for quality in (90, 92, 94, 96, 98)),
    *(("WEBP", quality) for quality in (75, 85, 90)),
)
"""Encoders and qualities for the gains."""


def clean_pictures(shared: Path, random: np.random.Generator) -> list[tuple[str, Image.Image]]:
    """Photographs without traces of an encoder, reduced from other ones."""
    data = shared / "data"
    paths = [
        *sorted((data / "photos").glob("*.jpg")),
        *sorted((data / "train").glob("gb82__*.jpg"))[:12],
        *sorted((data / "bench" / "B100" / "HR").glob("*.png"))[::9],
        *sorted((data / "bench" / "Set14" / "HR").glob("*.png"))[::4],
    ]
    found: list[tuple[str, Image.Image]] = []
    for path in paths[:PICTURES]:
        picture = Image.fromarray(read_rgb8(path))
        factor = max(random.uniform(2.1, 2.9), max(picture.size) / LARGEST)
        size = [max(32, round(side / factor)) for side in picture.size]
        found.append((path.stem, picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)))
    return found


def judge(case: Case, folder: Path) -> tuple[WeightsChoice, float]:
    """Write a case to a file and choose its weights; also returns the seconds beyond decoding."""
    path = folder / f"case{case.suffix}"
    path.write_bytes(case.content)
    header = read_header(path)
    picture = header.decode()
    began = time.perf_counter()
    choice = choose_weights(header, lambda: picture.planes)
    return choice, time.perf_counter() - began


def measure_cases(shared: Path) -> dict[str, Any]:
    """Make all cases, and count by kind how many are chosen right; the wrong ones are listed."""
    random = np.random.default_rng(0)
    counts: Counter[str] = Counter()
    right: Counter[str] = Counter()
    wrong: list[dict[str, Any]] = []
    seconds: list[float] = []
    kinds = {name: variant for variant, table in (("photo", DEGRADED), ("classic", CLEAN)) for name in table}
    with tempfile.TemporaryDirectory(prefix="mafdn-") as folder:

        def count(case: Case, kind: str, variant: str, name: str) -> None:
            choice, taken = judge(case, Path(folder))
            seconds.append(taken)
            counts[kind] += 1
            right[kind] += choice.variant == variant
            if choice.variant != variant:
                wrong.append({"kind": kind, "picture": name, "how": case.how, "chosen": str(choice)})

        for name, picture in clean_pictures(shared, random):
            for kind, variant in kinds.items():
                make: Callable[..., Case] = DEGRADED[kind] if variant == "photo" else CLEAN[kind]
                count(make(picture, random), kind, variant, name)
        for kind, cases in GRAPHICS.items():
            for case in cases(random):
                count(case, kind, "classic", case.how)
            kinds[kind] = "classic"
    rows = [
        {"kind": kind, "variant": variant, "cases": counts[kind], "right": right[kind]}
        for kind, variant in kinds.items()
    ]
    return {
        "cases": counts.total(),
        "right": right.total(),
        "milliseconds": {"median": 1e3 * float(np.median(seconds)), "largest": 1e3 * max(seconds)},
        "rows": rows,
        "wrong": wrong,
    }


def measure_gains(shared: Path) -> list[dict[str, Any]]:
    """The mean gain of the photo weights over the classic ones, PSNR in dB on luma, by scale and coding."""
    rows: list[dict[str, Any]] = []
    bench = shared / "data" / "bench" / "B100"
    options = EngineOptions(engine=preferred_engine(), device="cpu", precision="fp32")
    for scale in SCALES:
        engines = {v: open_engine(shipped(scale, ".onnx", v), options) for v in ("classic", "photo")}
        gains: dict[tuple[str, int | None], list[float]] = {coding: [] for coding in CODINGS}
        for path in sorted((bench / f"LRbicx{scale}").glob("*.png"))[:GAIN_PICTURES]:
            low = Image.fromarray(read_rgb8(path))
            high = read_rgb8(bench / "HR" / path.name.replace(f"x{scale}.png", ".png"))
            high = high[: low.height * scale, : low.width * scale]
            for encoder, quality in CODINGS:
                coded = np.asarray(low if quality is None else encoded(low, encoder, quality=quality)[1])
                scores = {v: _psnr(upscale(engine, coded), high, border=scale) for v, engine in engines.items()}
                gains[encoder, quality].append(scores["photo"] - scores["classic"])
        for (encoder, quality), values in gains.items():
            row = {"scale": scale, "encoder": encoder, "quality": quality, "pictures": len(values)}
            rows.append(row | {"mean": float(np.mean(values)), "least": min(values), "largest": max(values)})
    return rows


def _psnr(result: np.ndarray[Any, Any], original: np.ndarray[Any, Any], *, border: int) -> float:
    inner = (slice(border, -border), slice(border, -border))
    difference = luma(result)[inner] - luma(original)[inner]
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--gains", action="store_true")
    arguments = parser.parse_args()
    file = PROJECT / RESULTS / f"{NAME}.json"
    before: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {"gains": []}
    measured_gains = measure_gains(arguments.shared) if arguments.gains else before["gains"]
    found = {"gains": measured_gains} | measure_cases(arguments.shared)
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    refresh(PROJECT)
    print(f"{found['right']} of {found['cases']} right")
    for entry in found["wrong"]:
        print(entry)
