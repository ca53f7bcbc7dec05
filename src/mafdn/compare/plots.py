"""Scatter plots of quality against cost, as in the papers of the field, at the size of print."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from mafdn._support.figures import save_figure

COSTS = {
    "parameters": "parameters, thousands",
    "multi_adds": "Multi-Adds for a 1280x720 output, billions",
    "seconds": "seconds for a 1280x720 output on this machine",
}
"""Costs, and their labels on the x-axis."""
INK, SOFT, GRID = "#1d1d1f", "#6e6e73", "#e3e3e6"
OURS, OTHERS = "#d7263d", "#3a6ea5"
WIDTH, HEIGHT = 3.5, 2.9
"""Size of a panel in inches: a column of a paper, at which text is as large as a caption."""
IN_A_ROW = 2
"""Panels side by side; two fill the width of a page."""
FONT, SMALL_FONT = 7.5, 6.5
"""Font sizes in points, of labels and of ticks."""
AREA = 26
"""Area of a marker in square points."""
NEAR, MARKER, FARTHEST = 5, 6, 130
"""Lengths in points: the distance below which two points coincide, half the side of a marker, and the largest distance
between a label and its point."""
GAP = 0.5
"""Space around a label in points; the width of text differs a little between resolutions."""
PRINT_DPI = 300
"""Resolution of PNG in pixels per inch; .pdf and .svg are vector graphics."""
DIRECTIONS = (
    *((1, 0), (1, 0.7), (1, -0.7), (0, 1), (0, -1), (-1, 0), (-1, 0.7), (-1, -0.7)),
    *((across, up) for up in (1.5, -1.5, 0.35, -0.35) for across in (1, -1, 0.4, -0.4)),
)
"""Directions from a point to its label (right, up), in the order in which they are tried."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One network in one panel; `x` is its cost, `spread` the quartiles of a measured time."""

    name: str
    x: float
    psnr: float
    highlighted: bool
    published: bool
    spread: tuple[float, float] | None = None


def draw_costs(panels: Mapping[str, Sequence[Point]], output: Path, *, cost: str, channels: str = "luma") -> None:
    """Draw PSNR against a cost, with a panel for each benchmark dataset.

    Measured points are filled, published ones hollow with a dagger after the name; highlighted networks are stars. The
    x-axis is logarithmic. Labels do not overlap.

    Args:
        panels: Points by title of the panel.
        output: The file, .pdf, .svg or .png, which is replaced.
        cost: A key of `COSTS`.
        channels: The channels on which PSNR was measured, `luma` or `rgb`.

    Raises:
        MafdnError: `output` cannot be written.
    """
    columns = min(len(panels), IN_A_ROW)
    rows = math.ceil(len(panels) / columns)
    # At 72 dpi a pixel is a point, so that positions hold for every format.
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), dpi=72)
    grid = figure.subplots(rows, columns, squeeze=False)
    axes: list[Axes] = grid.flatten().tolist()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, points) in zip(axes, panels.items(), strict=False):
        _prepare(axis, points, cost=cost, title=title, channels=channels)
    legend = any(point.published for points in panels.values() for point in points)
    if legend:
        _explain(figure)
    below = 16 / (72 * HEIGHT * rows) if legend else 0.0
    figure.tight_layout(rect=(0, below, 1, 1))  # before the labels, whose positions depend on it
    for axis, points in zip(axes, panels.values(), strict=False):
        _label(axis, points)
    save_figure(figure, output, dpi=PRINT_DPI)


def _prepare(axis: Axes, points: Sequence[Point], *, cost: str, title: str, channels: str) -> None:
    """Draw the points, and set up axes and ticks."""
    for point in points:
        color, marker, size = (OURS, "*", 3.6 * AREA) if point.highlighted else (OTHERS, "o", AREA)
        if point.published:  # larger, to show as a ring around a measured point
            axis.scatter(
                [point.x],
                [point.psnr],
                s=1.7 * size,
                marker=marker,
                facecolors="none",
                edgecolors=color,
                linewidths=0.8,
            )
        else:
            axis.scatter([point.x], [point.psnr], s=size, marker=marker, color=color, linewidths=0)
        if point.spread:
            axis.plot(point.spread, [point.psnr] * 2, color=color, linewidth=0.9, alpha=0.6, zorder=0)
    axis.set_xscale("log")
    axis.margins(x=0.22, y=0.22)
    xs = [point.x for point in points]
    if max(xs) < 1.3 * min(xs):  # widen the axis so that it has more than one tick
        axis.set_xlim(min(xs) / 1.3, max(xs) * 1.3)
    low, high = axis.get_xlim()
    wide = high > 8 * low  # fewer ticks, so that their labels do not overlap
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if wide else (1, 1.5, 2, 3, 4, 5, 6, 8)))
    axis.xaxis.set_major_formatter(FuncFormatter(_plain_number))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(COSTS[cost], color=SOFT, fontsize=FONT)
    axis.set_ylabel(f"PSNR on {'luma' if channels == 'luma' else 'RGB'}, dB", color=SOFT, fontsize=FONT)
    axis.set_title(title, loc="left", fontsize=FONT + 1, color=INK).set_parse_math(False)
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", colors=SOFT, length=0, labelsize=SMALL_FONT)
    for side in axis.spines.values():
        side.set_visible(False)


def _plain_number(value: float, _position: int) -> str:
    return f"{value:g}"


def _explain(figure: Figure) -> None:
    """Add the legend below the panels."""
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=5, color=SOFT, markeredgewidth=0, label="measured here"),
        Line2D([], [], linestyle="", marker="o", markersize=6, color=SOFT, markerfacecolor="none", label="† published"),
    ]
    figure.legend(
        handles=handles,
        loc="lower left",
        ncols=2,
        frameon=False,
        labelcolor=SOFT,
        fontsize=SMALL_FONT,
        borderaxespad=0.1,
    )


def _label(axis: Axes, points: Sequence[Point]) -> None:
    """Write the name of every point, except published ones that coincide with their measured one."""
    measured = [point for point in points if not point.published]
    named = measured + [p for p in points if p.published and not any(_same_place(axis, p, m) for m in measured)]
    centers = axis.transData.transform([(point.x, point.psnr) for point in points])
    taken = [Bbox.from_bounds(x - MARKER, y - MARKER, 2 * MARKER, 2 * MARKER) for x, y in centers]
    for point in points:
        if point.spread:
            ends = axis.transData.transform([(x, point.psnr) for x in point.spread])
            taken.append(Bbox.from_extents(ends[0][0], ends[0][1] - 2, ends[1][0], ends[1][1] + 2))
    for point in named:
        x, y = map(float, axis.transData.transform((point.x, point.psnr)))
        label = axis.text(
            x,
            y,
            f"{point.name}†" if point.published else point.name,
            transform=None,  # points of the figure, until the place is found
            fontsize=FONT,
            color=OURS if point.highlighted else INK,
            fontweight="bold" if point.highlighted and not point.published else "normal",
        )
        label.set_parse_math(False)  # a name may contain dollar signs
        box = _place(label, axis, taken)
        taken.append(box)
        end = (min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1))  # the point of the label nearest to the marker
        to_axes = axis.transAxes.inverted()  # positions in the panel, which hold at every resolution
        across, up = map(float, to_axes.transform(label.get_position()))
        label.set_position((across, up))
        label.set_transform(axis.transAxes)
        if math.dist((x, y), end) > 2 * MARKER:
            (x0, y0), (x1, y1) = to_axes.transform([(x, y), end])
            line = Line2D([x0, x1], [y0, y1], transform=axis.transAxes, color=SOFT, linewidth=0.5, zorder=0)
            axis.add_artist(line)


def _place(label: Text, axis: Axes, taken: Sequence[Bbox]) -> Bbox:
    """Move a label from its point to the nearest position that covers nothing in `taken`; returns its box.

    The library adjustText, made for this, left labels on markers.
    """
    x, y = label.get_position()
    room = axis.get_window_extent()
    places = [(d, across, up) for d in range(MARKER + 1, FARTHEST, 3) for across, up in DIRECTIONS]
    covering: dict[tuple[int, float, float], float] = {}
    for place in places:
        box = _move(label, (x, y), *place)
        outside = box.width * box.height - _shared(box, room)
        covering[place] = outside + sum(_shared(box, other) for other in taken)
        if covering[place] <= 0:
            return box
    return _move(label, (x, y), *min(places, key=covering.__getitem__))


def _move(label: Text, point: tuple[float, float], distance: int, across: float, up: float) -> Bbox:
    """Move a label `distance` points away from its point; returns its box."""
    label.set_horizontalalignment("left" if across > 0 else "right" if across < 0 else "center")
    label.set_verticalalignment("center" if across else "bottom" if up > 0 else "top")
    label.set_position((point[0] + across * distance, point[1] + up * distance))
    return label.get_window_extent().padded(GAP)


def _shared(a: Bbox, b: Bbox) -> float:
    """The area of the intersection of two boxes."""
    both = Bbox.intersection(a, b)
    return both.width * both.height if both else 0.0


def _same_place(axis: Axes, a: Point, b: Point) -> bool:
    """Whether two points of one name coincide in the plot."""
    (x0, y0), (x1, y1) = axis.transData.transform([(a.x, a.psnr), (b.x, b.psnr)])
    return a.name == b.name and abs(x0 - x1) + abs(y0 - y1) < NEAR
