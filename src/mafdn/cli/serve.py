"""`mafdn serve`: the local page, and the HTTP interface for programs."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from mafdn._support.text import read_text_file
from mafdn.cli.extras import needs_extra
from mafdn.cli.options.engine import NETWORK, DefaultNetwork, DeviceName, EngineName, Precision, Threads
from mafdn.cli.options.limit import DEFAULT, LIMITS, SERVER_SECONDS, MaxFileMb, MaxPixels, ServerMaxSeconds
from mafdn.errors import MafdnError, UsageError

ACCESS = "Access"
"""Group of options on the help page."""
TOKEN = "MAFDN_TOKEN"
"""Environment variable with the token."""
DAY_HOURS, WEEK_HOURS = 24.0, 168.0


def serve_command(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.", rich_help_panel=ACCESS)] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="Port; 0 for any free one.", min=0, max=65_535, rich_help_panel=ACCESS)
    ] = 8484,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help=f"Token that clients must present; other users of this machine can see it here, but not in {TOKEN} or "
            "--token-file.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="File that holds the token.", rich_help_panel=ACCESS),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure-no-auth",
            help="Let anyone use the server who can reach --host, without a token.",
            rich_help_panel=ACCESS,
        ),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Further name of this server, such as that of a proxy (repeatable).",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            metavar="ORIGIN",
            help="Other site whose pages may use this server, such as https://example.org (repeatable).",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Open the page, if this is a desktop.", rich_help_panel=ACCESS),
    ] = True,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log every request to standard error.", rich_help_panel=ACCESS)
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="FOLDER",
            help="Private folder for uploads, results and the queue (default: in the state folder of the user).",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    network: DefaultNetwork = "auto",
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    precision: Precision = "auto",
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            help="Number of engine processes, among which the cores are divided.",
            min=1,
            max=64,
            rich_help_panel=NETWORK,
        ),
    ] = 1,
    max_pixels: MaxPixels = DEFAULT.pixels,
    max_file_mb: MaxFileMb = 1_000,
    max_seconds: ServerMaxSeconds = SERVER_SECONDS,
    max_pixels_in_flight: Annotated[
        int,
        typer.Option(
            "--max-pixels-in-flight",
            help="Maximum number of pixels of results in progress; a larger picture is processed alone.",
            min=1,
            rich_help_panel=LIMITS,
        ),
    ] = 800_000_000,
    max_disk_mb: Annotated[
        float,
        typer.Option(
            "--max-disk-mb", help="Maximum size of uploads and results together in MB.", min=1, rich_help_panel=LIMITS
        ),
    ] = 20_000,
    queue: Annotated[
        int,
        typer.Option("--queue", help="Maximum number of waiting pictures.", min=1, max=100_000, rich_help_panel=LIMITS),
    ] = 500,
    keep_hours: Annotated[
        float | None,
        typer.Option(
            "--keep-hours",
            help="Time for which results are kept (default: 168 if only this machine can use the server, without a "
            "token; else 24).",
            min=0,
            rich_help_panel=LIMITS,
        ),
    ] = None,
    keep_delivered_minutes: Annotated[
        float | None,
        typer.Option(
            "--keep-delivered-minutes",
            help="Time for which results are kept after a download, alone or in an archive (default: as --keep-hours "
            "if only this machine can use the server, without a token; else 60).",
            min=0,
            rich_help_panel=LIMITS,
        ),
    ] = None,
) -> None:
    """Open a page on which pictures are upscaled, and answer programs.

    The server works without a network connection and can only be reached from this machine, unless --host says
    otherwise. GET /docs describes the interface for programs.

    \b
    Examples:
      mafdn serve                                      open http://127.0.0.1:8484/
      mafdn serve --port 9000 --no-browser             for programs
      mafdn serve --host 0.0.0.0 --token-file token    for other machines
      curl --fail-with-body -F file=@photo.jpg -F scale=2 http://127.0.0.1:8484/api/v1/upscale -o large.jpg
    """
    with needs_extra("mafdn serve", extra="web"):
        from mafdn.web.server import serve
    from mafdn.inference import EngineOptions
    from mafdn.pictures.limits import Limits
    from mafdn.web.settings import ServerSettings, is_loopback

    token = _token(token, token_file)
    private = is_loopback(host) and token is None and not allow_host
    keep_seconds, keep_delivered_seconds = _keep(keep_hours, keep_delivered_minutes, private=private)
    settings = ServerSettings(
        folder=(folder or _state_folder()).absolute(),
        host=host,
        port=port,
        token=token,
        insecure=insecure,
        allowed_hosts=tuple(allow_host or ()),
        allowed_origins=tuple(allow_origin or ()),
        network=network,
        engine=EngineOptions(engine=engine, device=device, threads=threads, precision=precision),
        processes=processes,
        limits=Limits(pixels=max_pixels, file_mb=max_file_mb, seconds=max_seconds),
        queue=queue,
        disk_mb=max_disk_mb,
        pixels_in_flight=max_pixels_in_flight,
        keep_seconds=keep_seconds,
        keep_delivered_seconds=keep_delivered_seconds,
    )
    if settings.token is None and insecure:
        typer.echo(f"mafdn: anyone who can reach {host} can use this server, and see its pictures", err=True)

    def started(address: str) -> None:
        typer.echo(f"{address} (Ctrl-C to stop)")
        sys.stdout.flush()
        if browser and _is_desktop():
            webbrowser.open(address)

    serve(settings, on_start=started, access_log=access_log)


def _token(text: str | None, file: Path | None) -> str | None:
    """Return the token from the option, the file or the environment; raises `MafdnError`."""
    if text is not None and file is not None:
        raise UsageError("use either --token or --token-file, not both")
    if file is not None:
        try:
            return read_text_file(file).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a text"
            raise MafdnError(f"cannot read {file}: {reason}") from None
    return os.environ.get(TOKEN) if text is None else text


def _keep(hours: float | None, minutes: float | None, *, private: bool) -> tuple[float, float]:
    """Return for how many seconds results are kept, and for how many after a download.

    Args:
        hours: What --keep-hours says.
        minutes: What --keep-delivered-minutes says.
        private: Whether the server is that of one user, who then decides what is removed as long as there is room.
    """
    if hours is None:
        hours = WEEK_HOURS if private else DAY_HOURS
    if minutes is None:
        minutes = hours * 60 if private else 60
    return hours * 3_600, minutes * 60


def _state_folder() -> Path:
    import platformdirs

    return platformdirs.user_state_path("mafdn") / "serve"


def _is_desktop() -> bool:
    """Whether a browser with a window can be opened."""
    if not sys.stdout.isatty():
        return False
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
