"""The figures that README and docs quote, written from what was measured and stored.

Public names: :func:`store_scores`, :func:`store_loss`, :func:`refresh`, :func:`renewed`, :func:`filled`.

A document holds pairs of marks, ``<!-- scores: mafdn release -->`` and ``<!-- /scores -->``; what stands between
them is replaced. Stored measurements lie in ``docs/results`` (its README says how each was obtained).
"""

import json
import re
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mafdn._support.atomic import replacing, sha256
from mafdn.bench.tables import layer_table, speed_table, start_table
from mafdn.compare.publish import DATA
from mafdn.compare.report import render
from mafdn.evaluation.benchset import SetScore
from mafdn.evaluation.markdown import table
from mafdn.evaluation.methods import engine_label
from mafdn.evaluation.outputs import score_entry
from mafdn.release.int8_gate import MEAN_LIMIT, PICTURE_LIMIT, judge
from mafdn.release.quantize import read_onnx_header
from mafdn.weights.header import SCALES
from tools.configuration import network_table, settings_tables
from tools.weights_tables import data_text, run_table, weights_table

PROJECT = Path(__file__).parents[1]
RESULTS = Path("docs", "results")
BENCHMARKS = Path("docs", "benchmarks.md")
SCRATCH = """
## Trained from scratch for the same time

The nearest honest test of the abstract's claim that fits here: networks from random weights, trained on the same
patches in the same order by the same optimizer and schedule, each for as many steps as it does in the same time on one
thread. The rates were chosen on MAFDN; the AFAN-style reconstruction (not the published network) diverged at them,
three times from its last checkpoint, and has 0.4 of them. It is far from a full training: it says who learns faster,
not who ends higher.

<!-- from-scratch: python -m tools.figures -->
<!-- /from-scratch -->
"""
"""What follows ``mafdn compare``'s report in docs/benchmarks.md; the table is filled in."""


def store_scores(project: Path, scores: Sequence[SetScore], *, scale: int) -> None:
    """Write ``docs/results/evaluate-x{scale}.json``: every picture's scores by bicubic and by what ships."""
    with replacing(project / RESULTS / f"evaluate-x{scale}.json") as temporary:
        temporary.write_text(json.dumps([score_entry(score) for score in scores], indent=2) + "\n", "utf-8")


def store_loss(project: Path, int8: Path, scores: Sequence[SetScore]) -> None:
    """Write ``docs/results/int8-x{scale}.json``: what was measured, of which file, and by which limits."""
    loss = judge(scores)
    header = read_onnx_header(int8)
    entry: dict[str, Any] = {
        "file": int8.name,
        "sha256": sha256(int8),
        "source_sha256": header["source_sha256"],
        "quantized": header["quantized"],
        "engine": engine_label(int8),
        "ships": not loss.reason,
        "limits": {"mean": MEAN_LIMIT, "picture": PICTURE_LIMIT},
        "loss": {"sets": loss.sets, "mean": loss.mean, "worst": loss.worst, "worst_loss": loss.worst_loss},
        "scores": [score_entry(score) for score in scores],
    }
    with replacing(project / RESULTS / f"int8-x{scores[0].scale}.json") as temporary:
        temporary.write_text(json.dumps(entry, indent=2) + "\n", "utf-8")


def refresh(project: Path) -> list[Path]:
    """Bring the figures of README.md and of every file in docs up to date; returns what changed."""
    changed: list[Path] = []
    for path in (project / "README.md", *sorted((project / "docs").glob("*.md"))):
        new = renewed(path, project)
        if new != path.read_text("utf-8"):
            with replacing(path) as temporary:
                temporary.write_text(new, "utf-8")
            changed.append(path)
    return changed


def renewed(path: Path, project: Path) -> str:
    """The text of a document of ``project`` as it should be."""
    return filled(_rendered(project) if path == project / BENCHMARKS else path.read_text("utf-8"), project)


def _rendered(project: Path) -> str:
    """docs/benchmarks.md from the stored comparison; its sections are not filled in yet."""
    folder = (project / BENCHMARKS).with_suffix("")
    return render(json.loads((folder / DATA).read_text("utf-8")), folder=folder.name) + SCRATCH


def filled(text: str, project: Path) -> str:
    """``text`` with what stands between each pair of marks replaced by what was measured, if it was."""
    for name, make in SECTIONS.items():
        pattern = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if pattern.search(text):
            try:
                body = make(project)
            except FileNotFoundError:
                continue  # not measured yet: what stands there stays
            text = pattern.sub(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)
    return text


def _scores(project: Path) -> str:
    """A row per scale and network, a column per bench set."""
    rows: list[list[str]] = []
    columns: list[str] = []
    for scale in SCALES:
        path = project / RESULTS / f"evaluate-x{scale}.json"
        if not path.is_file():
            continue
        results: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        columns = columns or list(dict.fromkeys(r["bench"] for r in results))
        for network, name in (("bicubic", "bicubic"), (f"mafdn-x{scale}", "MAFDN (reconstruction), what ships")):
            means = {r["bench"]: r["mean"] for r in results if r["network"] == network}
            cells = [f"{means[s]['psnr']:.2f} / {means[s]['ssim']:.4f}" if s in means else "-" for s in columns]
            rows.append([f"x{scale}, {name}", *cells])
    return "\n".join(table(["PSNR dB / SSIM on luma", *columns], rows)) if rows else ""


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
    """What ``mafdn ablate`` found: held-out PSNR, its spread over seeds, and the difference per seed."""
    report = json.loads((project / RESULTS / f"{name}.json").read_text("utf-8"))
    rows: list[dict[str, Any]] = report["rows"]
    mean, against = f"PSNR dB, mean of {len(report['seeds'])} seeds", f"against {rows[0]['name']}, per seed"
    cells: list[list[str]] = []
    for row in rows:
        differences = ", ".join(f"{difference:+.3f}" for difference in row["differences"]) if row != rows[0] else "-"
        cells.append([row["name"], f"{row['steps']:,}", f"{row['psnr']:.3f}", f"{row['spread']:.3f}", differences])
    return "\n".join(table(["configuration", "steps", mean, "spread", against], cells))


def _from_scratch(project: Path) -> str:
    """Several networks from random weights at one time, and their curves."""
    report = json.loads((project / RESULTS / "from-scratch.json").read_text("utf-8"))
    hours = ", ".join(f"{row['name']} {row['hours']:.2f} h" for row in report["rows"])
    return (
        f"Budget: {report['minutes']:.0f} minutes each on one thread, turned into steps by a measurement in turns. The "
        f"runs then shared the machine with other work and took longer: {hours} on average. PSNR on held-out pictures, "
        f"at x4:\n\n{_comparison(project, 'from-scratch')}\n\n"
        "![Loss and held-out PSNR of all runs against steps and hours](from-scratch.png)"
    )


def _speed(project: Path) -> str:
    """A step's time against the plain network's, the loop's share, and the dearest operators before and after."""
    report = json.loads((project / RESULTS / "profile.json").read_text("utf-8"))
    loop, steps = report["loop"], report["step"]
    batch = f"batch {loop['batch']} of {loop['patch']}x{loop['patch']}, {loop['precision']}"
    titles = [f"one thread, batch {steps[0]['batch']}", "plain, µs per LR pixel", "ours", "ratio, paired"]
    rows = [[s["precision"], f"{s['plain']:.1f}", f"{s['ours']:.1f}", f"{s['ratio']:.2f}"] for s in steps]
    lines = [
        *table(titles, rows),
        "",
        f"The whole loop made {loop['loop']:.1f} patches a second in {loop['processes']} processes ({batch}), "
        f"{100 * loop['share']:.0f} % of the {loop['bare']:.1f} of forward and backward alone in the same run. Where "
        "the time of a step goes, in milliseconds:",
        "",
    ]
    columns = [
        {o["name"]: o["milliseconds"] for o in s[which]} for s in steps for which in ("plain_operators", "operators")
    ]
    names = sorted({name for column in columns for name in column}, key=lambda n: -sum(c.get(n, 0) for c in columns))
    titles = ["operator", *(f"{s['precision']} {which}" for s in steps for which in ("plain", "ours"))]
    rows = [
        [f"`{name}`", *(f"{column[name]:.1f}" if name in column else "-" for column in columns)] for name in names[:8]
    ]
    return "\n".join([*lines, *table(titles, rows)])


def _throughput(project: Path) -> str:
    """A folder's pace against that of the bare network."""
    report = json.loads((project / RESULTS / "throughput.json").read_text("utf-8"))
    (width, height), scale = report["size"], report["scale"]
    titles = ["files", "of the bare network's throughput", "of its work per processor second", "network waited"]
    rows = [
        [kind, *(f"{100 * m[key]:.1f} %" for key in ("throughput", "processor_share")), f"{m['waited_seconds']:.2f} s"]
        for kind, m in report["medians"].items()
    ]
    return (
        f"{report['pictures']} pictures of {width}x{height} at x{scale}, files to files in the same format, against "
        f"the network alone on the decoded pictures ({report['bare_seconds']:.1f} s with {report['engine'][0]} on "
        f"{report['machine']['cores']} cores); each against the bare runs before and after it, medians of "
        f"{len(report['rounds'])}:\n\n" + "\n".join(table(titles, rows))
    )


def _gates(project: Path) -> str:
    """What every sample of a picture reaches with the gates found from it, and how far results are from the whole's."""
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
    return "\n".join(table(["gates from", *(f"{s['set']} x{s['scale']}" for s in sets)], rows))


def _halo(project: Path) -> str:
    """The largest and the mean difference at every halo, a pair of columns for each scale."""
    halos: list[dict[str, Any]] = json.loads((project / RESULTS / "gates.json").read_text("utf-8"))["halos"]
    titles = [f"x{h['scale']} (halo {h['halo']}), {kind}" for h in halos for kind in ("largest", "mean")]
    rows = [
        [str(errors[0]["halo"]), *(f"{error[kind]:.1g}" for error in errors for kind in ("largest", "mean"))]
        for errors in zip(*(h["errors"] for h in halos), strict=True)
    ]
    return "\n".join(table(["pixels from a cut", *titles], rows))


def _int8(project: Path) -> str:
    """A row per scale: what int8 loses on every set, in the mean, and at worst."""
    found = _int8_results(project)
    sets = list(dict.fromkeys(name for entry in found.values() for name in entry["loss"]["sets"]))
    rows: list[list[str]] = []
    for scale, entry in found.items():
        means = {s["bench"]: s["mean"]["psnr"] for s in entry["scores"][1::2]}
        loss = entry["loss"]
        cells = [f"{means[name]:.3f} ({-loss['sets'][name]:+.3f})" for name in sets]
        worst = f"{-loss['worst_loss']:+.3f} {loss['worst']}"
        rows.append([f"x{scale}", *cells, f"{-loss['mean']:+.3f}", worst, "yes" if entry["ships"] else "no"])
    columns = ["int8, PSNR dB (against fp32)", *sets, "mean", "worst picture", "ships"]
    return "\n".join(table(columns, rows))


def _int8_pictures(project: Path) -> str:
    """For every scale the pictures that lose most and the one that gains most."""
    rows: list[list[str]] = []
    for scale, entry in _int8_results(project).items():
        changes: list[tuple[float, str]] = []
        for before, after in zip(entry["scores"][::2], entry["scores"][1::2], strict=True):
            for old, new in zip(before["pictures"], after["pictures"], strict=True):
                changes.append((new["psnr"] - old["psnr"], f"{before['bench']}/{old['name']}"))
        changes.sort()
        worse = sum(change < 0 for change, _ in changes)
        shown = [f"{name} {change:+.3f}" for change, name in changes[:4]]
        rows.append([f"x{scale}", *shown, f"{changes[-1][1]} {changes[-1][0]:+.3f}", f"{worse} of {len(changes)}"])
    columns = ["dB against fp32", "worst", "second", "third", "fourth", "best", "pictures that lose"]
    return "\n".join(table(columns, rows))


def _int8_results(project: Path) -> dict[int, dict[str, Any]]:
    """What was measured, by scale; raises ``FileNotFoundError`` when nothing was."""
    paths = {scale: project / RESULTS / f"int8-x{scale}.json" for scale in SCALES}
    found = {scale: json.loads(path.read_text("utf-8")) for scale, path in paths.items() if path.is_file()}
    if not found:
        raise FileNotFoundError(paths[SCALES[0]])
    return found


def _int8_layers(project: Path) -> str:
    """What keeping a part in float is worth, a row for each part added to or taken from those that are kept."""
    report = json.loads((project / RESULTS / "int8-layers.json").read_text("utf-8"))
    sets = list(report["rows"][0]["sets"])
    rows = [
        [row["name"], *(f"{-row['sets'][name]:+.3f}" for name in sets), f"{-row['worst']:+.3f}"]
        for row in report["rows"]
    ]
    title = f"x{report['scale']}, dB against fp32"
    return "\n".join(table([title, *(f"{name}" for name in sets), "worst picture"], rows))


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
    return "\n".join(
        [
            *table(["megapixels", "size", "peak memory, MiB", "seconds per megapixel"], rows),
            "",
            f"All are within {100 * (max(times) / middle - 1):.0f} % of {middle:.3f} s. With the network open, before "
            f"any picture, a process has {report['network_alone_mib']:,.0f} MiB.",
        ]
    )


def _stored(project: Path, name: str, make: Callable[[dict[str, Any]], str]) -> str:
    """What ``make`` makes of a stored report."""
    return make(json.loads((project / RESULTS / f"{name}.json").read_text("utf-8")))


SECTIONS: dict[str, Callable[[Path], str]] = {
    "bench": partial(_stored, name="bench", make=speed_table),
    "layers": partial(_stored, name="bench", make=layer_table),
    "start": partial(_stored, name="start", make=start_table),
    "scores": _scores,
    "photo": _photo,
    "runs": run_table,
    "weights": weights_table,
    "data": data_text,
    "settings": lambda _: settings_tables(),
    "network-settings": lambda _: network_table(),
    "speed": _speed,
    "throughput": _throughput,
    "gates": _gates,
    "halo": _halo,
    "growth": _growth,
    "int8": _int8,
    "int8-pictures": _int8_pictures,
    "int8-layers": _int8_layers,
    "choices": partial(_comparison, name="choices"),
    "ablations": partial(_comparison, name="ablations"),
    "from-scratch": _from_scratch,
}
