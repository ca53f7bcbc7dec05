"""A comparison as a document: tables, plots and crops, written and never typed.

Public names: :func:`render`, :func:`draw_plots`, :func:`points`.

Everything is made from the JSON form of a :class:`mafdn.compare.compare.Comparison`, so that a stored one gives
the same document again.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mafdn.compare.plots import COSTS, Point, draw_costs
from mafdn.evaluation.markdown import table

Table = dict[str, Any]
OPENING = """
Written by the command below, not by hand; what it measured is in [{folder}/compare.json]({folder}/compare.json).
**MAFDN is a reconstruction from its paper's abstract**: its parameters and Multi-Adds match the published figures, its
weights were trained here, on other data and for far fewer steps. What papers print stands in tables of its own and is
hollow in plots.
"""
METHOD = """
On {cores} cores of {processor} ({features}), {memory}{system}; {versions}. PSNR in dB and SSIM on BT.601 luma of 8-bit
results, without as many pixels of border as the scale: weights files are measured in torch, ONNX files in the engine.
Multi-Adds are for a 1280x720 output. Intervals are the bootstrap's over pictures, and rough where there are few: Set5
has five.
"""
TIMING = """
Seconds are medians of {runs} runs in turns, with the quartiles, from an 8-bit picture in memory to its 8-bit upscaling,
every network as ONNX in {engine} on {threads}; memory is the whole process's: Python, engine, network and picture.
{load}
"""
FEW_RUNS, FEW_PICTURES = 4, 3
"""Fewer runs have no quartiles worth printing, fewer pictures no interval."""


def render(comparison: Table, *, folder: str) -> str:
    """The document in Markdown; its pictures are in ``folder``, as seen from it.

    ``comparison`` has besides a comparison's own fields ``command``, the one that made it.
    """
    scales = sorted({row["scale"] for row in comparison["rows"]})
    machine = comparison["machine"]
    about = {
        "cores": machine["cores"],
        "processor": machine["processor"],
        "features": ", ".join(machine["features"]),
        "memory": f"{machine['memory_gib']} GiB, " if machine["memory_gib"] else "",
        "system": machine["system"],
        "versions": ", ".join(f"{name} {version}" for name, version in comparison["versions"].items()),
    }
    folder = quote(folder)
    lines = ["# Benchmarks", "", _paragraph(OPENING.format(folder=folder))]
    lines += ["", "```sh", comparison["command"], "```", "", _paragraph(METHOD.format(**about))]
    lines += ["", _paragraph(_timing(comparison))] if _timing(comparison) else []
    lines += [f"\nNote: {note}." for note in comparison["notes"]]
    for scale in scales:
        lines += _scale(comparison, scale, folder)
    return "\n".join([*lines, ""])


def _timing(comparison: Table) -> str:
    """How time was measured; empty when it was not."""
    latencies = [row["latency"] for row in comparison["rows"] if row["latency"]]
    if not latencies:
        return ""
    load = comparison["load"]
    busy = load is not None and load > comparison["machine"]["cores"] / 2
    return TIMING.format(
        runs=latencies[0]["runs"],
        engine=" and ".join(dict.fromkeys(latency["engine"] for latency in latencies)),
        threads=f"{comparison['threads']} thread(s)" if comparison["threads"] else "all cores",
        load=f"Other work ran beside it (load {load:.1f}): trust ratios, not seconds." if busy else "",
    )


def draw_plots(comparison: Table, folder: Path) -> list[Path]:
    """Draw PSNR against every cost that was counted or measured, a file for each scale; returns the files."""
    drawn: list[Path] = []
    for scale in sorted({row["scale"] for row in comparison["rows"]}):
        for cost in COSTS:
            panels = points(comparison, scale, cost)
            if panels:
                path = folder / _plot_name(cost, scale)
                draw_costs(panels, path, cost=cost, title=f"x{scale}: quality against {COSTS[cost].split(' for ')[0]}")
                drawn.append(path)
    return drawn


def points(comparison: Table, scale: int, cost: str) -> dict[str, list[Point]]:
    """What is drawn against ``cost``, by bench set; sets without a measured point are left out."""
    rows = [row for row in comparison["rows"] if row["scale"] == scale]
    panels: dict[str, list[Point]] = {}
    for bench in _benches(rows):
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
        printed = [
            Point(name=p["name"], x=x, psnr=p["scores"][bench][0], ours=p["like"] == "mafdn", published=True)
            for p in comparison["published"]
            if p["scale"] == scale and bench in p["scores"] and (x := _published_cost(p, cost)) is not None
        ]
        if measured:
            panels[bench] = measured + printed
    return panels


def _plot_name(cost: str, scale: int) -> str:
    return f"{cost.replace('_', '-')}-x{scale}.png"


def _cost(row: Table, cost: str) -> float | None:
    """A measured row's cost in the unit of its axis."""
    if cost == "seconds":
        return row["latency"]["median"] if row["latency"] else None
    if not row["count"]:
        return None
    return row["count"]["parameters"] / 1e3 if cost == "parameters" else row["count"]["thop_macs"] / 1e9


def _published_cost(published: Table, cost: str) -> float | None:
    unit = {"parameters": 1e3, "multi_adds": 1e9}.get(cost)
    value = published.get(cost)
    return value / unit if unit and value else None


def _benches(rows: Iterable[Table]) -> list[str]:
    return list(dict.fromkeys(bench for row in rows for bench in row["scores"]))


def _scale(comparison: Table, scale: int, folder: str) -> list[str]:
    """The chapter of one scale."""
    rows = [row for row in comparison["rows"] if row["scale"] == scale]
    published = [p for p in comparison["published"] if p["scale"] == scale]
    benches = _benches(rows)
    width, height = comparison["sizes"][str(scale)]
    measured = f"Measured here (counted and timed on {width}x{height}):"
    lines = ["", f"## x{scale}", "", measured, "", *_measured(rows, benches), *_footnotes(rows)]
    if published:
        lines += ["", "Published, **not measured here**:", "", *_published(published)]
    lines += ["", *_standing(comparison, scale, rows, published)]
    for cost in COSTS:
        if points(comparison, scale, cost):
            lines += ["", f"![x{scale}: PSNR against {COSTS[cost]}]({folder}/{_plot_name(cost, scale)})"]
    if comparison.get("crops", {}).get(str(scale)):
        about = comparison["crops"][str(scale)]
        lines += ["", f"![x{scale}: {about}]({folder}/crops-x{scale}.png)", "", f"*{about}*"]
    return lines


def _measured(rows: Sequence[Table], benches: Sequence[str]) -> list[str]:
    def scores(row: Table, bench: str) -> str:
        score = row["scores"].get(bench)
        if not score:
            return "-"
        return f"{'inf' if score['psnr'] is None else format(score['psnr'], '.2f')} / {score['ssim']:.4f}"

    columns: dict[str, Callable[[Table], str]] = {
        "network": lambda r: f"**{r['name']}**" if r["ours"] else r["name"],
        "parameters": lambda r: f"{r['count']['parameters']:,}" if r["count"] else "-",
        "conv MACs": lambda r: f"{r['count']['conv_macs'] / 1e9:.3f}G" if r["count"] else "-",
        "thop-style": lambda r: f"{r['count']['thop_macs'] / 1e9:.3f}G" if r["count"] else "-",
        **{bench: lambda r, b=bench: scores(r, b) for bench in benches},
        "seconds": lambda r: _seconds(r["latency"]),
        "peak MiB": lambda r: f"{r['latency']['peak_mib']:,.0f}" if r["latency"] and r["latency"]["peak_mib"] else "-",
    }
    return table(list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def _seconds(latency: Table | None) -> str:
    if not latency:
        return "-"
    quartiles = f" ({latency['low']:.3f} to {latency['high']:.3f})" if latency["runs"] >= FEW_RUNS else ""
    return f"{latency['median']:.3f}{quartiles}"


def _footnotes(rows: Sequence[Table]) -> list[str]:
    """What the names in the table do not say."""
    lines = [f"{r['name']}: {r['title']}." for r in rows if r["title"] not in (r["name"], "IMDN")]
    for row in rows:
        count = row["count"]
        if count and count["training_conv_macs"] != count["conv_macs"]:
            lines.append(
                f"{row['name']} is counted and timed in its inference form; in its training form, which its published "
                f"counts fit, it has {count['training_parameters']:,} parameters and "
                f"{count['training_conv_macs'] / 1e9:.2f}G conv MACs."
            )
        if not row["trained"]:
            lines.append(f"{row['name']} has random weights here: a cost, and no quality.")
    return ["", *lines] if lines else []


def _published(published: Sequence[Table]) -> list[str]:
    benches = list(dict.fromkeys(bench for p in published for bench in p["scores"]))
    rows = [
        [
            p["name"],
            f"{p['parameters'] / 1e3:.0f}K" if p["parameters"] else "-",
            f"{p['multi_adds'] / 1e9:.2f}G" if p["multi_adds"] else "-",
            *(f"{p['scores'][b][0]:.2f} / {p['scores'][b][1]:.4f}" if b in p["scores"] else "-" for b in benches),
            p["source"] + (f". Inferred: {p['inferred']}" if p["inferred"] else ""),
        ]
        for p in published
    ]
    return table(["network", "parameters", "Multi-Adds", *benches, "source"], rows)


def _standing(comparison: Table, scale: int, rows: Sequence[Table], published: Sequence[Table]) -> list[str]:
    """Our network against each other one, picture by picture, and against the figure that its abstract implies."""
    found = comparison["differences"].get(str(scale), [])
    lines: list[str] = []
    if found:
        cells = [
            [
                d["reference"],
                d["bench"] or "all sets",
                *(_interval(d[key], form, d["pictures"]) for key, form in (("psnr", ".2f"), ("ssim", ".4f"))),
                f"{d['improved']} of {d['pictures']}",
            ]
            for d in found
        ]
        columns = ["against", "set", "PSNR, dB (95 % interval)", "SSIM (95 % interval)", "pictures improved"]
        lines += [f"{found[0]['network']} less each other network, paired by picture:", "", *table(columns, cells)]
    ours = next((row for row in rows if row["ours"] and row["scores"]), None)
    claim = next((p for p in published if p["like"] == "mafdn"), None)
    for bench in [b for b in claim["scores"] if ours["scores"].get(b, {}).get("psnr")] if ours and claim else []:
        assert ours is not None
        assert claim is not None
        psnr, ssim = claim["scores"][bench]
        mine = ours["scores"][bench]
        lines += [
            "",
            f"The abstract implies about {psnr:.2f} dB / {ssim:.4f} on {bench} at x{scale}. These weights measure "
            f"{mine['psnr']:.2f} dB / {mine['ssim']:.4f}: a gap of {mine['psnr'] - psnr:+.2f} dB / "
            f"{mine['ssim'] - ssim:+.4f}.",
        ]
    return lines


def _interval(interval: Table | None, form: str, pictures: int) -> str:
    if not interval:
        return "-"
    if pictures < FEW_PICTURES:
        return f"{interval['mean']:+{form}}"
    return f"{interval['mean']:+{form}} ({interval['low']:+{form}} to {interval['high']:+{form}})"


def _paragraph(text: str) -> str:
    return " ".join(text.split())
