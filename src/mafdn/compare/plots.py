"""Scatter plots of quality against cost, as in the papers of the field."""

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

from mafdn._support.atomic import replacing
from mafdn.errors import MafdnError

COSTS = {
    "parameters": "parameters, thousands",
    "multi_adds": "Multi-Adds for a 1280x720 output, billions",
    "seconds": "seconds for a 1280x720 output on this machine",
}
"""Costs, and their labels on the x-axis."""
INK, SOFT, GRID = "#1d1d1f", "#6e6e73", "#e3e3e6"
OURS, OTHERS = "#d7263d", "#3a6ea5"
NEAR, MARKER, FARTHEST = 8, 12, 160
"""Lengths in pixels of the plot: the distance below which two points coincide, half the side of a marker, and the
largest distance between a label and its point."""
DIRECTIONS = ((1, 0), (1, 0.7), (1, -0.7), (0, 1), (0, -1), (-1, 0), (-1, 0.7), (-1, -0.7))
"""Directions from a point to its label (right, up), in the order in which they are tried."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One network in one panel; `x` is its cost, `spread` the quartiles of a measured time."""

    name: str
    x: float
    psnr: float
    ours: bool
    published: bool
    spread: tuple[float, float] | None = None


def draw_costs(panels: Mapping[str, Sequence[Point]], output: Path, *, cost: str, title: str) -> None:
    """Draw PSNR against a cost as PNG, with a panel for each benchmark dataset.

    Measured points are filled and published ones hollow; our own network is a star. The x-axis is logarithmic. Labels
    do not overlap.

    Args:
        panels: Points by benchmark dataset.
        output: The file, which is replaced.
        cost: A key of `COSTS`.
        title: The title above all panels.

    Raises:
        MafdnError: `output` cannot be written.
    """
    figure = Figure(figsize=(5.6 * len(panels), 4.6), dpi=110)
    figure.suptitle(title, x=0.012, ha="left", color=INK, fontsize=12, fontweight="bold")
    axes: list[Axes] = figure.subplots(1, len(panels), squeeze=False)[0].tolist()
    for axis, (bench, points) in zip(axes, panels.items(), strict=True):
        _prepare(axis, points, cost=cost, bench=bench)
    _explain(figure, [point for points in panels.values() for point in points])
    figure.tight_layout(rect=(0, 0.05, 1, 1))  # before the labels, whose positions depend on it
    for axis, points in zip(axes, panels.values(), strict=True):
        _label(axis, points)
    try:
        with replacing(output) as temporary:
            figure.savefig(temporary, format="png")
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write {output}", error) from None


def _prepare(axis: Axes, points: Sequence[Point], *, cost: str, bench: str) -> None:
    """Draw the points, and set up axes and ticks."""
    for point in points:
        color, marker, size = (OURS, "*", 190) if point.ours else (OTHERS, "o", 50)
        if point.published:  # larger, to show as a ring around a measured point
            axis.scatter([point.x], [point.psnr], s=1.7 * size, marker=marker, facecolors="none", edgecolors=color)
        else:
            axis.scatter([point.x], [point.psnr], s=size, marker=marker, color=color)
        if point.spread:
            axis.plot(point.spread, [point.psnr] * 2, color=color, linewidth=1.2, alpha=0.6, zorder=0)
    axis.set_xscale("log")
    axis.margins(x=0.22, y=0.22)
    xs = [point.x for point in points]
    if max(xs) < 1.3 * min(xs):  # widen the axis so that it has more than one tick
        axis.set_xlim(min(xs) / 1.3, max(xs) * 1.3)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)))
    axis.xaxis.set_major_formatter(FuncFormatter(_plain_number))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(COSTS[cost], color=SOFT)
    axis.set_ylabel("PSNR on luma, dB", color=SOFT)
    axis.set_title(bench, loc="left", fontsize=10.5, color=INK)
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(colors=SOFT, length=0)
    for side in axis.spines.values():
        side.set_visible(False)


def _plain_number(value: float, _position: int) -> str:
    return f"{value:g}"


def _explain(figure: Figure, points: Sequence[Point]) -> None:
    """Add the legend below the panels."""
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=7, color=SOFT, label="measured here"),
        Line2D([], [], linestyle="", marker="o", markersize=9, color=SOFT, markerfacecolor="none", label="published"),
    ]
    shown = handles if any(point.published for point in points) else handles[:1]
    figure.legend(handles=shown, loc="lower left", ncols=2, frameon=False, labelcolor=SOFT, fontsize=9)


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
            f"{point.name}, published" if point.published else point.name,
            transform=None,  # pixels of the plot
            fontsize=8.5,
            color=OURS if point.ours else INK,
            fontweight="bold" if point.ours and not point.published else "normal",
        )
        box = _place(label, axis, taken)
        taken.append(box)
        end = (min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1))  # the point of the label nearest to the marker
        if math.dist((x, y), end) > 2 * MARKER:
            line = Line2D([x, end[0]], [y, end[1]], transform=None, color=SOFT, linewidth=0.7, zorder=0)
            axis.add_artist(line)


def _place(label: Text, axis: Axes, taken: Sequence[Bbox]) -> Bbox:
    """Move a label from its point to the nearest position that covers nothing in `taken`; returns its box.

    The library adjustText, made for this, left labels on markers.
    """
    x, y = label.get_position()
    room = axis.get_window_extent()
    places = [(d, across, up) for d in range(MARKER + 2, FARTHEST, 5) for across, up in DIRECTIONS]
    covering: dict[tuple[int, float, float], float] = {}
    for place in places:
        box = _move(label, (x, y), *place)
        outside = box.width * box.height - _shared(box, room)
        covering[place] = outside + sum(_shared(box, other) for other in taken)
        if covering[place] <= 0:
            return box
    return _move(label, (x, y), *min(places, key=covering.__getitem__))


def _move(label: Text, point: tuple[float, float], distance: int, across: float, up: float) -> Bbox:
    """Move a label `distance` pixels away from its point; returns its box."""
    label.set_horizontalalignment("left" if across > 0 else "right" if across < 0 else "center")
    label.set_verticalalignment("center" if across else "bottom" if up > 0 else "top")
    label.set_position((point[0] + across * distance, point[1] + up * distance))
    return label.get_window_extent()


def _shared(a: Bbox, b: Bbox) -> float:
    """The area of the intersection of two boxes."""
    both = Bbox.intersection(a, b)
    return both.width * both.height if both else 0.0


def _same_place(axis: Axes, a: Point, b: Point) -> bool:
    """Whether two points of one name coincide in the plot."""
    (x0, y0), (x1, y1) = axis.transData.transform([(a.x, a.psnr), (b.x, b.psnr)])
    return a.name == b.name and abs(x0 - x1) + abs(y0 - y1) < NEAR
