"""Tables of what `mafdn bench` measured, made from its JSON form; a stored measurement gives the same tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from mafdn.evaluation.tables import Table

Measured = Mapping[str, Any]
"""A `mafdn.bench.throughput.Throughput` as JSON."""
TOP_LAYERS = 12
"""Kinds of layers in a document, the slowest."""
CONDITIONS = (
    "Seconds are medians of {rounds} runs in turns, with the quartiles, each in a process of its own on {threads}, "
    "from an 8-bit picture in memory to its upscaled 8-bit result of 1280x720; memory is that of the whole process. "
    "Multiply-adds per second, ceilings and targets are computed from the fastest run, which other load disturbed "
    "least. On {cores} cores of {processor} ({features}), {system}; {versions}.{load}"
)


def rates(measured: Measured) -> list[Table]:
    """A table for each scale, with a row for each engine and precision."""
    columns = ["", "engine", "device", "precision", "seconds", "MP/s", "GMAC/s", "of ceiling", "peak MiB"]
    scales = dict.fromkeys(row["scale"] for row in measured["rows"])
    return [Table(f"x{s}", columns, [_cells(r) for r in measured["rows"] if r["scale"] == s]) for s in scales]


def ceilings(measured: Measured) -> Table:
    """The highest rates of 3x3 convolutions alone."""
    rows = [
        [
            f"{top['precision']}, {top['width']} channels",
            f"x{top['scale']}",
            f"{top['gmacs']:.1f}",
            "{}x{}".format(*top["size"]),
        ]
        for top in measured["ceilings"]
    ]
    return Table("3x3 convolutions alone, in OpenVINO", ["", "beside", "GMAC/s", "reached at"], rows)


def layers(measured: Measured, *, most: int | None = None) -> list[Table]:
    """Where the time of a run is spent: a table for each precision, with the `most` slowest kinds of layers."""
    columns = ["", "count", "ms", "share", "GMAC/s"]
    return [
        Table(
            f"{precision}, by kind of layer",
            columns,
            [
                [
                    layer["kind"],
                    str(layer["count"]),
                    f"{layer['milliseconds']:.1f}",
                    f"{100 * layer['share']:.1f} %",
                    _layer_rate(layer),
                ]
                for layer in mine[:most]
            ],
        )
        for precision, mine in measured["layers"].items()
    ]


def speed_tables(measured: Measured, *, first: Sequence[Table] = ()) -> str:
    """Conditions, then the tables `first`, the rates by scale and the ceilings, in Markdown."""
    tables = [*first, *rates(measured), ceilings(measured)]
    return "\n\n".join([_conditions(measured), *(table.markdown() for table in tables if table.rows)])


def layer_tables(measured: Measured) -> str:
    """The slowest kinds of layers in Markdown."""
    return "\n\n".join(table.markdown() for table in layers(measured, most=TOP_LAYERS))


def speed_report(measured: Measured, *, command: str) -> str:
    """A document with all tables, in Markdown."""
    parts = ["# Speed", "Written by this command, not by hand:", f"```sh\n{command}\n```", speed_tables(measured)]
    if measured["layers"]:
        parts += ["## Layers", layer_tables(measured)]
    return "\n\n".join(parts) + "\n"


def load_note(measured: Measured) -> str:
    """A warning if other load disturbed the measurement; empty otherwise."""
    load = measured["load"]
    busy = load is not None and load > measured["machine"]["cores"] / 2
    return f" Other work ran at the same time (load {load:.1f}): trust ratios, not seconds." if busy else ""


def _conditions(measured: Measured) -> str:
    machine = measured["machine"]
    return CONDITIONS.format(
        rounds=measured["rounds"],
        threads=f"{measured['threads']} thread(s)" if measured["threads"] else "all cores",
        cores=machine["cores"],
        processor=machine["processor"],
        features=", ".join(machine["features"]),
        system=machine["system"],
        versions=", ".join(f"{name} {version}" for name, version in measured["versions"].items()),
        load=load_note(measured),
    )


def _layer_rate(layer: Measured) -> str:
    """Billions of multiply-adds per second, where there are any."""
    macs, milliseconds = layer["macs"], layer["milliseconds"]
    return f"{macs / milliseconds / 1e6:.0f}" if macs and milliseconds else "-"


def _cells(row: Measured) -> list[str]:
    latency = row["latency"]
    return [
        row["name"],
        latency["engine"],
        row["device"],
        row["precision"],
        f"{latency['median']:.3f} ({latency['low']:.3f} to {latency['high']:.3f})",
        f"{row['megapixels']:.2f}",
        f"{row['gmacs']:.1f}" if row["gmacs"] else "-",
        f"{100 * row['share']:.0f} %" if row["share"] else "-",
        f"{latency['peak_mib']:,.0f}" if latency["peak_mib"] else "-",
    ]
