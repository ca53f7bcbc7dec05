"""Tables of a comparison, made from its JSON form, so that a stored comparison gives the same tables again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mafdn.evaluation.paired import LEAST
from mafdn.evaluation.tables import Table, interval_text

Json = Mapping[str, Any]
FEW_RUNS = 4
"""With fewer runs no quartiles are printed."""


def measured_table(rows: Sequence[Json], *, title: str = "") -> Table:
    """Costs, scores, time and memory of the networks of one scale.

    Args:
        rows: The `rows` of the JSON form of `mafdn.compare.compare.Comparison`.
        title: The title.
    """
    columns: dict[str, Callable[[Json], str]] = {
        "network": lambda r: r["name"] if r["trained"] else f"{r['name']}, random weights",
        "parameters": lambda r: f"{r['count']['parameters']:,}" if r["count"] else "-",
        "conv MACs": lambda r: f"{r['count']['conv_macs'] / 1e9:.3f}G" if r["count"] else "-",
        "thop-style": lambda r: f"{r['count']['thop_macs'] / 1e9:.3f}G" if r["count"] else "-",
        **{bench: lambda r, b=bench: _scores(r["scores"].get(b)) for bench in bench_names(rows)},
        "seconds": lambda r: _seconds(r["latency"]),
        "peak MiB": lambda r: f"{r['latency']['peak_mib']:,.0f}" if r["latency"] and r["latency"]["peak_mib"] else "-",
    }
    return Table(title, list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def published_table(
    published: Sequence[Json], *, benches: Sequence[str] | None = None, sources: bool = True, title: str = ""
) -> Table:
    """Figures from papers, at one scale.

    Args:
        published: From `published` of the JSON form of `mafdn.compare.compare.Comparison`.
        benches: Benchmark datasets to show as columns; default all with a figure.
        sources: Whether to add a column for the sources.
        title: The title.
    """
    if benches is None:
        benches = list(dict.fromkeys(bench for p in published for bench in p["scores"]))
    rows = [
        [
            p["name"],
            f"{p['parameters'] / 1e3:.0f}K" if p["parameters"] else "-",
            f"{p['multi_adds'] / 1e9:.2f}G" if p["multi_adds"] else "-",
            *(f"{p['scores'][b][0]:.2f} / {p['scores'][b][1]:.4f}" if b in p["scores"] else "-" for b in benches),
            *([p["source"] + (f". Inferred: {p['inferred']}" if p["inferred"] else "")] if sources else []),
        ]
        for p in published
    ]
    return Table(title, ["network", "parameters", "Multi-Adds", *benches, *(["source"] if sources else [])], rows)


def difference_table(differences: Sequence[Json]) -> Table:
    """Paired differences, network - baseline."""
    rows = [
        [
            d["network"],
            d["reference"],
            d["bench"] or f"all datasets {d.get('degrade', '')}".rstrip(),
            *(_interval(d[key], form, d["pictures"]) for key, form in (("psnr", ".3f"), ("ssim", ".4f"))),
            f"{d['improved']} of {d['pictures']}",
        ]
        for d in differences
    ]
    columns = [
        "network",
        "baseline",
        "dataset",
        "PSNR, dB [95 % interval]",
        "SSIM [95 % interval]",
        "pictures improved",
    ]
    return Table("", columns, rows)


def is_highlighted(row: Json) -> bool:
    """Whether a row is emphasized; in comparisons of earlier versions, the shipped network."""
    return bool(row.get("highlighted", row["ours"]))


def bench_names(rows: Iterable[Json]) -> list[str]:
    """The benchmark datasets on which any of `rows` was measured, in order."""
    return list(dict.fromkeys(bench for row in rows for bench in row["scores"]))


def _scores(score: Json | None) -> str:
    if not score:
        return "-"
    return f"{'inf' if score['psnr'] is None else format(score['psnr'], '.2f')} / {score['ssim']:.4f}"


def _seconds(latency: Json | None) -> str:
    if not latency:
        return "-"
    quartiles = f" ({latency['low']:.3f} to {latency['high']:.3f})" if latency["runs"] >= FEW_RUNS else ""
    return f"{latency['median']:.3f}{quartiles}"


def _interval(interval: Json | None, form: str, pictures: int) -> str:
    if not interval:
        return "-"
    few = pictures < LEAST  # earlier versions stored an interval even then
    return interval_text(interval["mean"], *((None, None) if few else (interval["low"], interval["high"])), form)
