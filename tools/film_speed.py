"""Measure the speed of films of 640x360: the share of the bare network's frames per second, and a film that is static.

    python -m tools.film_speed [--rounds 2] [--frames 60]

The bare network gets decoded frames of the same film in the same process; both are measured by turns. The film must be
longer than the frames that encoders look ahead, because they otherwise begin when the network has ended. The result is
stored in `docs/results/film-speed.json`, and docs/film.md is updated.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from mafdn import FilmOptions, UpscaleOptions, upscale_film
from mafdn._support.atomic import replacing
from mafdn._support.machine import machine
from mafdn.film.source.reader import open_film
from mafdn.inference import EngineOptions, open_engine, preferred_engine, upscale
from mafdn.weights.shipped import shipped
from tests.film import films
from tools.documents.films import SPEED
from tools.documents.update import PROJECT, refresh
from tools.documents.weights import RESULTS

SIZE, RATE = (640, 360), Fraction(25)
PATTERN = "mandelbrot"
"""FFmpeg's source whose frames all differ, with fine detail."""
STATIC_FRAMES = 250
BARE_FRAMES = 15
"""Frames that the bare network gets in each turn."""


def measure(folder: Path, *, scale: int, rounds: int, frames: int) -> dict[str, Any]:
    """Frames per second of the network, of whole films and of a static film."""
    engine = open_engine(shipped(scale, ".onnx", "photo"), _engine())
    moving = films.make(folder / "moving.mp4", films.Film(pattern=PATTERN, frames=frames, size=SIZE, rate=RATE))
    static = films.static(folder / "static.mkv", count=STATIC_FRAMES, size=SIZE)
    with closing(open_film(moving)) as film:
        decoded = [frame.pixels for frame in itertools.islice(film.frames(), BARE_FRAMES)]
    upscale(engine, decoded[0])
    bare: list[float] = []
    whole: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        for pixels in decoded:
            upscale(engine, pixels)
        bare.append(len(decoded) / (time.perf_counter() - began))
        whole.append(_film(moving, folder, scale))
    return {
        "scale": scale,
        "frames": frames,
        "network": bare,
        "film": whole,
        "share": statistics.median(a / b for a, b in zip(whole, bare, strict=True)),
        "static": _film(static, folder, scale),
        "static_frames": STATIC_FRAMES,
    }


def _engine() -> EngineOptions:
    return EngineOptions(engine=preferred_engine(), device="cpu", precision="fp32")


def _film(source: Path, folder: Path, scale: int) -> float:
    """Frames per second of a whole film, from the first frame to the last."""
    options = FilmOptions(upscale=UpscaleOptions(overwrite=True))
    target = folder / "result.mp4"
    report = upscale_film(source, target, size=scale, network="photo", engine=_engine(), options=options)
    return report.frames_per_second or 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--frames", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mafdn-") as temporary_folder:
        rows = [
            measure(Path(temporary_folder), scale=scale, rounds=arguments.rounds, frames=arguments.frames)
            for scale in (2, 4)
        ]
    with replacing(PROJECT / RESULTS / f"{SPEED}.json") as temporary:
        temporary.write_text(json.dumps({"machine": asdict(machine()), "rows": rows}, indent=2) + "\n", "utf-8")
    refresh(PROJECT)
    print(rows)
