"""The sections of README.md and docs that are filled from stored measurements.

`SECTIONS` maps the name in a document's markers to the function that makes the text between them from a project's root.
A function raises `FileNotFoundError` if its measurement is not stored.
"""

import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mafdn._support.machine import machine_text
from mafdn.bench.tables import layer_tables, speed_tables
from mafdn.compare.publish import DATA
from mafdn.compare.tables import measured_table
from mafdn.evaluation.tables import markdown_table
from mafdn.pictures.formats import FORMATS
from mafdn.weights.header import SCALES
from mafdn.weights.resolve import NAMES_OF_SCALES
from tools.degraded.tables import full_tables, preset_table, short_table
from tools.documents.choice import choice_text
from tools.documents.colors import color_table
from tools.documents.configuration import network_table, settings_tables
from tools.documents.ensemble import ensemble_table
from tools.documents.films import CHOICE, SPEED, choice_table, speed_table, time_text
from tools.documents.fleet import pair_text, rows_text
from tools.documents.goals import goal_table, withdrawn_note
from tools.documents.hosts import gates_tables
from tools.documents.other_scales import other_scales_table
from tools.documents.precision import precision_table
from tools.documents.verification import faithfulness_tables, recovered_table
from tools.documents.weights import RESULTS, benchmark_table, data_text, run_table, weights_table
from tools.executed_graph import operations_table
from tools.shipped.weights import earlier_note
from tools.sides import side_table
from tools.start import start_tables

BENCHMARKS = Path("docs", "benchmarks.md")
"""The comparison of networks, relative to the root; what it is made from is in the folder of the same name."""


def _scores(project: Path) -> str:
    """A row per scale and network, a column per benchmark dataset."""
    rows: list[list[str]] = []
    columns: list[str] = []
    for scale in SCALES:
        path = project / RESULTS / f"evaluate-x{scale}.json"
        if not path.is_file():
            continue
        results: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        columns = columns or list(dict.fromkeys(r["bench"] for r in results))
        for network, name in (("bicubic", "bicubic"), (f"mafdn-x{scale}", "MAFDN (reconstruction), shipped")):
            means = {r["bench"]: r["mean"] for r in results if r["network"] == network}
            cells = [f"{means[s]['psnr']:.2f} / {means[s]['ssim']:.4f}" if s in means else "-" for s in columns]
            rows.append([f"x{scale}, {name}", *cells])
    return markdown_table(["PSNR dB / SSIM on luma", *columns], rows) if rows else ""


def _peers(project: Path) -> str:
    """The networks at x4 side by side: costs, quality, time and memory in one measurement."""
    stored = (project / BENCHMARKS).with_suffix("") / DATA
    comparison = json.loads(stored.read_text("utf-8"))
    rows = [row for row in comparison["rows"] if row["scale"] == 4]
    titled = [row | {"name": row["title"], "title": ""} if row["file"] and not row["ours"] else row for row in rows]
    return (
        f"{measured_table(titled).markdown(titled=False)}\n\n"
        f"For a 1280x720 result, on {machine_text(comparison['machine'])} in fp32. "
        f"{earlier_note(project, rows)}".rstrip()
    )


def _photo(project: Path) -> str:
    """Time and memory of one large photograph."""
    report = json.loads((project / RESULTS / "upscale-6mp-x4.json").read_text("utf-8"))
    (width, height), (new_width, new_height) = report["size"], report["new_size"]
    return (
        f"A {width}x{height} camera JPEG to {new_width}x{new_height} took {report['seconds']:.0f} s "
        f"with {report['engine']}; memory peaked at {report['peak_mib']:,.0f} MiB "
        "([stored report](docs/results/upscale-6mp-x4.json) of `mafdn upscale PHOTO --json`)."
    )


def _comparison(project: Path, name: str) -> str:
    """The result of `mafdn ablate`: held-out PSNR, its range over seeds, and the difference per seed."""
    report = json.loads((project / RESULTS / f"{name}.json").read_text("utf-8"))
    rows: list[dict[str, Any]] = report["rows"]
    seeds = f"{len(report['seeds'])} seed" + ("s" if len(report["seeds"]) != 1 else "")
    mean, against = f"PSNR dB, mean of {seeds}", f"against {rows[0]['name']}, per seed"
    cells: list[list[str]] = []
    for row in rows:
        differences = ", ".join(f"{difference:+.3f}" for difference in row["differences"]) if row != rows[0] else "-"
        spread = f"{row['spread']:.3f}" if len(report["seeds"]) > 1 else "-"
        cells.append([row["name"], f"{row['steps']:,}", f"{row['psnr']:.3f}", spread, differences])
    titles = ["configuration", "steps", mean, f"range of {seeds}", against]
    if all("precision" in row for row in rows):
        titles.insert(1, "precision")
        for row, texts in zip(rows, cells, strict=True):
            texts.insert(1, row["precision"])
    return markdown_table(titles, cells)


def _from_scratch(project: Path) -> str:
    """Several networks trained from random weights for the same time, and their curves."""
    report = json.loads((project / RESULTS / "from-scratch.json").read_text("utf-8"))
    hours = ", ".join(f"{row['name']} {row['hours']:.2f} h" for row in report["rows"])
    return (
        f"Budget: {report['minutes']:.0f} minutes each on one thread, converted to steps by timing them in turns. The "
        f"runs then shared the machine with other work and took longer: {hours} on average. Held-out PSNR at x4:\n\n"
        f"{_comparison(project, 'from-scratch')}\n\n"
        "![Loss and held-out PSNR of all runs against steps and time](from-scratch.png)"
    )


def _speed(project: Path) -> str:
    """Time of a training step against that of the plain network, of the loop, and of the slowest operators."""
    report = json.loads((project / RESULTS / "profile.json").read_text("utf-8"))
    loop, steps = report["loop"], report["step"]
    batch = f"batch {loop['batch']} of {loop['patch']}x{loop['patch']}, {loop['precision']}"
    titles = [f"one thread, batch {steps[0]['batch']}", "plain, µs per LR pixel", "ours", "ratio, paired"]
    rows = [[s["precision"], f"{s['plain']:.1f}", f"{s['ours']:.1f}", f"{s['ratio']:.2f}"] for s in steps]
    parts = [
        markdown_table(titles, rows),
        f"The whole loop processed {loop['loop']:.1f} patches per second in {loop['processes']} processes ({batch}), "
        f"{100 * loop['share']:.0f} % of the {loop['bare']:.1f} of forward and backward passes alone in the same run. "
        "Time spent in the operators of a step, in milliseconds:",
    ]
    columns = [
        {o["name"]: o["milliseconds"] for o in s[which]} for s in steps for which in ("plain_operators", "operators")
    ]
    names = sorted({name for column in columns for name in column}, key=lambda n: -sum(c.get(n, 0) for c in columns))
    titles = ["operator", *(f"{s['precision']} {which}" for s in steps for which in ("plain", "ours"))]
    rows = [
        [f"`{name}`", *(f"{column[name]:.1f}" if name in column else "-" for column in columns)] for name in names[:8]
    ]
    return "\n\n".join([*parts, markdown_table(titles, rows)])


def _throughput(project: Path) -> str:
    """Throughput of a folder against that of the network alone."""
    report = json.loads((project / RESULTS / "throughput.json").read_text("utf-8"))
    (width, height), scale = report["size"], report["scale"]
    titles = ["files", "share of the network's throughput", "share by CPU time", "network waiting for encoder"]
    rows = [
        [kind, *(f"{100 * m[key]:.1f} %" for key in ("throughput", "processor_share")), f"{m['waited_seconds']:.2f} s"]
        for kind, m in report["medians"].items()
    ]
    return (
        f"{report['pictures']} pictures of {width}x{height} at x{scale}, from files to files of the same format, "
        f"compared with the network alone on the decoded pictures ({report['bare_seconds']:.1f} s with "
        f"{report['engine'][0]}) in the runs before and after it, on {machine_text(report['machine'])}; medians of "
        f"{len(report['rounds'])}:\n\n" + markdown_table(titles, rows)
    )


def _server(project: Path) -> str:
    """The server under load: a burst, its throughput against the command's, and memory."""
    report = json.loads((project / RESULTS / "server.json").read_text("utf-8"))
    burst, rates, memory = report["burst"], report["throughput"], report["memory"]
    statuses = ", ".join(f"{count} by status {status}" for status, count in burst["statuses"].items())
    return (
        f"{burst['requests']} requests of {burst['clients']} clients, pictures of {report['size']}x{report['size']}, "
        f"were answered: {statuses}, after {burst['median_seconds']:.1f} s in the median and "
        f"{burst['longest_seconds']:.1f} s at most. The server did {100 * rates['share']:.0f} % of the pictures per "
        f"second of `mafdn upscale` on the same folder (median of {len(rates['rates'])} runs in turns, same bytes). "
        f"Over {memory['pictures']:,} pictures, the memory of all its processes was {memory['first_mib']:.0f} MiB in "
        f"the first quarter and {memory['last_mib']:.0f} MiB in the last, {memory['peak_mib']:.0f} MiB at most. "
        f"Measured on {machine_text(report['machine'])}."
    )


def _small_pictures(project: Path) -> str:
    """Time of small pictures of many sizes against that of as many of one size."""
    report = json.loads((project / RESULTS / "small-pictures.json").read_text("utf-8"))
    many, one = (statistics.median(report["seconds"][kind]) for kind in ("many sizes", "one size"))
    return (
        f"A folder of {report['pictures']} JPEG files of about {report['side']}x{report['side']} pixels, with an empty "
        f"cache, took {many:.1f} s of processor time if they all differed in size, and {one:.1f} s if they did not "
        f"(ratio {report['ratio']:.2f}, median of {len(report['seconds']['one size'])} runs in turns), on "
        f"{machine_text(report['machine'])}."
    )


def _packages(project: Path) -> str:
    """The sizes of the wheel and the source distribution."""
    sizes: dict[str, int] = json.loads((project / RESULTS / "packages.json").read_text("utf-8"))
    return markdown_table(["package", "MB"], [[f"`{name}`", f"{size / 1e6:.1f}"] for name, size in sizes.items()])


def _gates(project: Path) -> str:
    """PSNR with gates from samples of a picture, and the difference from results with gates from the whole picture."""
    sets: list[dict[str, Any]] = json.loads((project / RESULTS / "gates.json").read_text("utf-8"))["sets"]
    names = list(dict.fromkeys(name for s in sets for name in s["samples"]))
    rows: list[list[str]] = []
    for name in names:
        cells: list[str] = []
        for s in sets:
            found, whole = s["samples"].get(name), s["samples"][names[0]]
            if not found or found is whole:
                cells.append(f"{whole['psnr']:.3f} dB" if found else "-")
            else:
                cells.append(f"{found['psnr'] - whole['psnr']:+.3f}, {found['levels']:.1f}")
        rows.append([name, *cells])
    return markdown_table(["gates from", *(f"{s['set']} x{s['scale']}" for s in sets)], rows)


def _halo(project: Path) -> str:
    """The largest and the mean difference at every halo, two columns for each scale."""
    halos: list[dict[str, Any]] = json.loads((project / RESULTS / "gates.json").read_text("utf-8"))["halos"]
    titles = [f"x{h['scale']} (halo {h['halo']}), {kind}" for h in halos for kind in ("largest", "mean")]
    rows = [
        [str(errors[0]["halo"]), *(f"{error[kind]:.1g}" for error in errors for kind in ("largest", "mean"))]
        for errors in zip(*(h["errors"] for h in halos), strict=True)
    ]
    return markdown_table(["pixels from the cut", *titles], rows)


def _int8(project: Path) -> str:
    """A row per network: the loss of int8 on every set, on average and at worst."""
    found = _int8_results(project)
    sets = list(dict.fromkeys(name for entry in found.values() for name in entry["loss"]["sets"]))
    rows: list[list[str]] = []
    for name, entry in found.items():
        means = {s["bench"]: s["mean"]["psnr"] for s in entry["scores"][1::2]}
        loss = entry["loss"]
        cells = [f"{means[bench]:.3f} ({-loss['sets'][bench]:+.3f})" for bench in sets]
        worst = f"{-loss['worst_loss']:+.3f} {loss['worst']}"
        rows.append([name, *cells, f"{-loss['mean']:+.3f}", worst, "yes" if entry["ships"] else "no"])
    columns = ["int8, PSNR dB (against fp32)", *sets, "mean", "worst picture", "ships"]
    return "\n\n".join(filter(None, [markdown_table(columns, rows), _withdrawn(found)]))


def _withdrawn(found: dict[str, dict[str, Any]]) -> str:
    """A sentence about networks without an int8 file because of a single picture; empty if there are none."""
    lost: dict[str, float] = {}
    for name, entry in found.items():
        loss, limits = entry["loss"], entry["limits"]
        if not entry["ships"] and loss["mean"] <= limits["mean"] and loss["worst_loss"] > limits["picture"]:
            lost[f"{name} ({loss['worst']})"] = limits["picture"]
    if not lost:
        return ""
    return (
        f"The files of {' and '.join(lost)} are withdrawn only because one picture loses more than the "
        f"{max(lost.values()):g} dB that any picture may lose; the mean is within its limit."
    )


def _int8_pictures(project: Path) -> str:
    """The pictures that lose most and the one that gains most, for every network."""
    rows: list[list[str]] = []
    for network, entry in _int8_results(project).items():
        changes: list[tuple[float, str]] = []
        for before, after in zip(entry["scores"][::2], entry["scores"][1::2], strict=True):
            for old, new in zip(before["pictures"], after["pictures"], strict=True):
                changes.append((new["psnr"] - old["psnr"], f"{before['bench']}/{old['name']}"))
        changes.sort()
        worse = sum(change < 0 for change, _ in changes)
        lowest = [f"{name} {change:+.3f}" for change, name in changes[:4]]
        rows.append([network, *lowest, f"{changes[-1][1]} {changes[-1][0]:+.3f}", f"{worse} of {len(changes)}"])
    columns = ["dB against fp32", "worst", "second", "third", "fourth", "best", "pictures that lose"]
    return markdown_table(columns, rows)


def _int8_results(project: Path) -> dict[str, dict[str, Any]]:
    """Measurements by network, such as `photo-x4`; raises `FileNotFoundError` if there are none."""
    paths = {name: project / RESULTS / f"int8-{name}.json" for name in NAMES_OF_SCALES}
    found = {name: json.loads(path.read_text("utf-8")) for name, path in paths.items() if path.is_file()}
    if not found:
        raise FileNotFoundError(project / RESULTS / "int8-*.json")
    return found


def _int8_layers(project: Path) -> str:
    """The effect of keeping parts in float: a row for each part added to or removed from those that stay in float."""
    report = json.loads((project / RESULTS / "int8-layers.json").read_text("utf-8"))
    sets = list(report["pictures"])
    rows = [
        [row["name"], *(["engines disagree"] * (len(sets) + 1))]
        if "refused" in row
        else [row["name"], *(f"{-row['sets'][name]:+.3f}" for name in sets), f"{-row['worst']:+.3f}"]
        for row in report["rows"]
    ]
    title = f"{report['network']}, dB against fp32"
    return markdown_table([title, *(f"{name}" for name in sets), "worst picture"], rows)


def _growth(project: Path) -> str:
    """Memory and time for every size of picture."""
    report = json.loads((project / RESULTS / "growth.json").read_text("utf-8"))
    times = [statistics.median(entry["seconds"]) / entry["megapixels"] for entry in report["sizes"]]
    middle = (min(times) + max(times)) / 2
    rows = [
        [
            f"{entry['megapixels']:g}",
            "x".join(map(str, entry["new_size"])),
            f"{max(entry['peak_mib']):,.0f}",
            f"{t:.3f}",
        ]
        for entry, t in zip(report["sizes"], times, strict=True)
    ]
    return (
        f"{markdown_table(['megapixels', 'size', 'peak memory, MiB', 'seconds per megapixel'], rows)}\n\n"
        f"All times are within {100 * (max(times) / middle - 1):.0f} % of {middle:.3f} s per megapixel. A process "
        f"that has loaded the network but no picture uses {report['network_alone_mib']:,.0f} MiB. Measured on "
        f"{machine_text(report['machine'])}."
    )


def _support(stored: dict[str, Any]) -> str:
    """Return the table: a row for each format, a column for each property."""
    rows: list[list[str]] = []
    for name, outcomes in stored["formats"].items():
        known = FORMATS[name]
        written = f"as {known.written_as}" if known.written_as else "yes"
        rows.append([name, written, *(outcomes.get(column, "") for column in stored["properties"])])
    return markdown_table(["format", "written", *stored["properties"]], rows)


def _stored(project: Path, name: str, make: Callable[[Any], str]) -> str:
    """The result of `make` for a stored report."""
    return make(json.loads((project / RESULTS / f"{name}.json").read_text("utf-8")))


def _bench(measured: dict[str, Any]) -> str:
    note = withdrawn_note(measured)
    return speed_tables(measured, first=[goal_table(measured)]) + (f"\n\n{note}" if note else "")


SECTIONS: dict[str, Callable[[Path], str]] = {
    "bench": partial(_stored, name="bench", make=_bench),
    "layers": partial(_stored, name="bench", make=layer_tables),
    "start": partial(_stored, name="start", make=start_tables),
    "scores": _scores,
    "precision": precision_table,
    "operations": partial(_stored, name="executed-graph", make=operations_table),
    "peers": _peers,
    "photo": _photo,
    "weights-choice": choice_text,
    "film-choice": partial(_stored, name=CHOICE, make=choice_table),
    "film-time": partial(_stored, name="bench", make=time_text),
    "film-speed": partial(_stored, name=SPEED, make=speed_table),
    "degraded": full_tables,
    "degraded-short": short_table,
    "presets": preset_table,
    "support": partial(_stored, name="support", make=_support),
    "runs": run_table,
    "weights": weights_table,
    "data": data_text,
    "benchmark-data": benchmark_table,
    "settings": lambda _: settings_tables(),
    "network-settings": lambda _: network_table(),
    "speed": _speed,
    "throughput": _throughput,
    "packages": _packages,
    "ensemble": partial(_stored, name="ensemble", make=ensemble_table),
    "other-scales": partial(_stored, name="other-scales", make=other_scales_table),
    "faithfulness": partial(_stored, name="faithfulness", make=faithfulness_tables),
    "colors": partial(_stored, name="colors", make=color_table),
    "sides": partial(_stored, name="sides", make=side_table),
    "recovered": partial(_stored, name="recovered", make=recovered_table),
    "server": _server,
    "small-pictures": _small_pictures,
    "fleet-pair": partial(_stored, name="fleet-pair", make=pair_text),
    "fleet-rows": partial(_stored, name="fleet-rows", make=rows_text),
    "gates": _gates,
    "plain-gates": partial(_stored, name="plain-gates", make=gates_tables),
    "halo": _halo,
    "growth": _growth,
    "int8": _int8,
    "int8-pictures": _int8_pictures,
    "int8-layers": _int8_layers,
    "choices": partial(_comparison, name="choices"),
    "photo-targets": partial(_comparison, name="photo-targets"),
    "ablations": partial(_comparison, name="ablations"),
    "from-scratch": _from_scratch,
}
