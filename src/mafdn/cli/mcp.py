"""`mafdn mcp`: the tool `upscale_image` for agents, by the Model Context Protocol."""

from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.engine import DefaultNetwork, DeviceName, EngineName, Precision, Threads
from mafdn.cli.options.limit import DEFAULT, LIMITS, SERVER_SECONDS, MaxFileMb, MaxPixels, ServerMaxSeconds


def mcp_command(
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder",
            metavar="FOLDER",
            help="Read and write files only below this folder (repeatable; default: anywhere).",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    network: DefaultNetwork = "auto",
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    precision: Precision = "auto",
    max_pixels: MaxPixels = DEFAULT.pixels,
    max_file_mb: MaxFileMb = DEFAULT.file_mb,
    max_seconds: ServerMaxSeconds = SERVER_SECONDS,
) -> None:
    """Offer upscaling as a tool to agents, by the Model Context Protocol (MCP) on standard input and output.

    The agent's program starts this command; there is one tool, upscale_image(input_path, output_path, scale, ...).
    Existing files are not replaced unless a call says so.

    \b
    Example of a configuration, as most programs have it:
      {"mcpServers": {"mafdn": {"command": "mafdn", "args": ["mcp", "--folder", "/home/me/Pictures"]}}}
    """
    with needs_extra("mafdn mcp", extra="mcp"):
        from mafdn.web.mcp import ToolSettings, serve
    from mafdn.inference import EngineOptions
    from mafdn.pictures.limits import Limits

    settings = ToolSettings(
        network=network,
        engine=EngineOptions(engine=engine, device=device, threads=threads, precision=precision),
        limits=Limits(pixels=max_pixels, file_mb=max_file_mb, seconds=max_seconds),
        folders=tuple(folder or ()),
    )
    serve(settings)
