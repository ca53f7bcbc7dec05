"""What docs/fleet.md says of the measurements by `tools.fleet`."""

from itertools import pairwise
from typing import Any

from mafdn._support.machine import machine_text
from mafdn.evaluation.tables import markdown_table


def pair_text(stored: dict[str, Any]) -> str:
    """Throughput of `mafdn fleet` on one machine, relative to `mafdn upscale`."""
    same = "all" if stored["equal"] == stored["pictures"] else f"{stored['equal']:,}"
    without = stored.get("throughput_without_start")
    steady = "" if without is None else f", {100 * without:.0f} % without that"
    return (
        f"{stored['pictures']:,} pictures of {stored['megapixels']:.3f} megapixels at x{stored['scale']:g}, on "
        f"{machine_text(stored['machine'])}: {same} results are those of `mafdn upscale`, byte for byte. "
        f"The throughput was {100 * stored['throughput_of_fleet']:.0f} % of its own with the start of Ray and the "
        f"workers{steady}."
    )


def rows_text(stored: dict[str, Any]) -> str:
    """Time and memory of the driver in a run over many rows, and those of a second run."""
    points = stored["points"]
    rows = [
        [
            f"{point['rows']:,}",
            f"{point['seconds']:,.0f}",
            f"{_milliseconds(before, point, 'seconds'):.2f}",
            f"{_milliseconds(before, point, 'driver_cpu_seconds'):.2f}",
            f"{point['driver_mib']:,.0f}",
        ]
        for before, point in pairwise(points)
    ]
    columns = ["rows", "seconds", "ms per row since the line before", "of it the driver's CPU", "MiB of the driver"]
    text = (
        f"{stored['rows']:,} rows, planned {stored['window']:,} at a time, on {machine_text(stored['machine'])}; "
        f"{stored['what']}:"
    )
    first, last = points[1], points[-1]
    growth = 2**20 * (last["driver_mib"] - first["driver_mib"]) / (last["rows"] - first["rows"])
    again = (
        f"The memory of the driver was at most {stored['peak_mib']:,.0f} MiB; it grew by {growth:.0f} bytes per row "
        f"after the first {first['rows']:,}. A second run, which found all results and made none, took "
        f"{stored['seconds_of_a_second_run_that_keeps_all']:,.0f} s."
    )
    return "\n\n".join([text, markdown_table(columns, rows), again])


def _milliseconds(before: dict[str, float], after: dict[str, float], key: str) -> float:
    return 1000 * (after[key] - before[key]) / (after["rows"] - before["rows"])
