"""`mafdn bench`."""

import json
import shlex
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.engine import Threads
from mafdn.cli.options.network import MarkdownReport, NetworkName, Overwrite, Scales
from mafdn.cli.output import Json, show_json, show_table, stages


def bench_command(
    network: NetworkName = "auto",
    scale: Scales = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            "--peer", metavar="NAME", help="Another network to time, with a name as for --network; repeatable."
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Number of timed runs per network, engine and precision.")
    ] = 9,
    threads: Threads = None,
    profile: Annotated[bool, typer.Option("--profile", help="Also measure the time per layer type.")] = False,
    report: MarkdownReport = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Measure how fast this machine upscales to 1280x720.

    By default, the shipped networks are timed at all scales. The runs of all engines and precisions are interleaved.
    Every network is compared with the ceiling of the machine: the highest throughput of large 3x3 convolutions of the
    same width in OpenVINO. Lanczos and other networks (--peer) are timed too. Each case runs in its own process, so
    that its memory can be measured separately.

    \b
    Examples:
      mafdn bench
      mafdn bench --scale 4 --peer IMDN_x4.pth --profile
      mafdn bench --threads 1 --rounds 15 --json
    """
    from mafdn._support.atomic import replacing
    from mafdn.bench import throughput
    from mafdn.bench.cases import export_networks, find_networks, network_name
    from mafdn.bench.tables import ceilings, layers, rates, speed_report
    from mafdn.errors import MafdnError
    from mafdn.evaluation.outputs import check_target

    if report:
        check_target(report, ".md", overwrite=overwrite)
        check_target(report.with_suffix(".json"), ".json", overwrite=overwrite)
    scales = sorted(set(scale or []))
    with tempfile.TemporaryDirectory(prefix="mafdn-bench-") as folder, stages(quiet=as_json) as tick:
        with needs_extra("--peer" if peer else "--network", extra="train"):
            networks = find_networks(network, scales, Path(folder))
            peers = export_networks(peer or [], list(networks), Path(folder))
        measured = throughput.measure_throughput(
            networks,
            names={at: network_name(network, at) for at in networks},
            peers=peers,
            rounds=rounds,
            threads=threads,
            profile=profile,
            on_progress=tick,
        )
    table: dict[str, Any] = json.loads(json.dumps(asdict(measured), allow_nan=False))
    if report:
        words = ["mafdn", "bench", *(["--network", Path(network).name] if network != "auto" else [])]
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
            raise MafdnError.from_os_error(f"cannot write {report}", error) from None
    if as_json:
        show_json(table)
        return
    for shown in (*rates(table), ceilings(table), *layers(table)):
        if shown.rows:
            show_table(shown.title, shown.columns, shown.rows)
    if report:
        typer.echo(f"{report}, with its data in {report.with_suffix('.json')}")
