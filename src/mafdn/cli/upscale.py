"""`mafdn upscale`: its options; `mafdn.cli.single` runs it for one picture, `mafdn.cli.folders` for several."""

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn._support.validate import as_path
from mafdn.cli.batch_options import Jobs, JsonLines, PictureOrder, Since, SkipLargerThan
from mafdn.cli.engine_options import DeviceName, EngineName, Precision, Threads
from mafdn.cli.frame_option import Frame
from mafdn.cli.output import Json, Quiet
from mafdn.errors import UsageError

if TYPE_CHECKING:
    from mafdn import Size

FILES, SIZE, FORMAT, NETWORK, LIMITS = "File", "Size", "Format", "Network", "Limit"
"""Groups of options on the help page."""


def _option_path(text: str) -> Path:
    """Parse the path that an option gives."""
    return Path(_option_text(text))


def _option_text(text: str) -> str:
    """Parse the name or path that an option gives; an empty one is refused, naming the option."""
    try:
        as_path("it", text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def upscale_command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Pictures, folders, or glob patterns in quotes. A single picture may be followed by the name of its "
            "result. - is standard input, or output as a result.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            "--output-dir",
            metavar="FILE_OR_FOLDER",
            parser=_option_text,
            help="Folder for results, or file for the result of a single picture, as its ending tells (default: next "
            "to each input).",
            rich_help_panel=FILES,
        ),
    ] = None,
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive", "-r", help="Enter subfolders; results keep their structure.", rich_help_panel=FILES
        ),
    ] = False,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="NAME",
            help="Names of results, from {stem}, {scale}, {width}, {height} and {ext} (default: {stem}_x{scale}{ext}).",
            rich_help_panel=FILES,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=FILES)
    ] = False,
    redo: Annotated[
        bool,
        typer.Option("--redo", help="Re-create results that are already up to date.", rich_help_panel=FILES),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="List what would be upscaled, and estimate time and disk space.",
            rich_help_panel=FILES,
        ),
    ] = False,
    report_file: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            parser=_option_path,
            help="Write the outcome of every picture to a JSON file.",
            rich_help_panel=FILES,
        ),
    ] = None,
    skip_larger_than: SkipLargerThan = None,
    since: Since = None,
    order: PictureOrder = "name",
    jobs: Jobs = 1,
    json_lines: JsonLines = False,
    scale: Annotated[
        float | None, typer.Option("--scale", "-s", help="Factor, such as 2.5 (default: 4).", rich_help_panel=SIZE)
    ] = None,
    width: Annotated[int | None, typer.Option("--width", help="Width in pixels.", min=1, rich_help_panel=SIZE)] = None,
    height: Annotated[
        int | None, typer.Option("--height", help="Height in pixels.", min=1, rich_help_panel=SIZE)
    ] = None,
    longest: Annotated[
        int | None, typer.Option("--longest", help="Longest side in pixels.", min=1, rich_help_panel=SIZE)
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option("--fit", metavar="WxH", help="Largest size that fits into W x H pixels.", rich_help_panel=SIZE),
    ] = None,
    megapixels: Annotated[
        float | None, typer.Option("--megapixels", help="Maximum size in megapixels.", rich_help_panel=SIZE)
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="jpeg, png, webp, tiff, avif, gif, ppm, jxl, jp2, bmp, qoi or tga (default: from the result's name, "
            "else that of the input).",
            rich_help_panel=FORMAT,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            "--quality",
            help="Quality of JPEG, WebP, AVIF and JPEG XL (default: 95).",
            min=1,
            max=100,
            rich_help_panel=FORMAT,
        ),
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Write lossless WebP, AVIF or JPEG XL.", rich_help_panel=FORMAT)
    ] = False,
    strip_metadata: Annotated[
        bool,
        typer.Option(
            "--strip-metadata", help="Remove EXIF, XMP and IPTC; the color profile is kept.", rich_help_panel=FORMAT
        ),
    ] = False,
    keep_print_size: Annotated[
        bool,
        typer.Option(
            "--keep-print-size", help="Raise the print resolution with the size in pixels.", rich_help_panel=FORMAT
        ),
    ] = False,
    frame: Frame = None,
    network: Annotated[
        str,
        typer.Option(
            "--network",
            parser=_option_text,
            metavar="NETWORK",
            help="auto (the shipped network nearest to the size), x2, x3, x4, an .onnx, .safetensors or .pth file, or "
            "the folder of a training run.",
            rich_help_panel=NETWORK,
        ),
    ] = "auto",
    strength: Annotated[
        float,
        typer.Option(
            "--strength", help="Share of the network; the rest is Lanczos.", min=0, max=1, rich_help_panel=NETWORK
        ),
    ] = 1.0,
    tile: Annotated[
        int | None,
        typer.Option(
            "--tile",
            help="Tile side in input pixels; smaller tiles use less memory (default: 512).",
            min=96,
            rich_help_panel=NETWORK,
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Overlap tiles by the full receptive field instead of the measured halo (slower).",
            rich_help_panel=NETWORK,
        ),
    ] = False,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    max_pixels: Annotated[
        int,
        typer.Option(
            "--max-pixels", help="Maximum number of pixels of an input or a result.", min=1, rich_help_panel=LIMITS
        ),
    ] = 1_000_000_000,
    max_file_mb: Annotated[
        float, typer.Option("--max-file-mb", help="Maximum size of an input file in MB.", min=0, rich_help_panel=LIMITS)
    ] = 4_000,
    max_seconds: Annotated[
        float | None,
        typer.Option(
            "--max-seconds", help="Time limit per picture in seconds (default: none).", min=0, rich_help_panel=LIMITS
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Upscale pictures; color profile, metadata, transparency and depth are kept.

    \b
    Examples:
      mafdn upscale photo.jpg                     write photo_x4.jpg beside it
      mafdn upscale scan.tif large.png            the ending chooses the format
      mafdn upscale photo.jpg --fit 3840x2160     as large as a screen
      mafdn upscale photo.jpg --json              print a report for programs
      mafdn upscale - - --format png < a.jpg > b.png
      mafdn upscale photos -o large --recursive   a folder, keeping its structure
      mafdn upscale 'photos/**/*.jpg' -o large    a pattern, ** for any folders
      mafdn upscale a.jpg b.jpg -o .              two pictures (without -o, b.jpg is the result)
      mafdn upscale photos -o large --pattern '{stem}{ext}' --format webp

    If one of many pictures fails, it is reported and the others are upscaled. To resume a run that was stopped or
    killed, run the same command again: a manifest in the folder of the results records what was done, and only what is
    missing or damaged, or has other inputs, settings or weights, is upscaled again.
    """
    from mafdn.api import upscale_folder
    from mafdn.cli.inputs import as_typed, one_picture
    from mafdn.cli.single import upscale_one
    from mafdn.inference import EngineOptions
    from mafdn.pictures.limits import Limits
    from mafdn.pictures.reading import block_other_loaders
    from mafdn.upscaling.options import UpscaleOptions
    from mafdn.upscaling.output import Output

    engine_options = EngineOptions(engine=engine, device=device, threads=threads, precision=precision)
    options = UpscaleOptions(
        size=_size(scale=scale, width=width, height=height, longest=longest, fit=fit, megapixels=megapixels),
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
        frame=frame,
    )
    block_other_loaders()
    if as_json and json_lines:
        raise UsageError("use either --json or --jsonl, not both")
    batch_options = {
        "--recursive": recursive,
        "--pattern": pattern is not None,
        "--redo": redo,
        "--dry-run": dry_run,
        "--report": report_file is not None,
        "--skip-larger-than": skip_larger_than is not None,
        "--since": since is not None,
        "--order": order != "name",
        "--jobs": jobs != 1,
        "--jsonl": json_lines,
    }
    inputs, result = [as_typed(text) for text in inputs], None if output is None else as_typed(output)
    single = one_picture(inputs, result, [name for name, given in batch_options.items() if given])
    if single:
        upscale_one(single, network=network, engine=engine_options, options=options, quiet=quiet, as_json=as_json)
    else:
        from mafdn.cli.folders import FolderOutput

        run = partial(
            upscale_folder,
            inputs,
            result,
            recursive=recursive,
            pattern=pattern,
            redo=redo,
            dry_run=dry_run,
            skip_larger_than=skip_larger_than,
            since=since,
            order=order,
            jobs=jobs,
            network=network,
            engine=engine_options,
            options=options,
        )
        shown = FolderOutput(
            inputs=inputs,
            report_file=report_file,
            dry_run=dry_run,
            quiet=quiet,
            as_json=as_json,
            as_json_lines=json_lines,
        )
        shown.run(run)


def _size(*, fit: str | None, **values: float | None) -> "Size | None":
    """Return the size that the options give, `None` if they give none; raises `UsageError`."""
    from mafdn.upscaling.size import Size

    if fit is None and all(value is None for value in values.values()):
        return None
    box = None if fit is None else _box(fit)
    return Size(fit=box, **values)  # pyright: ignore[reportArgumentType]


def _box(text: str) -> tuple[int, int]:
    """Parse `1920x1080`; raises `UsageError`."""
    found = re.fullmatch(r"(\d{1,10})[x\u00d7](\d{1,10})", text.strip(), re.IGNORECASE)
    if not found:
        raise UsageError(f"--fit must be WIDTHxHEIGHT such as 1920x1080, not {text!r}")
    return int(found[1]), int(found[2])
