"""Side-by-side strips: one crop of a picture by several methods, enlarged without interpolation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mafdn._support.atomic import replacing
from mafdn.errors import MafdnError
from mafdn.evaluation.benchset import Pixels
from mafdn.pixels import imresize, luma

# Lengths are in pixels of the strip, except SIDE (HR pixels) and font sizes (points).
SIDE, CELL = 84, 252
"""Side of a crop, and side of the cell that shows it."""
GAP, MARGIN, HEADING, CAPTION, FOOTING = 8, 24, 44, 48, 12
DPI = 100
TITLE, LABEL, SMALL = 11.0, 8.5, 7.5
LONGEST = 32
"""Number of characters of a label that fit under a cell."""
INK, SOFT = "#1d1d1f", "#76767b"
MARK = (230, 57, 70)
"""RGB of the frame around the crop in the overview."""
Place = tuple[slice, slice]
"""Rows and columns of a crop, in HR pixels."""


@dataclass(frozen=True, kw_only=True)
class StripPicture:
    """One row of a strip; all arrays are (H, W, 3) uint8 of one size."""

    name: str
    hr: Pixels
    results: Mapping[str, Pixels]
    """The result of every method, in the order of the strip."""
    psnr: Mapping[str, float]
    """Each method's PSNR in dB on the whole picture."""
    place: Place
    """Rows and columns of the crop."""
    detail: str = ""
    """A second line under the name."""


@dataclass(frozen=True, kw_only=True)
class _Text:
    """A line of text; `x` and `y` are its left end and base line in pixels from the top left."""

    x: int
    y: int
    text: str
    size: float = LABEL
    color: str = INK
    weight: str = "normal"


def draw_strip(groups: Mapping[str, Sequence[StripPicture]], output: Path, *, footing: str = "") -> None:
    """Draw rows of crops, with a heading per group, as PNG.

    A row shows the whole picture with the place of the crop, then the crop from HR and from every result. The highest
    PSNR of a row is bold.

    Args:
        groups: Rows by heading; all rows have the same methods.
        output: The file, which is replaced.
        footing: A line at the bottom.

    Raises:
        MafdnError: `output` cannot be written.
    """
    groups = {heading: pictures for heading, pictures in groups.items() if pictures}
    rows = sum(map(len, groups.values()))
    cells = 2 + max(len(picture.results) for pictures in groups.values() for picture in pictures)
    height = 2 * MARGIN + len(groups) * HEADING + rows * (CELL + CAPTION) + FOOTING
    canvas = np.full((height, 2 * MARGIN + cells * (CELL + GAP) - GAP, 3), 255, np.uint8)
    texts: list[_Text] = []
    top = MARGIN
    for heading, pictures in groups.items():
        texts.append(_Text(x=MARGIN, y=top + 15, text=heading, size=TITLE, weight="bold"))
        top += HEADING - 12
        for picture in pictures:
            texts += _draw_row(canvas, picture, top)
            top += CELL + CAPTION
        top += 12
    texts.append(_Text(x=MARGIN, y=height - MARGIN + 4, text=footing, size=SMALL, color=SOFT))
    _save(canvas, texts, output)


def most_different_crop(hr: Pixels, worse: Pixels, better: Pixels, *, border: int, side: int = SIDE) -> Place:
    """The square in which `better` improves most over `worse`, in squared error of luma against `hr`.

    Args:
        hr, worse, better: (H, W, 3) uint8 of one size.
        border: The crop border of the measurement in pixels, left out here too if the picture is large enough.
        side: Side of the square; less if the picture is smaller.

    Returns:
        Rows and columns.
    """
    y = luma(hr)
    gain = (luma(worse) - y) ** 2 - (luma(better) - y) ** 2
    start = border if min(gain.shape) >= side + 2 * border else 0
    gain = gain[start : gain.shape[0] - start, start : gain.shape[1] - start]
    high, wide = min(side, gain.shape[0]), min(side, gain.shape[1])
    table = np.pad(gain, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    sums = table[high:, wide:] - table[:-high, wide:] - table[high:, :-wide] + table[:-high, :-wide]
    row, column = (start + int(i) for i in np.unravel_index(sums.argmax(), sums.shape))
    return slice(row, row + high), slice(column, column + wide)


def _draw_row(canvas: Pixels, picture: StripPicture, top: int) -> list[_Text]:
    """Draw the pictures of one row on the canvas; returns the texts under them."""
    first_line, second_line = top + CELL + 16, top + CELL + 31
    overview = _overview(picture.hr, picture.place)
    _put(canvas, overview, top + CELL - len(overview), MARGIN)  # bottom aligned
    texts = [
        _Text(x=MARGIN, y=first_line, text=_short(picture.name)),
        _Text(x=MARGIN, y=second_line, text=picture.detail, size=SMALL, color=SOFT),
    ]
    best = max(picture.psnr[name] for name in picture.results)
    for cell, (name, pixels) in enumerate({"HR": picture.hr, **picture.results}.items(), 1):
        left = MARGIN + cell * (CELL + GAP)
        _put(canvas, _enlarged(pixels[picture.place]), top, left)
        texts.append(_Text(x=left, y=first_line, text=_short(name)))
        if name in picture.results:
            leads = picture.psnr[name] == best
            style = {"color": INK, "weight": "bold"} if leads else {"color": SOFT}
            texts.append(_Text(x=left, y=second_line, text=f"{picture.psnr[name]:.2f} dB", size=SMALL, **style))
    return texts


def _overview(hr: Pixels, place: Place) -> Pixels:
    """The whole picture fitted into a cell, with a frame around the crop."""
    factor = CELL / max(hr.shape[:2])
    small = imresize(hr, shape=(max(round(hr.shape[0] * factor), 1), max(round(hr.shape[1] * factor), 1)))
    (top, bottom), (left, right) = ((round(s.start * factor), round(s.stop * factor) - 1) for s in place)
    for grow, color in ((2, (255, 255, 255)), (0, MARK), (1, MARK)):  # a white outline shows on any background
        y0, y1 = max(top - grow, 0), min(bottom + grow, small.shape[0] - 1)
        x0, x1 = max(left - grow, 0), min(right + grow, small.shape[1] - 1)
        small[[y0, y1], x0 : x1 + 1] = color
        small[y0 : y1 + 1, [x0, x1]] = color
    return small


def _enlarged(crop: Pixels) -> Pixels:
    """The crop with every pixel repeated to a square."""
    zoom = max(CELL // max(crop.shape[:2]), 1)
    return crop.repeat(zoom, 0).repeat(zoom, 1)


def _put(canvas: Pixels, picture: Pixels, top: int, left: int) -> None:
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else "..." + label[3 - LONGEST :]


def _save(canvas: Pixels, texts: Sequence[_Text], output: Path) -> None:
    height, width = canvas.shape[:2]
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    figure.figimage(canvas)
    for t in texts:
        text = figure.text(t.x / width, 1 - t.y / height, t.text, fontsize=t.size, color=t.color)
        text.set_fontweight(t.weight)
        text.set_parse_math(False)  # a name may contain dollar signs
    try:
        with replacing(output) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI)
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write {output}", error) from None
