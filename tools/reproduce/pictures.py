"""Plots and pictures of README and docs, drawn again from stored measurements and the shipped weights."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mafdn.compare.report import draw_plots
from mafdn.pictures.reading import read_rgb8
from mafdn.training.record.plot import plot_runs
from mafdn.weights.resolve import NAMES_OF_SCALES
from tools import before_after
from tools.degraded.pictures import drawings
from tools.documents.weights import RESULTS
from tools.growth import draw as draw_growth
from tools.reproduce.comparing import Difference
from tools.reproduce.parts import SETS, Data, Part

LIMIT = 2.0
"""Largest mean difference of two pictures, in 8-bit levels; other versions of matplotlib draw text differently."""
DRIFT = 0.5
"""Largest difference of a coordinate in two SVG files, in points."""
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


def compare_pictures(name: str, stored: Path, made: Path) -> Iterator[Difference]:
    """Yield the difference of a picture from the stored one, if it is larger than `LIMIT`."""
    if not stored.is_file():
        yield Difference(name, "no file", "a picture")
        return
    first, second = read_rgb8(stored), read_rgb8(made)
    if first.shape != second.shape:
        (height, width), (new_height, new_width) = first.shape[:2], second.shape[:2]
        yield Difference(name, f"{width}x{height}", f"{new_width}x{new_height}")
        return
    mean = float(np.abs(first.astype(float) - second).mean())
    if mean > LIMIT:
        yield Difference(name, "a picture", f"one that differs by {mean:.1f} levels on average")


def compare_drawings(name: str, stored: Path, made: Path) -> Iterator[Difference]:
    """Yield the difference of an SVG file from the stored one, if an element or a coordinate differs."""
    if not stored.is_file():
        yield Difference(name, "no file", "a drawing")
        return
    first, second = (METADATA.sub("", path.read_text("utf-8")) for path in (stored, made))
    if NUMBER.sub("", first) != NUMBER.sub("", second):
        yield Difference(name, "a drawing", "one of other elements")
        return
    places = [[float(number) for number in NUMBER.findall(text)] for text in (first, second)]
    if (largest := max((abs(a - b) for a, b in zip(*places, strict=True)), default=0.0)) > DRIFT:
        yield Difference(name, "a drawing", f"one in which coordinates differ by up to {largest:.1f}")


def drawn_plots(data: Data) -> dict[str, Callable[[Path], None]]:
    """The functions that draw the plots of `plots`, by the names of their files in `docs`."""
    results = data.project / RESULTS
    logs = {f"training-{name}.png": [results / f"train-{name}.jsonl"] for name in NAMES_OF_SCALES}
    logs["from-scratch.png"] = sorted(results.glob("from-scratch-*.jsonl"))
    drawn: dict[str, Callable[[Path], None]] = {
        name: lambda path, files=files: plot_runs(files, path) for name, files in logs.items()
    }
    drawn["growth.png"] = lambda path: draw_growth(data.stored("growth"), path)
    return drawn


def plots(data: Data) -> list[Difference]:
    """The training curves and the growth of memory and time, from the stored logs and measurements."""
    found: list[Difference] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in drawn_plots(data).items():
            made = Path(folder, name)
            draw(made)
            found += compare_pictures(f"docs/{name}", data.project / "docs" / name, made)
    return found


def comparison_plots(data: Data) -> list[Difference]:
    """The plots of docs/benchmarks.md, from the stored comparison."""
    stored = data.project / "docs" / "benchmarks"
    table = json.loads(data.needed(stored / "compare.json").read_text("utf-8"))
    found: list[Difference] = []
    with tempfile.TemporaryDirectory() as folder:
        for made in draw_plots(table, Path(folder)):
            if made.suffix == ".svg":  # the PDF files are of the same figures
                found += compare_drawings(f"docs/benchmarks/{made.name}", stored / made.name, made)
    return found


def sample(data: Data) -> list[Difference]:
    """docs/before_after.jpg, from the sample and the shipped weights."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "before_after.jpg")
        before_after.main(made)
        return list(compare_pictures("docs/before_after.jpg", data.project / "docs" / "before_after.jpg", made))


def degraded(data: Data) -> list[Difference]:
    """docs/photo-*.png: crops of degraded pictures, by the shipped weights."""
    bench, photos = data.benches[SETS.index("B100")], data.photos[0].parent
    found: list[Difference] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in drawings(bench, photos).items():
            made = Path(folder, name)
            draw(made)
            found += compare_pictures(f"docs/{name}", data.project / "docs" / name, made)
    return found


PICTURES: dict[str, Part] = {
    "plots": plots,
    "comparison-plots": comparison_plots,
    "before-after": sample,
    "photo-crops": degraded,
}
