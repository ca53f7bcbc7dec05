"""The command line; `main` is the entry point. Every error is reported as one line and an exit code.

Exit codes: 0 success, 1 failure, 2 invalid usage, 130 stopped by Ctrl-C.
"""

import errno
import gc
import io
import itertools
import os
import signal
import sys
from typing import Any, cast

import typer

from mafdn._support.atomic import printable
from mafdn._support.interrupts import stop_signals
from mafdn._support.memory import is_out_of_memory
from mafdn._support.validate import refuse_url
from mafdn._version import __version__
from mafdn.cli.ablate import ablate_command
from mafdn.cli.bank import bank_app
from mafdn.cli.bench import bench_command
from mafdn.cli.compare import compare_command
from mafdn.cli.convert import convert_command
from mafdn.cli.count import count_command
from mafdn.cli.evaluate import evaluate_command
from mafdn.cli.export import export_command
from mafdn.cli.fleet import fleet_app
from mafdn.cli.help import GroupedCommand
from mafdn.cli.info import info_command
from mafdn.cli.mcp import mcp_command
from mafdn.cli.memory import memory_advice
from mafdn.cli.output import STOP_REQUESTED, STOPPED, CommandStoppedError
from mafdn.cli.prune import prune_command
from mafdn.cli.quantize import quantize_command
from mafdn.cli.release import release_command
from mafdn.cli.serve import serve_command
from mafdn.cli.standard import is_output_error
from mafdn.cli.train import train_app
from mafdn.cli.upscale import upscale_command
from mafdn.cli.verify import verify_command
from mafdn.errors import ConfigError, MafdnError, UsageError

# The base class of all command-line errors; typer only exports this subclass of it.
COMMAND_LINE_ERROR = cast(type[Exception], typer.BadParameter.__mro__[1])
HELP_SHOWN = "NoArgsIsHelpError"
"""Class of the error whose message is the help of a command that was called without arguments."""
DEBUG = "MAFDN_DEBUG"
"""Environment variable that shows tracebacks: of internal errors, and of errors in the user's own network."""
ORIGIN = "--allow-origin"
"""Option of `mafdn serve` whose value is a URL."""

OPTIONS = {"benches": "bench", "networks": "network"}
"""Options whose names are not those of the parameters in Python."""

app = typer.Typer(
    name="mafdn",
    help="Upscale pictures with MAFDN, a lightweight super-resolution network (reconstructed from its abstract).",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
app.command("upscale", cls=GroupedCommand, short_help="Upscale pictures and films, or folders of them.")(
    upscale_command
)
app.command("verify", cls=GroupedCommand)(verify_command)
app.command("serve", cls=GroupedCommand)(serve_command)
app.command("mcp", cls=GroupedCommand)(mcp_command)
app.add_typer(fleet_app, name="fleet")
app.command("info")(info_command)
app.command("count")(count_command)
app.command("evaluate", cls=GroupedCommand)(evaluate_command)
app.command("compare", cls=GroupedCommand)(compare_command)
app.command("bench", cls=GroupedCommand)(bench_command)
app.add_typer(bank_app, name="bank", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.command("ablate")(ablate_command)
app.command("release")(release_command)
app.command("export")(export_command)
app.command("prune")(prune_command)
app.command("quantize")(quantize_command)
app.command("convert")(convert_command)


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"mafdn {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    del version


def main() -> None:
    """Run the command line and exit; errors never print a traceback."""
    for stream in (sys.stdout, sys.stderr):  # file names may not be valid Unicode
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for number in stop_signals():
        signal.signal(number, _stop)
    code = run()
    try:
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - it may be closed
            sys.stdout.flush()
    except OSError as error:
        code = _no_output(error)
    gc.freeze()  # or the interpreter spends a tenth of a short command on collecting garbage before it exits
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line (default: `sys.argv`) and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _refuse_urls(arguments)
        code = app(arguments or ["--help"], standalone_mode=False)
        if not arguments:
            return 2
    except COMMAND_LINE_ERROR as error:
        if type(error).__name__ == HELP_SHOWN:
            typer.echo(cast(Any, error).format_message())
            return 2
        return _fail(cast(Any, error).format_message().replace(": Value error, ", ": "), 2)
    except MafdnError as error:
        if os.environ.get(DEBUG) and error.__cause__:
            raise
        return _fail(_with_option(error), _exit_code(error))
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", STOPPED)
    except OSError as error:
        return _system_error(error, arguments)
    except SystemExit as end:  # typer ends the program at any broken pipe
        if not isinstance(end.__context__, OSError):
            raise
        return _system_error(end.__context__, arguments)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        if is_out_of_memory(error):
            return _fail(f"out of memory; {memory_advice(arguments)}", 1)
        name = type(error).__name__
        return _fail(f"internal error, {name}: {error} (please report it; set {DEBUG}=1 to see the traceback)", 1)
    if code == STOPPED:
        return _fail("stopped", STOPPED)
    return code if isinstance(code, int) else 0


def _system_error(error: OSError, arguments: list[str]) -> int:
    """Report an error of the system and return the exit code."""
    if error.filename is not None:
        return _fail(f"cannot use {error.filename}: {error.strerror}", 1)
    if is_output_error(error):
        return _no_output(error)
    if os.environ.get(DEBUG):
        raise error
    if is_out_of_memory(error):
        return _fail(f"out of memory; {memory_advice(arguments)}", 1)
    return _fail(f"{error.strerror or error} (set {DEBUG}=1 to see where)", 1)


def _refuse_urls(arguments: list[str]) -> None:
    """Raise `UsageError` for a URL, as an argument or the value of an option; some commands take `file:` URIs.

    Fleets read stores, and --allow-origin takes the address of a site.
    """
    if arguments[:1] == ["fleet"]:
        return
    for before, text in itertools.pairwise(["", *arguments]):
        if ORIGIN in (before, text.partition("=")[0]):
            continue
        if text.startswith("-"):
            text = text.partition("=")[2] if text.startswith("--") else text[2:]
        if not (arguments[0] in ("upscale", "verify") and text.lower().startswith("file:")):
            refuse_url(text)


def _with_option(error: MafdnError) -> str:
    """The message of an error, with the option that it says to change."""
    option = OPTIONS.get(error.setting, error.setting).replace("_", "-")
    return f"{error} (--{option})" if option else str(error)


def _exit_code(error: MafdnError) -> int:
    if isinstance(error, CommandStoppedError):
        return STOPPED
    return 2 if isinstance(error, UsageError | ConfigError) else 1


def _stop(*_: object) -> None:
    """Handle a signal to stop by unwinding the command, so that nothing half-written remains."""
    STOP_REQUESTED.set()
    raise KeyboardInterrupt


def _no_output(error: OSError) -> int:
    """Handle an output that cannot be written, and keep the interpreter from flushing it again at exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:  # the reader has closed the pipe
        return 1
    return _fail(f"cannot write the output: {error.strerror or error}", 1)


def _fail(message: str, code: int) -> int:
    line = printable(" ".join(message.split()))
    print(f"mafdn: {line}", file=sys.stderr)
    return code
