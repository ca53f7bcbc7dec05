"""Crops of degraded pictures by several networks, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mafdn.degradation.chain import parse_degradation
from mafdn.evaluation.benchset import read_bench
from mafdn.evaluation.methods import find_network, open_method
from mafdn.inference import open_engine
from mafdn.inference.gates import Windows, sample_windows
from mafdn.inference.upscale import cut
from mafdn.pictures.reading import read_rgb8

CELL, GAP, HEAD, LINE = 240, 6, 26, 20
"""Side of a cell, space between cells, height of the headings and of the line above a row, in pixels."""
SIZE = 14
"""Font size."""
CONTEXT = 64
"""Input pixels around a crop that are upscaled with it: more than the radius in which they matter."""
PHOTO_SIDE, PHOTO_CELL = 80, 320
"""Side of a crop of a photograph in input pixels, and of its cell."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """A square of a picture: its left and top, in HR pixels of a benchmark picture or pixels of a photograph."""

    picture: str
    left: int
    top: int
    degrade: str = "none"


SIDES = {2: 80, 4: 120}
"""Side of a crop in HR pixels, by scale."""
BENCH_PLACES = {
    2: tuple(
        Place(*crop, f"jpeg:{quality}") for quality in (75, 50) for crop in (("106024", 220, 30), ("108082", 240, 30))
    ),
    4: tuple(
        Place(*crop, f"jpeg:{quality}") for quality in (75, 50) for crop in (("106024", 190, 20), ("102061", 100, 115))
    ),
}
"""What is shown of B100, by scale: an edge before a smooth background, and texture."""
README_PLACES = {2: BENCH_PLACES[2][:1], 4: BENCH_PLACES[4][:1]}
PHOTO_PLACES = (
    Place("006mp-cathedral", 725, 650),
    Place("006mp-cathedral", 1560, 500),
    Place("012mp-bus", 125, 1790),
    Place("012mp-bus", 2080, 1715),
)
"""What is shown of the photographs."""
COLUMNS = ("LR picture", "bicubic", "classic weights", "photo weights", "original")


def drawings(bench: Path, photos: Path, *, network: str = "photo") -> dict[str, Callable[[Path], None]]:
    """The functions that draw the pictures of the documents, by the names of their files in `docs`.

    Args:
        bench: B100.
        photos: The folder of the photographs.
        network: The photo weights, as for `tools.degraded.measure.measure`.
    """
    chosen = {"photo-short.png": README_PLACES, **{f"photo-x{s}.png": {s: p} for s, p in BENCH_PLACES.items()}}
    crops: dict[str, Callable[[Path], None]] = {
        name: partial(draw_bench, bench, places=places, photo=network) for name, places in chosen.items()
    }
    return {**crops, "photo-camera.png": partial(draw_photos, photos, photo=network)}


def draw_bench(folder: Path, target: Path, places: dict[int, tuple[Place, ...]], *, photo: str = "photo") -> None:
    """Draw crops of benchmark pictures: the LR picture, bicubic, classic and photo weights, the original.

    Args:
        folder: The dataset.
        target: The PNG file, which is replaced.
        places: The crops by scale.
        photo: The photo weights, as for `tools.degraded.measure.measure`.
    """
    rows: list[tuple[str, list[Pixels]]] = []
    for scale, crops in places.items():
        methods = [open_method(name, scale=scale)[1] for name in ("bicubic", "classic", photo)]
        for place in crops:
            degrade = parse_degradation(place.degrade)
            (picture,) = read_bench(folder, scale, degrade=degrade, only=[place.picture])
            side = SIDES[scale]
            rows_of, columns = slice(place.top, place.top + side), slice(place.left, place.left + side)
            lr = picture.lr.repeat(scale, 0).repeat(scale, 1)
            cells = [p[rows_of, columns] for p in (lr, *(method(picture.lr) for method in methods), picture.hr)]
            rows.append((f"{folder.name}, {place.picture}, x{scale}, {_spelled(place.degrade)}", cells))
    save_sheet(target, COLUMNS, rows)


def draw_photos(folder: Path, target: Path, *, photo: str = "photo", scale: int = 2) -> None:
    """Draw crops of photographs as cameras write them: the input, classic and photo weights.

    The gates of the networks are those of the whole photographs.
    """
    rows: list[tuple[str, list[Pixels]]] = []
    for place in PHOTO_PLACES:
        whole = read_rgb8(folder / f"{place.picture}.jpg")
        crop = whole[place.top :, place.left :][:PHOTO_SIDE, :PHOTO_SIDE]
        made = [upscale_crop(whole, place, name, scale) for name in ("classic", photo)]
        rows.append((f"{place.picture}.jpg, x{scale}", [crop, *made]))
    save_sheet(target, ("camera JPEG", *COLUMNS[2:4]), rows, cell=PHOTO_CELL)


def upscale_crop(whole: Pixels, place: Place, network: str, scale: int) -> Pixels:
    """The crop at `place` of an upscaled picture, without upscaling the rest of it."""
    path = find_network(network, scale=scale)
    assert path is not None
    engine = open_engine(path)
    top, left = max(place.top - CONTEXT, 0), max(place.left - CONTEXT, 0)
    window = whole[top : place.top + PHOTO_SIDE + CONTEXT, left : place.left + PHOTO_SIDE + CONTEXT]
    unit = cut(window, Windows(tops=(0,), lefts=(0,), height=window.shape[0], width=window.shape[1]))
    if engine.stencil:
        gates = engine.stencil.gates(cut(whole, sample_windows(*whole.shape[:2])))
        output = engine.stencil.run(unit, gates)[0]
    else:
        output = engine.run(unit)[0]
    result = np.rint(output.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)
    inner = result[(place.top - top) * scale :, (place.left - left) * scale :]
    return inner[: PHOTO_SIDE * scale, : PHOTO_SIDE * scale]


def save_sheet(
    target: Path, headings: Sequence[str], rows: Sequence[tuple[str, Sequence[Pixels]]], *, cell: int = CELL
) -> None:
    """Write rows of crops as PNG, each with a line of text above, every pixel repeated to fill its cell."""
    width = len(headings) * (cell + GAP) - GAP
    sheet = Image.new("RGB", (width, HEAD + len(rows) * (LINE + cell + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(SIZE)
    for column, heading in enumerate(headings):
        pen.text((column * (cell + GAP), 4), heading, fill="black", font=font)
    for number, (title, cells) in enumerate(rows):
        top = HEAD + number * (LINE + cell + GAP)
        pen.text((0, top), title, fill="#606060", font=font)
        for column, pixels in enumerate(cells):
            image = Image.fromarray(np.ascontiguousarray(pixels))
            square = image.resize((cell, cell), Image.Resampling.NEAREST)
            sheet.paste(square, (column * (cell + GAP), top + LINE))
    sheet.save(target, optimize=True)


def _spelled(degrade: str) -> str:
    """`JPEG quality 75` for `jpeg:75`; other chains as they are."""
    kind, _, quality = degrade.partition(":")
    return f"JPEG quality {quality}" if kind == "jpeg" and quality.isdigit() else degrade
