"""A comparison as a document with tables, plots and crops.

Everything is made from the JSON form of a `mafdn.compare.compare.Comparison`, so that a stored comparison gives the
same document again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mafdn.compare.plots import COSTS, Point, draw_costs
from mafdn.compare.tables import Json, bench_names, difference_table, measured_table, published_table

OPENING = """
Written by the command below, not by hand; the measurements are in [{folder}/compare.json]({folder}/compare.json).
**MAFDN is a reconstruction from its paper's abstract**: its parameters and Multi-Adds match the published figures; its
weights were trained here, on other data and for far fewer steps. Figures from papers are in separate tables, and hollow
in plots.
"""
METHOD = """
On {cores} cores of {processor} ({features}), {memory}{system}; {versions}. PSNR in dB and SSIM on BT.601 luma of 8-bit
results, without as many pixels of border as the scale. Weights files are measured in torch, ONNX files in the engine.
Multi-Adds are for a 1280x720 output. Intervals are from a bootstrap over pictures, and rough for small sets: Set5 has
five pictures.
"""
TIMING = """
Seconds are medians of {runs} runs in turns, with the quartiles, from an 8-bit picture in memory to its upscaled 8-bit
result, every network as ONNX in {engine} on {threads}; memory is that of the whole process: Python, engine, network and
picture.
{load}
"""


def render(comparison: Json, *, folder: str) -> str:
    """The document in Markdown.

    Args:
        comparison: The JSON form of a comparison, with the additional keys `command`, the command line that made it,
            and `crops`, captions by scale.
        folder: The folder of its pictures, relative to the document.
    """
    scales = sorted({row["scale"] for row in comparison["rows"]})
    machine = comparison["machine"]
    conditions = {
        "cores": machine["cores"],
        "processor": machine["processor"],
        "features": ", ".join(machine["features"]),
        "memory": f"{machine['memory_gib']} GiB, " if machine["memory_gib"] else "",
        "system": machine["system"],
        "versions": ", ".join(f"{name} {version}" for name, version in comparison["versions"].items()),
    }
    folder = quote(folder)
    lines = ["# Benchmarks", "", _paragraph(OPENING.format(folder=folder))]
    lines += ["", "```sh", comparison["command"], "```", "", _paragraph(METHOD.format(**conditions))]
    lines += ["", _paragraph(_timing(comparison))] if _timing(comparison) else []
    lines += [f"\nNote: {note}." for note in comparison["notes"]]
    for scale in scales:
        lines += _scale(comparison, scale, folder)
    return "\n".join([*lines, ""])


def draw_plots(comparison: Json, folder: Path) -> list[Path]:
    """Draw PSNR against every cost with a figure, a file for each scale; returns the files."""
    drawn: list[Path] = []
    for scale in sorted({row["scale"] for row in comparison["rows"]}):
        for cost in COSTS:
            panels = points(comparison, scale, cost)
            if panels:
                path = folder / _plot_name(cost, scale)
                draw_costs(panels, path, cost=cost, title=f"x{scale}: quality against {COSTS[cost].split(' for ')[0]}")
                drawn.append(path)
    return drawn


def points(comparison: Json, scale: int, cost: str) -> dict[str, list[Point]]:
    """The points of the plots against `cost`, by bench set; sets without a measured point are left out."""
    rows = [row for row in comparison["rows"] if row["scale"] == scale]
    panels: dict[str, list[Point]] = {}
    for bench in bench_names(rows):
        measured = [
            Point(
                name=row["name"],
                x=x,
                psnr=row["scores"][bench]["psnr"],
                ours=row["ours"],
                published=False,
                spread=(row["latency"]["low"], row["latency"]["high"]) if cost == "seconds" else None,
            )
            for row in rows
            if row["scores"].get(bench, {}).get("psnr") is not None and (x := _cost(row, cost)) is not None
        ]
        published = [
            Point(name=p["name"], x=x, psnr=p["scores"][bench][0], ours=p["like"] == "mafdn", published=True)
            for p in comparison["published"]
            if p["scale"] == scale and bench in p["scores"] and (x := _published_cost(p, cost)) is not None
        ]
        if measured:
            panels[bench] = measured + published
    return panels


def _timing(comparison: Json) -> str:
    """How time was measured; empty if it was not."""
    latencies = [row["latency"] for row in comparison["rows"] if row["latency"]]
    if not latencies:
        return ""
    load = comparison["load"]
    busy = load is not None and load > comparison["machine"]["cores"] / 2
    return TIMING.format(
        runs=latencies[0]["runs"],
        engine=" and ".join(dict.fromkeys(latency["engine"] for latency in latencies)),
        threads=f"{comparison['threads']} thread(s)" if comparison["threads"] else "all cores",
        load=f"Other work ran at the same time (load {load:.1f}): trust ratios, not seconds." if busy else "",
    )


def _plot_name(cost: str, scale: int) -> str:
    return f"{cost.replace('_', '-')}-x{scale}.png"


def _cost(row: Json, cost: str) -> float | None:
    """A measured cost in the unit of its axis."""
    if cost == "seconds":
        return row["latency"]["median"] if row["latency"] else None
    if not row["count"]:
        return None
    return row["count"]["parameters"] / 1e3 if cost == "parameters" else row["count"]["thop_macs"] / 1e9


def _published_cost(published: Json, cost: str) -> float | None:
    unit = {"parameters": 1e3, "multi_adds": 1e9}.get(cost)
    value = published.get(cost)
    return value / unit if unit and value else None


def _scale(comparison: Json, scale: int, folder: str) -> list[str]:
    """The section of one scale."""
    rows = [row for row in comparison["rows"] if row["scale"] == scale]
    published = [p for p in comparison["published"] if p["scale"] == scale]
    width, height = comparison["sizes"][str(scale)]
    heading = f"Measured here (counted and timed on {width}x{height}):"
    bold = [row | {"name": f"**{row['name']}**"} if row["ours"] else row for row in rows]
    lines = ["", f"## x{scale}", "", heading, "", measured_table(bold).markdown(titled=False), *_footnotes(rows)]
    if published:
        lines += ["", "Published, **not measured here**:", "", published_table(published).markdown(titled=False)]
    lines += ["", *_differences(comparison, scale), *_against_claim(rows, published, scale)]
    for cost in COSTS:
        if points(comparison, scale, cost):
            lines += ["", f"![x{scale}: PSNR against {COSTS[cost]}]({folder}/{_plot_name(cost, scale)})"]
    if comparison.get("crops", {}).get(str(scale)):
        caption = comparison["crops"][str(scale)]
        lines += ["", f"![x{scale}: {caption}]({folder}/crops-x{scale}.png)", "", f"*{caption}*"]
    return lines


def _footnotes(rows: Sequence[Json]) -> list[str]:
    """Full names, and costs of training forms."""
    lines = [f"{r['name']}: {r['title']}." for r in rows if r["title"] not in (r["name"], "IMDN")]
    for row in rows:
        count = row["count"]
        if count and count["training_conv_macs"] != count["conv_macs"]:
            lines.append(
                f"{row['name']} is counted and timed in its inference form. Its training form, which the published "
                f"counts fit, has {count['training_parameters']:,} parameters and "
                f"{count['training_conv_macs'] / 1e9:.2f}G conv MACs."
            )
    return ["", *lines] if lines else []


def _differences(comparison: Json, scale: int) -> list[str]:
    """Our network against each of the others, picture by picture."""
    found = comparison["differences"].get(str(scale), [])
    if not found:
        return []
    heading = f"{found[0]['network']} minus each other network, paired by picture:"
    return [heading, "", difference_table(found).markdown(titled=False)]


def _against_claim(rows: Sequence[Json], published: Sequence[Json], scale: int) -> list[str]:
    """Our network against the figures that its abstract implies."""
    ours: Any = next((row for row in rows if row["ours"] and row["scores"]), None)
    claim: Any = next((p for p in published if p["like"] == "mafdn"), None)
    if not ours or not claim:
        return []
    lines: list[str] = []
    for bench, (psnr, ssim) in claim["scores"].items():
        mine = ours["scores"].get(bench)
        if mine and mine["psnr"]:
            lines += [
                "",
                f"The abstract implies about {psnr:.2f} dB / {ssim:.4f} on {bench} at x{scale}. These weights reach "
                f"{mine['psnr']:.2f} dB / {mine['ssim']:.4f}, a gap of {mine['psnr'] - psnr:+.2f} dB / "
                f"{mine['ssim'] - ssim:+.4f}.",
            ]
    return lines


def _paragraph(text: str) -> str:
    return " ".join(text.split())
