"""``mafdn compare``."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.engine_options import DeviceName, EngineName, Threads
from mafdn.cli.output import Json, show_json, show_table, stages
from mafdn.cli.training_extra import training_extra

if TYPE_CHECKING:
    from mafdn.compare.compare import Comparison, Row


def compare_command(
    bench: Annotated[
        list[Path] | None, typer.Option("--bench", help="A bench set, as of 'mafdn evaluate'; may be repeated.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            help="mafdn (what ships), bicubic, lanczos, a weights file, a pattern such as IMDN_x{scale}.pth, or imdn, "
            "ddistill, afan, smfanet (random weights: costs alone); may be repeated.",
        ),
    ] = None,
    scale: Annotated[
        list[int] | None, typer.Option("--scale", "-s", min=2, max=4, help="2, 3 or 4; may be repeated.")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=0, help="Timed runs of each network; 0 times nothing.")] = 9,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    published: Annotated[
        Path | None, typer.Option("--published", metavar="TOML", help="Published figures instead of those that ship.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.md", help="Write a document, its plots and data in FILE/ beside it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare networks: parameters, Multi-Adds, PSNR and SSIM, time and memory on this machine.

    Time is measured in turns for a 1280x720 output, every network as ONNX in the same engine and in a process of its
    own. Published figures are shown apart from what is measured. A report has tables, paired differences, three plots
    per scale and crops.

    \b
    Examples:
      mafdn compare --bench Set5 --bench Set14
      mafdn compare --bench Set5 --network bicubic --network IMDN_x4.pth --network afan --network mafdn
      mafdn compare --bench Set5 -s 2 -s 4 --network IMDN_x{scale}.pth --network mafdn --report benchmarks.md
    """
    with training_extra("comparing"):
        from mafdn.compare.compare import as_table, compare
        from mafdn.compare.publish import write_report
        from mafdn.evaluation.resolve import find_candidates
        from mafdn.networks import ARCHITECTURES
    from mafdn.errors import UsageError
    from mafdn.evaluation.outputs import check_target
    from mafdn.inference import require_engine

    if report:
        check_target(report, ".md")
        if report.with_suffix("").exists() and not report.with_suffix("").is_dir():
            raise UsageError(f"{report.with_suffix('')} is in the place of the report's folder; give another name")
    networks = network or ["bicubic", *(name for name in ARCHITECTURES if name != "mafdn"), "mafdn"]
    benches, scales = bench or [], sorted(set(scale or [4]))
    require_engine(engine)
    if engine == "torch":
        raise UsageError("networks are compared as ONNX files; give --engine openvino or onnxruntime")
    candidates = find_candidates(networks, scales)
    with stages(quiet=as_json) as tell:
        comparison = compare(
            candidates,
            benches,
            rounds=rounds,
            engine=engine,
            device=device,
            threads=threads,
            published=published,
            on_progress=tell,
        )
    if report:
        others = {
            "rounds": rounds,
            "engine": engine,
            "device": None if device == "auto" else device,
            "threads": threads,
            "published": published and published.name,
        }
        command = _command(networks, benches, scales, others, report)
        with stages(quiet=as_json) as tell:
            write_report(report, comparison, candidates, benches, command=command, on_progress=tell)
    if as_json:
        show_json(as_table(comparison))
        return
    for at in scales:
        _show(comparison, at)
    for note in comparison.notes:
        typer.echo(f"note: {note}", err=True)
    if report:
        typer.echo(f"{report}, with its plots and data in {report.with_suffix('')}")


def _command(
    networks: Sequence[str], benches: Sequence[Path], scales: Sequence[int], others: Mapping[str, object], report: Path
) -> str:
    """The command line with files by their names alone: where they lie is everybody's own affair."""
    from mafdn.evaluation.benchset import bench_name

    words = [word for name in networks for word in ("--network", Path(name).name)]
    words += [word for folder in benches for word in ("--bench", bench_name(folder))]
    words += [word for scale in scales for word in ("--scale", str(scale))]
    words += [word for option, value in others.items() if value is not None for word in (f"--{option}", str(value))]
    return shlex.join(["mafdn", "compare", *words, "--report", report.name])


def _show(comparison: "Comparison", scale: int) -> None:
    """What was measured at one scale, and apart from it what is published."""
    rows = [row for row in comparison.rows if row.scale == scale]
    if not rows:
        return
    benches = list(dict.fromkeys(bench for row in rows for bench in row.scores))
    columns = ["network", "parameters", "conv MACs", "thop-style", *benches, "seconds", "quartiles", "peak MiB"]
    show_table(
        f"x{scale}, measured here (Multi-Adds and seconds for 1280x720)", columns, [_cells(r, benches) for r in rows]
    )
    printed = [
        [
            figure.name,
            f"{figure.parameters / 1e3:.0f}K" if figure.parameters else "-",
            f"{figure.multi_adds / 1e9:.2f}G" if figure.multi_adds else "-",
            *("{:.2f} / {:.4f}".format(*figure.scores[b]) if b in figure.scores else "-" for b in benches),
        ]
        for figure in comparison.published
        if figure.scale == scale
    ]
    if printed:
        show_table(f"x{scale}, published", ["network", "parameters", "Multi-Adds", *benches], printed)


def _cells(row: "Row", benches: Sequence[str]) -> list[str]:
    count, latency = row.count, row.latency
    scores = [row.scores.get(bench) for bench in benches]
    return [
        row.name + ("" if row.trained else ", random weights"),
        f"{count.parameters:,}" if count else "-",
        f"{count.conv_macs / 1e9:.3f}G" if count else "-",
        f"{count.thop_macs / 1e9:.3f}G" if count else "-",
        *(f"{_decibels(score.psnr)} / {score.ssim:.4f}" if score else "-" for score in scores),
        f"{latency.median:.3f}" if latency else "-",
        f"{latency.low:.3f} to {latency.high:.3f}" if latency else "-",
        f"{latency.peak_mib:,.0f}" if latency and latency.peak_mib else "-",
    ]


def _decibels(psnr: float | None) -> str:
    return "inf" if psnr is None else f"{psnr:.2f}"
