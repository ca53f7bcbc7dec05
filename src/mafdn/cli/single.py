"""`mafdn upscale` for a single picture: files or standard input and output, progress and outcome."""

from contextlib import nullcontext
from pathlib import Path

import typer

from mafdn._support.atomic import printable
from mafdn.cli.inputs import STANDARD, OnePicture, standard_input, standard_output
from mafdn.cli.output import progress, show_json
from mafdn.cli.verify import verification_line
from mafdn.inference import EngineOptions
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Report


def upscale_one(
    picture: OnePicture, *, network: str, engine: EngineOptions, options: UpscaleOptions, quiet: bool, as_json: bool
) -> None:
    """Upscale a picture and print the outcome; on standard error if the picture itself goes to standard output.

    Args:
        picture: The picture and the place of its result.
        network: As for `mafdn.upscale_file`.
        engine: As for `mafdn.upscale_file`.
        options: As for `mafdn.upscale_file`.
        quiet: Whether to print nothing but errors.
        as_json: Whether to print JSON instead of text.
    """
    from mafdn.api import upscale_file

    from_stdin, to_stdout = picture.source == STANDARD, picture.target == STANDARD
    name = "standard input" if from_stdin else Path(picture.source).name
    with (
        standard_output() if to_stdout else nullcontext(picture.target) as target,
        progress(printable(name), quiet=quiet or as_json) as tick,
    ):
        source = standard_input() if from_stdin else picture.source
        report = upscale_file(source, target, network=network, engine=engine, options=options, on_progress=tick)
    _show(report, quiet=quiet, as_json=as_json, to_stdout=to_stdout)


def _show(report: Report, *, quiet: bool, as_json: bool, to_stdout: bool) -> None:
    if as_json:
        show_json(report.for_programs(), err=to_stdout)
    elif not quiet:
        (width, height), (new_width, new_height) = report.size, report.new_size
        target = "standard output" if to_stdout else printable(report.target)
        several = f", {report.frames} frames or pages," if report.frames > 1 else ""
        sizes = f"{width}x{height} to {new_width}x{new_height}"
        typer.echo(f"{target}: {sizes}{several} in {report.seconds:.1f} s ({report.engine})", err=to_stdout)
        if report.weights:
            typer.echo(str(report.weights), err=to_stdout)
        if report.verification:
            typer.echo(f"verified: {verification_line(report.verification)}", err=to_stdout)
        for note in report.notes:
            typer.echo(f"note: {note}", err=to_stdout)
