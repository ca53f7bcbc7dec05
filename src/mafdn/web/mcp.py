"""`mafdn mcp`: the tool `upscale_image` for agents, by the Model Context Protocol over standard input and output."""

import inspect
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, cast

import anyio.from_thread
import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import Field, ValidationError

from mafdn._support.atomic import printable
from mafdn._support.memory import is_out_of_memory
from mafdn._support.validate import as_path
from mafdn._version import __version__
from mafdn.errors import MafdnError, UsageError
from mafdn.inference import EngineOptions
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import block_other_loaders
from mafdn.upscaling.arguments import network_set
from mafdn.upscaling.dispatch import upscale_any_file
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.web.options import build_options, parse_options
from mafdn.weights.resolve import NAMES_OF_SCALES, SHIPPED_NAMES

INSTRUCTIONS = (
    "Upscales pictures on this machine by a small neural network; color profile, metadata, transparency and bit depth "
    "are kept. Existing files are never replaced unless overwrite is true."
)
REPORT_SECONDS = 0.25
"""Least time between two reports of progress."""
STOP_SECONDS = 10.0
"""Longest time for which a signal waits for the picture in progress."""
STOPPED = 128 + signal.SIGINT
"""Exit code after a signal, as for the other commands."""
OUTPUT_FORMATS = "the ending of output_path chooses the format: jpg, png, webp, tiff, avif, gif, ppm, jxl, jp2 and more"

Scale = Annotated[float | None, Field(gt=0, description="Factor, such as 2.5 (default: 4). Give one size at most.")]
Pixels = Annotated[int | None, Field(ge=1)]


@dataclass(frozen=True, kw_only=True)
class ToolSettings:
    """How the tool works and what it allows.

    Args:
        network: The network that is used unless a call names another one: as for `mafdn.upscale_file`.
        engine: Engine, device, precision and threads.
        limits: Limits for each picture.
        folders: Folders below which files are read and written; empty for anywhere.

    Raises:
        MafdnError: If a folder does not exist.
    """

    network: str = "auto"
    engine: EngineOptions = field(default_factory=EngineOptions)
    limits: Limits = field(default_factory=Limits)
    folders: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for folder in self.folders:
            if not folder.is_dir():
                raise MafdnError(f"{printable(folder)} is no folder")

    def allowed(self, what: str, text: str) -> Path:
        """Return the path of an argument; raises `UsageError` if it is empty or outside of the folders."""
        path = as_path(what, text)
        found = path.resolve()
        if self.folders and not any(found.is_relative_to(folder.resolve()) for folder in self.folders):
            raise UsageError(f"{printable(path)} is outside of {', '.join(printable(f) for f in self.folders)}")
        return path

    def choose_network(self, name: str | None) -> str:
        """Return the network that a call names; raises `UsageError` for any but shipped ones and that of the server."""
        if name is None or name == self.network:
            return self.network
        if name not in SHIPPED_NAMES and name not in NAMES_OF_SCALES:
            raise UsageError(f"the network must be a shipped one such as auto or x2, not {printable(name)}")
        return name


class _StopError(Exception):
    """The client has canceled the call."""


class Tool:
    """Upscales one picture after the other, keeping the networks open.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: ToolSettings) -> None:
        self._settings = settings
        self._networks: dict[str, NetworkSet | AutomaticNetworks] = {}
        self._turn = threading.Lock()
        self._ending = threading.Event()

    def end(self) -> None:
        """End the process, once the picture in progress has been given up and nothing of it is left.

        The protocol's own reader cannot be interrupted: it waits for standard input in a thread.
        """
        self._ending.set()
        self._turn.acquire(timeout=STOP_SECONDS)
        print("mafdn: stopped", file=sys.stderr, flush=True)
        os._exit(STOPPED)

    async def upscale_image(
        self,
        context: Context,
        input_path: Annotated[str, Field(description="The picture: a path, best an absolute one.")],
        output_path: Annotated[str, Field(description=f"The result: a path; {OUTPUT_FORMATS}.")],
        scale: Scale = None,
        width: Annotated[Pixels, Field(description="Width of the result in pixels, instead of scale.")] = None,
        height: Annotated[Pixels, Field(description="Height of the result in pixels, instead of scale.")] = None,
        longest: Annotated[Pixels, Field(description="Longest side of the result in pixels.")] = None,
        fit: Annotated[
            str | None, Field(pattern="^[0-9]{1,10}[xX][0-9]{1,10}$", description="Largest size within WxH pixels.")
        ] = None,
        megapixels: Annotated[float | None, Field(gt=0, description="Maximum size in megapixels.")] = None,
        network: Annotated[
            str | None, Field(description="A shipped network: auto, photo, classic, x2, x3 or x4 (default: auto).")
        ] = None,
        strength: Annotated[
            float | None, Field(ge=0, le=1, description="Share of the network; the rest is Lanczos (default: 1).")
        ] = None,
        quality: Annotated[
            int | None, Field(ge=1, le=100, description="Quality of JPEG, WebP, AVIF and JPEG XL (default: 95).")
        ] = None,
        lossless: Annotated[bool, Field(description="Write lossless WebP, AVIF or JPEG XL.")] = False,
        strip_metadata: Annotated[bool, Field(description="Remove EXIF, XMP and IPTC; the profile is kept.")] = False,
        keep_print_size: Annotated[bool, Field(description="Raise the print resolution with the size.")] = False,
        frame: Annotated[
            int | None, Field(ge=1, description="The only frame or page to upscale, from 1 (default: all).")
        ] = None,
        verify: Annotated[bool, Field(description="Compare the result, reduced again, with the picture.")] = False,
        overwrite: Annotated[bool, Field(description="Replace output_path if it exists.")] = False,
    ) -> dict[str, Any]:
        """Upscale a picture file, and return a report: sizes, network, engine, times, and notes on what was not kept.

        The aspect ratio is kept. An existing output_path is an error unless overwrite is true.
        """
        given: dict[str, Any] = {
            "scale": scale,
            "width": width,
            "height": height,
            "longest": longest,
            "fit": fit,
            "megapixels": megapixels,
            "strength": strength,
            "quality": quality,
            "lossless": lossless or None,
            "strip_metadata": strip_metadata or None,
            "keep_print_size": keep_print_size or None,
            "frame": frame,
            "verify": verify or None,
        }
        stopped = threading.Event()

        reported = -REPORT_SECONDS

        def on_progress(done: int, total: int) -> None:
            nonlocal reported
            if stopped.is_set() or self._ending.is_set():
                raise _StopError
            now = time.monotonic()
            if now - reported >= REPORT_SECONDS or done == total:
                reported = now
                anyio.from_thread.run(context.report_progress, done, total)

        def work() -> dict[str, Any]:
            settings = self._settings
            source = settings.allowed("input_path", input_path)
            target = settings.allowed("output_path", output_path)
            options = replace(build_options(parse_options(given), settings.limits), overwrite=overwrite)
            return self._upscale(source, target, settings.choose_network(network), options, on_progress)

        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except MafdnError as error:
            raise ToolError(_line(error)) from None
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise ToolError("out of memory; use a smaller size, or frame for one frame") from None
        finally:
            stopped.set()

    def _upscale(
        self, source: Path, target: Path, network: str, options: UpscaleOptions, on_progress: Callable[[int, int], None]
    ) -> dict[str, Any]:
        """Upscale a picture, in a thread; only one at a time."""
        with self._turn:
            on_progress(0, 1)  # which ends a call that was canceled while it waited
            if network not in self._networks:
                self._networks[network] = network_set(network, self._settings.engine)
            report = upscale_any_file(self._networks[network], source, target, options, on_progress)
        values = {**asdict(report), "network": network}
        return cast(dict[str, Any], json.loads(json.dumps(values, default=str), parse_constant=lambda _: None))


TOOL = Tool.upscale_image.__name__
ARGUMENTS = tuple(name for name in inspect.signature(Tool.upscale_image).parameters if name not in ("self", "context"))


class _Server(MCPServer):
    """A server whose errors are one line."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; raises `ToolError`."""
        if name == TOOL:
            unknown = [argument for argument in arguments if argument not in ARGUMENTS]
            if unknown:
                raise ToolError(f"unknown argument {printable(unknown[0])}; choose from {', '.join(ARGUMENTS)}")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                found = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in cause.errors())
                raise ToolError("; ".join(found)) from cause
            if isinstance(cause, ToolError):
                raise ToolError(str(cause)) from cause
            raise


def serve(settings: ToolSettings) -> None:
    """Offer the tool on standard input and output, until the client closes it or a signal comes.

    Args:
        settings: The settings of the tool.
    """
    block_other_loaders()
    tool = Tool(settings)
    server = _Server("mafdn", version=__version__, instructions=INSTRUCTIONS, log_level="ERROR")
    hints = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
    server.tool(title="Upscale a picture", annotations=hints)(tool.upscale_image)

    def stop(*_: object) -> None:
        threading.Thread(target=tool.end, daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.run()


def _line(error: MafdnError) -> str:
    """Return a message in one line, with the argument to change if the tool has it."""
    return " ".join((error.reason if error.setting in ARGUMENTS else str(error)).split())
