"""What ``mafdn bench`` measured, as tables: made from its JSON form, so that a stored one gives the same again.

Public names: :class:`Shown`, :func:`rates`, :func:`ceilings`, :func:`aims`, :func:`layers`, :func:`speed_table`,
:func:`layer_table`, :func:`start_table`, :func:`speed_report`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mafdn.evaluation.markdown import table

Table = dict[str, Any]
TOP = 12
"""Kinds of layers that a document shows, the dearest."""
TIMED = (
    "Seconds are medians of {rounds} runs in turns, with the quartiles, each in a process of its own on {threads}, "
    "from an 8-bit picture in memory to its 8-bit 1280x720 upscaling; memory is the whole process's. Multiply-adds a "
    "second, ceilings and what is aimed at are by the fastest run of each, which other work disturbed the least. On "
    "{cores} cores of {processor} ({features}), {system}; {versions}.{load}"
)


@dataclass(frozen=True)
class Shown:
    """A table: what it is of, the names of its columns, and its rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """With the title over the first column."""
        return "\n".join(table([self.title, *self.columns[1:]], self.rows))


def rates(measured: Table) -> list[Shown]:
    """A table for each scale, a row for each way to its result."""
    columns = ["", "engine", "device", "precision", "seconds", "MP/s", "GMAC/s", "of ceiling", "peak MiB"]
    scales = dict.fromkeys(row["scale"] for row in measured["rows"])
    return [Shown(f"x{s}", columns, [_cells(r) for r in measured["rows"] if r["scale"] == s]) for s in scales]


def ceilings(measured: Table) -> Shown:
    """The best rates of 3x3 convolutions and nothing else."""
    rows = [
        [
            f"{top['precision']}, {top['width']} channels",
            f"x{top['scale']}",
            f"{top['gmacs']:.1f}",
            "{}x{}".format(*top["size"]),
        ]
        for top in measured["ceilings"]
    ]
    return Shown("3x3 convolutions alone, in OpenVINO", ["", "beside", "GMAC/s", "reached at"], rows)


def aims(measured: Table) -> Shown:
    """What is aimed at, and whether it was reached."""
    rows = [
        [
            f"x{goal['scale']}: {goal['what']}",
            f"{goal['target']:g}",
            f"{goal['measured']:.2f}",
            "reached" if goal["reached"] else "missed",
        ]
        for goal in measured["goals"]
    ]
    return Shown("aimed at", ["", "at least", "measured", ""], rows)


def layers(measured: Table, *, most: int | None = None) -> list[Shown]:
    """Where the time of one run goes, a table for each precision, the dearest kinds of layers first."""
    columns = ["", "count", "ms", "share", "GMAC/s"]
    return [
        Shown(
            f"{precision}, by kind of layer",
            columns,
            [
                [
                    layer["kind"],
                    str(layer["count"]),
                    f"{layer['milliseconds']:.1f}",
                    f"{100 * layer['share']:.1f} %",
                    f"{layer['macs'] / layer['milliseconds'] / 1e6:.0f}" if layer["macs"] else "-",
                ]
                for layer in mine[:most]
            ],
        )
        for precision, mine in measured["layers"].items()
    ]


def speed_table(measured: Table) -> str:
    """How it was measured, then what is aimed at, rates by scale, and ceilings."""
    shown = [aims(measured), *rates(measured), ceilings(measured)]
    return "\n\n".join([_how(measured), *(part.markdown() for part in shown if part.rows)])


def layer_table(measured: Table) -> str:
    return "\n\n".join(part.markdown() for part in layers(measured, most=TOP))


def start_table(measured: Table) -> str:
    """Wall seconds of whole processes, by what was kept from before, and where the time of the last goes."""
    starts = [
        [row["what"], f"{row['median']:.2f} ({row['low']:.2f} to {row['high']:.2f})", f"{row['cpu']:.2f}"]
        for row in measured["starts"]
    ]
    steps = [[step["what"], f"{step['milliseconds']:.0f}"] for step in measured["steps"]]
    imports = [[f"`{part['module']}`", f"{part['milliseconds']:.0f}"] for part in measured["imports"]]
    shown = [
        Shown("a process from start to end", ["", "seconds, with quartiles", "CPU seconds"], starts),
        Shown("steps of every later start", ["", "ms"], steps),
        Shown("imports, with all they need", ["", "ms"], imports),
    ]
    about = f"Medians of {measured['starts'][0]['runs']} starts of each in turns.{_load(measured)}"
    return "\n\n".join([about, *(part.markdown() for part in shown)])


def speed_report(measured: Table, *, command: str) -> str:
    """A document of its own."""
    parts = ["# Speed", "Written by this command, not by hand:", f"```sh\n{command}\n```", speed_table(measured)]
    if measured["layers"]:
        parts += ["## Layers", layer_table(measured)]
    return "\n\n".join(parts) + "\n"


def _how(measured: Table) -> str:
    machine = measured["machine"]
    return TIMED.format(
        rounds=measured["rounds"],
        threads=f"{measured['threads']} thread(s)" if measured["threads"] else "all cores",
        cores=machine["cores"],
        processor=machine["processor"],
        features=", ".join(machine["features"]),
        system=machine["system"],
        versions=", ".join(f"{name} {version}" for name, version in measured["versions"].items()),
        load=_load(measured),
    )


def _load(measured: Table) -> str:
    load = measured["load"]
    busy = load is not None and load > measured["machine"]["cores"] / 2
    return f" Other work ran beside it (load {load:.1f}): trust ratios, not seconds." if busy else ""


def _cells(row: Table) -> list[str]:
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
