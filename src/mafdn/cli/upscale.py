"""``mafdn upscale``: its options, and one picture; folders are in :mod:`mafdn.cli.folders`."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn._support.atomic import shown
from mafdn._support.validate import as_path
from mafdn.cli.engine_options import DeviceName, EngineName, Precision, Threads
from mafdn.cli.output import Json, Quiet, progress, show_json
from mafdn.errors import UsageError

if TYPE_CHECKING:
    from mafdn.cli.folders import Asked


def _option_path(text: str) -> Path:
    """The path that an option gives."""
    try:
        return as_path("it", text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None  # which names the option


def upscale_command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Pictures, folders, or patterns in quotes. One picture may be followed by the name of its result.",
        ),
    ],
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            "-o",
            metavar="FOLDER",
            parser=_option_path,
            help="For the results; beside their INPUT without it.",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Also the folders in folders; their structure is kept.")
    ] = False,
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", help="Names of results: {stem}, {scale}, {width}, {height} and {ext}."),
    ] = None,
    redo: Annotated[bool, typer.Option("--redo", help="Make again also what is there and right.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be made, and why.")] = False,
    report_file: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", parser=_option_path, help="Write what became of every picture, as JSON."
        ),
    ] = None,
    scale: Annotated[
        float | None, typer.Option("--scale", "-s", help="How many times larger, 2.5 say; 4 when no size is given.")
    ] = None,
    width: Annotated[int | None, typer.Option("--width", help="Width in pixels.", min=1)] = None,
    height: Annotated[int | None, typer.Option("--height", help="Height in pixels.", min=1)] = None,
    longest: Annotated[int | None, typer.Option("--longest", help="Longest side in pixels.", min=1)] = None,
    fit: Annotated[
        str | None, typer.Option("--fit", metavar="WxH", help="A box in pixels that the result just fits into.")
    ] = None,
    megapixels: Annotated[float | None, typer.Option("--megapixels", help="Most millions of pixels.")] = None,
    strength: Annotated[
        float, typer.Option("--strength", help="Share of the network; the rest is Lanczos.", min=0, max=1)
    ] = 1.0,
    format_name: Annotated[
        str | None, typer.Option("--format", help="jpeg, png, webp, tiff, avif, gif or ppm; INPUT's when not given.")
    ] = None,
    quality: Annotated[
        int | None, typer.Option("--quality", help="For JPEG, WebP and AVIF; 95 when not given.", min=1, max=100)
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Lossless WebP or AVIF.")] = False,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Leave out EXIF, XMP and IPTC; the color profile stays.")
    ] = False,
    keep_print_size: Annotated[
        bool, typer.Option("--keep-print-size", help="Raise the dots per inch with the size.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that has the name of a result.")
    ] = False,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Refuse more, in INPUT or OUTPUT.", min=1)
    ] = 1_000_000_000,
    max_file_mb: Annotated[float, typer.Option("--max-file-mb", help="Refuse a larger INPUT.", min=0)] = 4_000,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Give up after; no limit when not given.", min=0)
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(
            "--network",
            metavar="PATH",
            parser=_option_path,
            help="An ONNX file to use instead of the shipped weights.",
        ),
    ] = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    tile: Annotated[
        int | None,
        typer.Option("--tile", help="A tile has at most this squared input pixels; less needs less memory.", min=96),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compute around tiles all that could matter, not what does; slower.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Enlarge pictures; color profile, metadata, transparency and depth are kept.

    \b
    Examples:
      mafdn upscale photo.jpg                     makes photo_x4.jpg beside it
      mafdn upscale scan.tif large.png            the ending chooses the format
      mafdn upscale photo.jpg --fit 3840x2160     as large as a screen
      mafdn upscale photo.jpg --json              a report for programs
      mafdn upscale photos -o large --recursive   a folder, its structure kept
      mafdn upscale 'photos/**/*.jpg' -o large    a pattern, ** for any folders
      mafdn upscale a.jpg b.jpg -o .              two pictures (without -o, b.jpg is the result)
      mafdn upscale photos -o large --pattern '{stem}{ext}' --format webp

    Of many pictures, one that fails is reported, and the others are made. The same command goes on where it was stopped
    or killed: what it made is known by a manifest in the folder of the results, and made again only when a picture, a
    setting or the network has changed, or the result is missing or damaged.
    """
    from mafdn.cli.folders import Asked, is_one_picture, upscale_many
    from mafdn.pictures.limits import Limits
    from mafdn.pictures.reading import block_other_loaders
    from mafdn.upscaling.output import Output
    from mafdn.upscaling.size import Size

    sizes = (scale, width, height, longest, fit, megapixels)
    size = (
        Size(scale=scale, width=width, height=height, longest=longest, fit=_box(fit), megapixels=megapixels)
        if any(s is not None for s in sizes)
        else None
    )
    output = Output(
        format=format_name,
        quality=quality,
        lossless=lossless,
        strip_metadata=strip_metadata,
        keep_print_size=keep_print_size,
    )
    limits = Limits(pixels=max_pixels, file_mb=max_file_mb, seconds=max_seconds)
    block_other_loaders()
    asked = Asked(
        size=size,
        strength=strength,
        output=output,
        limits=limits,
        overwrite=overwrite,
        network=network,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
        tile=tile,
        exact=exact,
        quiet=quiet,
        as_json=as_json,
    )
    for_many = output_dir is not None or recursive or pattern is not None or redo or dry_run or report_file is not None
    if not for_many and is_one_picture(inputs):
        _upscale_one(Path(inputs[0]), Path(inputs[1]) if len(inputs) > 1 else None, asked)
    else:
        upscale_many(
            inputs,
            output_dir,
            asked,
            recursive=recursive,
            pattern=pattern,
            redo=redo,
            dry_run=dry_run,
            report_file=report_file,
        )


def _upscale_one(source: Path, target: Path | None, asked: "Asked") -> None:
    """One picture, with a line of its own at the end."""
    from mafdn.api import load
    from mafdn.pictures.reading import read_header
    from mafdn.upscaling.picture import upscale_file
    from mafdn.upscaling.size import network_scale, result_size

    header = read_header(source, limits=asked.limits)  # an invalid input is reported before an engine is started
    old_size = (header.width, header.height)
    nearest = network_scale(old_size, result_size(asked.size, *old_size)) if asked.size else 4
    upscaler = load(
        asked.network or f"x{nearest}",
        engine=asked.engine,
        device=asked.device,
        threads=asked.threads,
        precision=asked.precision,
        tile=asked.tile,
        exact=asked.exact,
    )
    with progress(shown(source.name), quiet=asked.quiet or asked.as_json) as tick:
        report = upscale_file(
            source,
            target,
            engine=upscaler.engine,
            tile=upscaler.tile,
            exact=upscaler.exact,
            size=asked.size,
            strength=asked.strength,
            output=asked.output,
            limits=asked.limits,
            overwrite=asked.overwrite,
            header=header,
            on_progress=tick,
        )
    if asked.as_json:
        show_json(asdict(report))
    elif not asked.quiet:
        (width, height), (new_width, new_height) = report.size, report.new_size
        typer.echo(f"{shown(report.target)}: {width}x{height} to {new_width}x{new_height} in {report.seconds:.1f} s")
        for note in report.notes:
            typer.echo(f"note: {note}")


def _box(text: str | None) -> tuple[int, int] | None:
    """The width and height in ``1920x1080``; raises :class:`UsageError`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,10})[x\u00d7](\d{1,10})", text.strip(), re.IGNORECASE)
    if not found:
        raise UsageError(f"--fit {text!r} is no box; give it as WIDTHxHEIGHT, 1920x1080 say")
    return int(found[1]), int(found[2])
