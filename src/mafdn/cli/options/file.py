"""The options of `mafdn upscale` for files and formats."""

from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.options.values import option_path, option_text

FILES, FORMAT = "File", "Format"
"""Groups of these options on the help page."""

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Pictures, folders, or glob patterns in quotes. A single picture may be followed by the name of its "
        "result. - is standard input, or output as a result.",
    ),
]
Result = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        "--output-dir",
        metavar="FILE_OR_FOLDER",
        parser=option_text,
        help="Folder for results, or file for the result of a single picture, as its ending tells (default: next "
        "to each input).",
        rich_help_panel=FILES,
    ),
]
Recursive = Annotated[
    bool,
    typer.Option("--recursive", "-r", help="Enter subfolders; results keep their structure.", rich_help_panel=FILES),
]
NamePattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="NAME",
        help="Names of results, from {stem}, {scale}, {width}, {height} and {ext} (default: {stem}_x{scale}{ext}).",
        rich_help_panel=FILES,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=FILES)]
Redo = Annotated[
    bool, typer.Option("--redo", help="Re-create results that are already up to date.", rich_help_panel=FILES)
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="List what would be upscaled, and estimate time and disk space.", rich_help_panel=FILES
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        parser=option_path,
        help="Write the outcome of every picture to a JSON file.",
        rich_help_panel=FILES,
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Compare each result, reduced again, with its input (see mafdn verify).",
        rich_help_panel=FILES,
    ),
]
KeepTimes = Annotated[
    bool,
    typer.Option("--keep-times", help="Give each result the time of modification of its input.", rich_help_panel=FILES),
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="jpeg, png, webp, tiff, avif, gif, ppm, jxl, jp2, bmp, qoi or tga (default: from the result's name, "
        "else that of the input).",
        rich_help_panel=FORMAT,
    ),
]
Quality = Annotated[
    int | None,
    typer.Option(
        "--quality",
        help="Quality of JPEG, WebP, AVIF and JPEG XL (default: 95).",
        min=1,
        max=100,
        rich_help_panel=FORMAT,
    ),
]
Lossless = Annotated[
    bool, typer.Option("--lossless", help="Write lossless WebP, AVIF or JPEG XL.", rich_help_panel=FORMAT)
]
StripMetadata = Annotated[
    bool,
    typer.Option(
        "--strip-metadata", help="Remove EXIF, XMP and IPTC; the color profile is kept.", rich_help_panel=FORMAT
    ),
]
KeepPrintSize = Annotated[
    bool,
    typer.Option(
        "--keep-print-size", help="Raise the print resolution with the size in pixels.", rich_help_panel=FORMAT
    ),
]
