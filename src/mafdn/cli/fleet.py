"""`mafdn fleet` and `mafdn fleet merge`."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn._support.atomic import printable
from mafdn.cli.extras import needs_extra
from mafdn.cli.help import GroupedCommand, RunByDefault
from mafdn.cli.options.batch import ShardOf
from mafdn.cli.options.engine import DeviceName, EngineName, Ensemble, Exact, NetworkFile, Precision, Strength, Tile
from mafdn.cli.options.file import (
    FILES,
    FormatName,
    KeepPrintSize,
    Lossless,
    NamePattern,
    Overwrite,
    Quality,
    Redo,
    StripMetadata,
)
from mafdn.cli.options.frame import Frame
from mafdn.cli.options.limit import DEFAULT, SERVER_SECONDS, MaxFileMb, MaxPixels, ServerMaxSeconds
from mafdn.cli.options.size import Factor, Fit, Height, Longest, Megapixels, Width, requested_size
from mafdn.cli.output import Json, Quiet, check_stop, duration, progress_bar, show_json, show_table
from mafdn.errors import MafdnError

if TYPE_CHECKING:
    from mafdn.fleet.options import FleetReport
    from mafdn.fleet.run import FleetProgress

FLEET = "Fleet"
"""Group of options on the help page."""
FAILURES_LISTED = 30
"""Maximum number of failures to print; the table of results lists all."""

Retry = Annotated[
    bool, typer.Option("--retry", help="Try pictures again that failed in an earlier run.", rich_help_panel=FILES)
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Processes that upscale (default: as many as the cores of all machines allow).",
        min=1,
        rich_help_panel=FLEET,
    ),
]
WorkerThreads = Annotated[int, typer.Option("--threads", help="Cores of each worker.", min=1, rich_help_panel=FLEET)]
MemoryMb = Annotated[
    int | None,
    typer.Option(
        "--memory-mb",
        metavar="MB",
        help="Memory that each worker reserves; a machine gets only as many workers as it has memory for.",
        min=1,
        rich_help_panel=FLEET,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Ray cluster to use: auto for the running one, HOST:PORT, or local (default: RAY_ADDRESS, else local).",
        rich_help_panel=FLEET,
    ),
]

Price = Annotated[
    float | None,
    typer.Option(
        "--price",
        metavar="AMOUNT",
        help="Price of an hour of all machines, in any currency: shows what a million such pictures cost.",
        min=0,
        rich_help_panel=FLEET,
    ),
]

fleet_app = typer.Typer(
    cls=RunByDefault,
    help="Upscale many pictures on one or many machines, or join what shares of a folder recorded.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


@fleet_app.command("run", cls=GroupedCommand)
def fleet_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder or URL (s3://, gs://, hf:// ...) of pictures, with all folders in it, or a list: .parquet "
            "with the column uri, or .txt with one URI a line.",
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Folder or URL for the results.")],
    pattern: NamePattern = None,
    overwrite: Overwrite = False,
    redo: Redo = False,
    retry: Retry = False,
    workers: Workers = None,
    threads: WorkerThreads = 1,
    memory_mb: MemoryMb = None,
    address: Address = None,
    price: Price = None,
    shard: ShardOf = None,
    scale: Factor = None,
    width: Width = None,
    height: Height = None,
    longest: Longest = None,
    fit: Fit = None,
    megapixels: Megapixels = None,
    format_name: FormatName = None,
    quality: Quality = None,
    lossless: Lossless = False,
    strip_metadata: StripMetadata = False,
    keep_print_size: KeepPrintSize = False,
    frame: Frame = None,
    network: NetworkFile = "auto",
    strength: Strength = 1.0,
    tile: Tile = None,
    exact: Exact = False,
    ensemble: Ensemble = 1,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    precision: Precision = "auto",
    max_pixels: MaxPixels = DEFAULT.pixels,
    max_file_mb: MaxFileMb = DEFAULT.file_mb,
    max_seconds: ServerMaxSeconds = SERVER_SECONDS,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Upscale all pictures of a folder, bucket or list on one or many machines.

    \b
    Examples:
      mafdn fleet photos large                        all cores of this machine
      mafdn fleet s3://scans s3://scans-x4 --address auto
      mafdn fleet pictures.parquet gs://results --scale 2 --format webp
      mafdn fleet merge large -o results.parquet      one table of all results

    A picture that fails, takes too long or ends its process is a row of the table in TARGET/.mafdn-fleet/results; the
    others are upscaled. The same command again makes only what is missing or has changed.
    """
    with needs_extra("mafdn fleet", extra="fleet"):
        from mafdn.fleet.run import FleetStopped, run_fleet
    from mafdn.cli.inputs import as_typed
    from mafdn.fleet.options import FleetOptions
    from mafdn.inference import EngineOptions
    from mafdn.pictures.limits import Limits
    from mafdn.upscaling.options import UpscaleOptions
    from mafdn.upscaling.output import Output
    from mafdn.upscaling.pattern import Pattern
    from mafdn.upscaling.shards import as_shard

    options = UpscaleOptions(
        size=requested_size(scale=scale, width=width, height=height, longest=longest, fit=fit, megapixels=megapixels),
        strength=strength,
        output=Output(
            format=format_name,
            quality=quality,
            lossless=lossless,
            strip_metadata=strip_metadata,
            keep_print_size=keep_print_size,
        ),
        limits=Limits(pixels=max_pixels, file_mb=max_file_mb, seconds=max_seconds),
        overwrite=overwrite,
        tile=tile,
        exact=exact,
        ensemble=ensemble,
        frame=frame,
    )
    fleet = FleetOptions(
        pattern=None if pattern is None else Pattern(pattern),
        redo=redo,
        retry=retry,
        workers=workers,
        address=address,
        memory_mb=memory_mb,
        shard=None if shard is None else as_shard(shard),
    )
    try:
        with _messages_of_ray_hidden(), progress_bar(quiet=quiet or as_json) as bar:
            task = None if bar is None else bar.add_task("starting", total=None)

            def tick(at: "FleetProgress") -> None:
                check_stop()
                if bar is not None and task is not None:
                    failed = f", {at.failed:,} failed" if at.failed else ""
                    total = at.planned if at.complete else None
                    bar.update(task, description=f"{at.done:,} pictures{failed}", completed=at.done, total=total)

            report = run_fleet(
                as_typed(source),
                as_typed(target),
                network=network,
                engine=EngineOptions(engine=engine, device=device, threads=threads, precision=precision),
                options=options,
                fleet=fleet,
                on_progress=tick,
            )
    except FleetStopped as stopped:
        _show(stopped.report, quiet=quiet, as_json=as_json, price=price)
        typer.echo("run the same command again to resume", err=True)
        raise
    _show(report, quiet=quiet, as_json=as_json, price=price)
    if report.stopped:
        raise MafdnError(f"{report.stopped}; run the same command again to resume")
    if report.counts["failed"]:
        raise MafdnError(f"{report.counts['failed']} of {sum(report.counts.values())} pictures failed")


@fleet_app.command("merge")
def merge_command(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of the results of mafdn upscale --shard, or folder or URL of those of mafdn fleet.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write one table of all results: .parquet, .csv or .jsonl."
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Join what shards or runs recorded about their results into one record, and write it as one table."""
    with needs_extra("mafdn fleet merge", extra="fleet"):
        from mafdn.fleet.merge import merge
    merged = merge(folder, output, overwrite=overwrite)
    if as_json:
        show_json(merged)
        return
    counts = ", ".join(f"{count:,} {status}" for status, count in merged["counts"].items()) or "no results"
    where = "" if output is None else f", written to {printable(output)}"
    typer.echo(f"{printable(folder)}: {merged['records']} records joined, {counts}{where}")


@contextmanager
def _messages_of_ray_hidden() -> Generator[None]:
    """Hide what Ray prints, whose log files have it all; progress bars, on standard error, are still shown."""
    if os.environ.get("MAFDN_DEBUG") or None in (sys.stdout, sys.stderr):
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    out, err, number = sys.stdout, sys.stderr, os.dup(2)
    shown = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    with shown, open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - the name is not a path of its own
        os.dup2(nowhere.fileno(), 2)  # its core is native code
        sys.stdout, sys.stderr = nowhere, shown
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err
            os.dup2(number, 2)
            os.close(number)


def _show(report: "FleetReport", *, quiet: bool, as_json: bool, price: float | None) -> None:
    """Print a report: as JSON, or a summary with the first failures."""
    hours = report.hours_per_million
    cost = None if price is None or hours is None else round(hours * price, 2)
    if as_json:
        show_json({**report.for_programs(), "hours_per_million": hours, "cost_per_million": cost})
        return
    if quiet:
        return
    if report.failures:
        rows = [[printable(uri), reason.removeprefix(f"{uri} ")] for uri, reason in report.failures[:FAILURES_LISTED]]
        show_table("failed", ["picture", "reason"], rows, left=True)
        if report.counts["failed"] > FAILURES_LISTED:
            typer.echo(f"and {report.counts['failed'] - FAILURES_LISTED:,} more; {printable(report.results)} lists all")
    counts = report.counts
    parts = [f"{counts['done']:,} upscaled"]
    parts += [f"{counts['left']:,} remaining"] if counts["left"] else []
    parts += [f"{counts['kept']:,} up to date"] if counts["kept"] else []
    parts += [f"{counts['failed']:,} failed"] if counts["failed"] else []
    typer.echo(f"{printable(report.target)}: {', '.join(parts)} in {duration(report.seconds)}")
    if counts["done"]:
        rate, pixels = counts["done"] / report.seconds, report.pixels / 1e6 / report.seconds
        typer.echo(f"{rate:,.2f} pictures/s, {pixels:,.3f} megapixels/s of inputs, {report.workers} workers")
    if cost is not None:
        typer.echo(f"a million such pictures: {hours:,.1f} hours, at a cost of {cost:,.2f}")
    for count, what in ((report.not_pictures, "files that are not pictures"), (report.other_shards, "of other shards")):
        if count:
            typer.echo(f"skipped {count:,} {what}")
