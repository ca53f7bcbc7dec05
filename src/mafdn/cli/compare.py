"""`mafdn compare`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.engine import DeviceName, EngineName, Threads
from mafdn.cli.options.network import (
    Baseline,
    Degrade,
    LrFolder,
    MarkdownReport,
    NetworkNames,
    OptionalBenches,
    Overwrite,
    Scales,
    TableFile,
    lr_choice,
    with_baseline,
)
from mafdn.cli.output import Json, show_json, show_table, stages


def compare_command(
    bench: OptionalBenches = None,
    network: NetworkNames = None,
    scale: Scales = None,
    baseline: Baseline = None,
    highlight: Annotated[
        list[str] | None,
        typer.Option("--highlight", metavar="NAME", help="Network to emphasize in tables and plots; repeatable."),
    ] = None,
    lr: LrFolder = None,
    degrade: Degrade = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=0, help="Number of timed runs per network; 0 for no timing.")
    ] = 9,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    published: Annotated[
        Path | None,
        typer.Option("--published", metavar="TOML", help="Published figures, instead of the built-in table."),
    ] = None,
    no_published: Annotated[bool, typer.Option("--no-published", help="Leave out published figures.")] = False,
    output: TableFile = None,
    report: MarkdownReport = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compare the size, quality, time and memory of networks.

    Size is parameters and Multi-Adds, quality is PSNR and SSIM (--degrade as for evaluate). By default, all known
    networks are compared at x4. A file name may contain {scale}. Networks are compared picture by picture with the
    baseline, by default the first network; differences are network - baseline: positive is better. Time and memory are
    measured on this machine for a 1280x720 output: every network runs as ONNX in the same engine and in its own
    process, and the runs of all networks are interleaved. There is no self-ensemble, whose time and Multi-Adds are
    eightfold; mafdn evaluate --ensemble 8 has its scores. Published figures are shown in separate tables, or in rows
    marked with a dagger. A report has tables, paired differences, crops and three plots per scale (SVG and PDF); its
    plots, crops and data are in a folder of the same name.

    \b
    Examples:
      mafdn compare --bench Set5 --bench Set14
      mafdn compare --bench Set5 --network IMDN_x4.pth --network mine.onnx --baseline IMDN_x4.pth -o table.tex
      mafdn compare --bench Set5 -s 2 -s 4 --network IMDN_x{scale}.pth --network mafdn --report benchmarks.md
    """
    with needs_extra("comparing", extra="train"):
        from mafdn.compare.compare import as_json as comparison_as_json
        from mafdn.compare.compare import compare, summary_of
        from mafdn.compare.publish import write_report
        from mafdn.evaluation.candidates import find_candidates
        from mafdn.networks import ARCHITECTURES
    from mafdn.degradation.chain import parse_degradations
    from mafdn.errors import UsageError
    from mafdn.evaluation.outputs import check_folder, check_target
    from mafdn.evaluation.summary.formats import FORMATS, write_summary
    from mafdn.inference import EngineOptions

    if output:
        check_target(output, *FORMATS, overwrite=overwrite)
    if report:
        check_target(report, ".md", overwrite=overwrite)
        if report.with_suffix("").exists() and not report.with_suffix("").is_dir():
            raise UsageError(f"{report.with_suffix('')} must be the report's folder, but is a file; use another name")
        check_folder(report.with_suffix(""), overwrite=overwrite)
    if published and no_published:
        raise UsageError("--published and --no-published exclude each other")
    networks = network or ["bicubic", *(name for name in ARCHITECTURES if name != "mafdn"), "mafdn"]
    networks = with_baseline(networks, baseline)
    benches, scales = bench or [], sorted(set(scale or [4]))
    options = EngineOptions(engine=engine, device=device, threads=threads, precision="fp32")
    if options.engine == "torch":
        raise UsageError("networks are compared as ONNX files; use --engine openvino or onnxruntime")
    steps = parse_degradations(degrade or [])
    candidates = find_candidates(networks, scales)
    with stages(quiet=as_json) as tick:
        comparison = compare(
            candidates,
            benches,
            baseline=baseline,
            highlight=highlight or [],
            lr=lr_choice(lr),
            degrade=steps,
            rounds=rounds,
            options=options,
            published=published,
            with_published=not no_published,
            on_progress=tick,
        )
    table = comparison_as_json(comparison)
    if output:
        write_summary(output, summary_of(comparison))
    if report:
        names = [("baseline", baseline), *(("highlight", name) for name in highlight or []), ("lr", lr)]
        others: list[tuple[str, object]] = [
            *(("degrade", text) for text in degrade or []),
            *((option, Path(name).name) for option, name in names if name),
            ("rounds", rounds),
            ("engine", engine),
            ("device", None if device == "auto" else device),
            ("threads", threads),
            ("published", published and published.name),
        ]
        flags = ["--no-published"] if no_published else []
        command = _command(networks, benches, scales, others, flags, report)
        with stages(quiet=as_json) as tick:
            write_report(
                report,
                comparison,
                candidates,
                benches,
                command=command,
                lr=lr_choice(lr),
                degrade=steps,
                on_progress=tick,
            )
    if as_json:
        show_json(table)
        return
    for at in scales:
        _show(table, at)
    for note in comparison.notes:
        typer.echo(f"note: {note}", err=True)
    if output:
        typer.echo(str(output))
    if report:
        typer.echo(f"{report}, with its plots and data in {report.with_suffix('')}")


def _command(
    networks: Sequence[str],
    benches: Sequence[Path],
    scales: Sequence[int],
    others: Sequence[tuple[str, object]],
    flags: Sequence[str],
    report: Path,
) -> str:
    """Return the command line to show in the report; files are named without their folders."""
    from mafdn.evaluation.layouts import bench_name

    words = [word for name in networks for word in ("--network", Path(name).name)]
    words += [word for folder in benches for word in ("--bench", bench_name(folder))]
    words += [word for scale in scales for word in ("--scale", str(scale))]
    words += [word for option, value in others if value is not None for word in (f"--{option}", str(value))]
    return shlex.join(["mafdn", "compare", *words, *flags, "--report", report.name])


def _show(comparison: dict[str, Any], scale: int) -> None:
    """Print the measured and the published figures of one scale in separate tables."""
    from mafdn.compare.tables import bench_names, difference_table, measured_table, published_table

    rows = [row for row in comparison["rows"] if row["scale"] == scale]
    published = [figure for figure in comparison["published"] if figure["scale"] == scale]
    title = f"x{scale}, measured here (Multi-Adds and seconds for 1280x720)"
    tables = [
        measured_table(rows, title=title),
        published_table(published, benches=bench_names(rows), sources=False, title=f"x{scale}, published"),
    ]
    for table in tables:
        if rows and table.rows:
            show_table(table.title, table.columns, table.rows)
    for bench, lr in comparison["lr"].get(str(scale), {}).items():
        where = f"own ({lr['folder']})" if lr["source"] == "own" else "made by bicubic reduction"
        where += f", degraded by {lr['degrade']}" if lr["degrade"] else ""
        typer.echo(f"{bench} x{scale}: LR {where}, SHA-256 {lr['sha256'][:12]}")
    compared = difference_table(comparison["differences"].get(str(scale), []))
    if compared.rows:
        title = f"x{scale}, differences paired by picture: network - baseline, positive is better"
        show_table(title, compared.columns, compared.rows)
