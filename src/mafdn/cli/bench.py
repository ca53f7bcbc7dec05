"""``mafdn bench``."""

import json
import shlex
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mafdn.cli.engine_options import Threads
from mafdn.cli.output import Json, show_json, show_table, stages
from mafdn.cli.training_extra import training_extra


def bench_command(
    network: Annotated[
        Path | None, typer.Option("--network", help="An ONNX file to time instead of the shipped weights.")
    ] = None,
    scale: Annotated[
        list[int] | None,
        typer.Option("--scale", "-s", min=2, max=4, help="2, 3 or 4; may be repeated; all by default."),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            "--peer",
            help="Another network, as 'mafdn compare --network' takes it: imdn, IMDN_x{scale}.pth; may be repeated.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Timed runs of each.")] = 9,
    threads: Threads = None,
    profile: Annotated[bool, typer.Option("--profile", help="Also tell the time of every kind of layer.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.md", help="Write a document, and its data as FILE.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how fast this machine upscales to 1280x720: engines and precisions, in turns.

    Beside every network stands the machine's own ceiling: the best rate of large 3x3 convolutions alone, as wide as the
    network, in OpenVINO. Lanczos and other networks (--peer) run beside it. Everything has a process of its own, so
    that its memory can be told.

    \b
    Examples:
      mafdn bench
      mafdn bench --scale 4 --peer IMDN_x4.pth --profile
      mafdn bench --threads 1 --rounds 15 --json
    """
    from mafdn._support.atomic import replacing
    from mafdn.bench.cases import export_peers
    from mafdn.bench.tables import aims, ceilings, layers, rates, speed_report
    from mafdn.bench.throughput import measure_throughput
    from mafdn.errors import MafdnError
    from mafdn.evaluation.outputs import check_target
    from mafdn.weights.shipped import shipped_scales

    if report:
        check_target(report, ".md")
    scales = sorted(set(scale or []))
    with tempfile.TemporaryDirectory(prefix="mafdn-bench-") as folder, stages(quiet=as_json) as tell:
        peers: dict[int, dict[str, Path]] = {}
        if peer:
            with training_extra("--peer"):
                peers = export_peers(peer, scales or shipped_scales(), Path(folder))
        measured = measure_throughput(
            network, scales=scales, peers=peers, rounds=rounds, threads=threads, profile=profile, on_progress=tell
        )
    table: dict[str, Any] = json.loads(json.dumps(asdict(measured), allow_nan=False))
    if report:
        words = ["mafdn", "bench", *(["--network", network.name] if network else [])]
        words += [word for s in scales for word in ("--scale", str(s))]
        words += [word for name in peer or [] for word in ("--peer", Path(name).name)]
        words += ["--rounds", str(rounds), *(["--threads", str(threads)] if threads else [])]
        words += [*(["--profile"] if profile else []), "--report", report.name]
        try:
            for path, text in (
                (report, speed_report(table, command=shlex.join(words))),
                (report.with_suffix(".json"), json.dumps(table, indent=1) + "\n"),
            ):
                with replacing(path) as temporary:
                    temporary.write_text(text, "utf-8")
        except OSError as error:
            raise MafdnError(f"cannot write {report}: {error.strerror or error}") from None
    if as_json:
        show_json(table)
        return
    for shown in (*rates(table), ceilings(table), aims(table), *layers(table)):
        if shown.rows:
            show_table(shown.title, shown.columns, shown.rows)
    if report:
        typer.echo(f"{report}, its data in {report.with_suffix('.json')}")
