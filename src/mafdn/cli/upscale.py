"""``mafdn upscale``."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.output import Json, Quiet, progress, show_json
from mafdn.errors import UsageError
from mafdn.files import shown


def upscale_command(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A picture; its content tells the format.")],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="OUTPUT", help="The result; beside INPUT as NAME_x4.EXT when not given."),
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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT when it exists.")] = False,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Refuse more, in INPUT or OUTPUT.", min=1)
    ] = 1_000_000_000,
    max_file_mb: Annotated[float, typer.Option("--max-file-mb", help="Refuse a larger INPUT.", min=0)] = 4_000,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Give up after; no limit when not given.", min=0)
    ] = None,
    network: Annotated[
        Path | None, typer.Option("--network", help="An ONNX file to use instead of the shipped weights.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="auto, openvino or onnxruntime.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", help="Cores to use; all when not given.", min=1)] = None,
    tile: Annotated[
        int | None,
        typer.Option("--tile", help="Largest side of a tile in input pixels; less needs less memory.", min=96),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compute around tiles all that could matter, not what does; slower.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Enlarge one picture; color profile, metadata, transparency and depth are kept.

    \b
    Examples:
      mafdn upscale photo.jpg                     makes photo_x4.jpg beside it
      mafdn upscale scan.tif large.png            the ending chooses the format
      mafdn upscale photo.jpg --fit 3840x2160     as large as a screen
      mafdn upscale photo.jpg --json              a report for programs
    """
    from mafdn.api import load
    from mafdn.jobs.sizes import Size, network_scale, result_size
    from mafdn.jobs.targets import Output
    from mafdn.pictures.limits import Limits
    from mafdn.pictures.reading import block_other_loaders, read_header

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
    stated = read_header(source, limits=limits)  # a wrong input is told before an engine is started
    old_size = (stated.width, stated.height)
    nearest = network_scale(old_size, result_size(size, *old_size)) if size else 4
    upscaler = load(network or f"x{nearest}", engine=engine, threads=threads, tile=tile, exact=exact)
    with progress(shown(source.name), quiet=quiet or as_json) as tick:
        report = upscaler.upscale_file(
            source,
            target,
            size=size,
            strength=strength,
            output=output,
            limits=limits,
            overwrite=overwrite,
            on_progress=tick,
        )
    if as_json:
        show_json(asdict(report))
    elif not quiet:
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
