"""``mafdn upscale``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.output import Json, Quiet, Scale, progress, show_json


def upscale_command(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A JPEG, PNG, WebP or TIFF picture.")],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="OUTPUT", help="The result; beside INPUT as NAME_x4.EXT when not given."),
    ] = None,
    scale: Scale = 4,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT when it exists.")] = False,
    network: Annotated[
        Path | None, typer.Option("--network", help="An ONNX file to use instead of the shipped weights.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="auto, openvino or onnxruntime.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", help="Cores to use; all when not given.", min=1)] = None,
    tile: Annotated[
        int | None,
        typer.Option("--tile", help="Side of a tile in input pixels; less needs less memory.", min=96),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Enlarge one picture; color profile, metadata, transparency and depth are kept.

    \b
    Examples:
      mafdn upscale photo.jpg                     makes photo_x4.jpg beside it
      mafdn upscale scan.tif large.png            the ending chooses the format
      mafdn upscale photo.jpg --json              a report for programs
    """
    from mafdn.api import load
    from mafdn.inference import require_scale
    from mafdn.pictures.reading import read_size

    read_size(source)  # a wrong input is told before an engine is started
    upscaler = load(network or f"x{scale}", engine=engine, threads=threads, tile=tile)
    if network:
        require_scale(upscaler.engine, network, scale)
    with progress(source.name, quiet=quiet or as_json) as tick:
        report = upscaler.upscale_file(source, target, overwrite=overwrite, on_progress=tick)
    if as_json:
        show_json(asdict(report))
    elif not quiet:
        (width, height), (new_width, new_height) = report.size, report.new_size
        typer.echo(f"{report.target}: {width}x{height} to {new_width}x{new_height} in {report.seconds:.1f} s")
        for note in report.notes:
            typer.echo(f"note: {note}")
