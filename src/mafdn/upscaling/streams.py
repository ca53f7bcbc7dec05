"""Upscaling from or to a binary stream, such as standard input and output, by way of temporary files."""

import errno
import io
import os
import select
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from mafdn._support.atomic import printable
from mafdn.errors import MafdnError, PictureError, UnsupportedError, UsageError
from mafdn.pictures.codecs.foreign.unsupported import is_film_file
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import read_header
from mafdn.upscaling.intended import Intended, intended_result
from mafdn.upscaling.networks import Networks
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Report, most_enlarged, upscale_file

STREAM = Path("-")
"""The path that reports give for a stream."""
CHUNK = 2**20
"""Most bytes that are read at a time."""


def is_stream(value: object) -> TypeGuard[BinaryIO]:
    """Whether a value is a stream rather than a path."""
    return not isinstance(value, str | os.PathLike) and (hasattr(value, "read") or hasattr(value, "write"))


def upscale_stream(
    source: Path | BinaryIO,
    target: Path | BinaryIO,
    *,
    networks: Networks,
    options: UpscaleOptions,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Upscale a picture from a stream, to a stream, or both; the result equals that of files.

    A stream is read to its end first, and a result is written to a stream when it is complete.

    Args:
        source: The picture.
        target: The result.
        networks: Chooses and opens the network.
        options: How it is upscaled and written. Without a format, a stream is written in that of the picture.
        on_progress: Called as `on_progress(done, total)` after every tile.

    Returns:
        What was done, with `-` as the path of a stream.

    Raises:
        PictureError: If the picture cannot be read, exceeds a limit, or the result cannot be written.
        UsageError: If the options contradict each other or the picture, or a stream is not binary.
        OSError: If the stream of the result cannot be written, such as a closed pipe.
    """
    if isinstance(target, io.TextIOBase) or not (isinstance(target, Path) or hasattr(target, "write")):
        raise UsageError(f"{_name_of(target, 'output')} is not a binary stream; open it with mode 'wb'")
    with tempfile.TemporaryDirectory(prefix="mafdn-") as name:
        folder = Path(name)
        names: dict[str, str] = {}
        notes: tuple[str, ...] = ()
        if isinstance(source, Path):
            path = source
        else:
            path = folder / "source"
            names[str(path)] = _name_of(source, "input")
        try:
            if not isinstance(source, Path):
                _spool(source, path, options.limits)
            if isinstance(target, Path):
                file = target
            else:
                intended = _intended(path, networks, options)
                notes, file = intended.notes, folder / f"result{intended.kind.suffixes[0]}"
                names[str(file)] = _name_of(target, "output")
            report = upscale_file(path, file, networks=networks, options=options, on_progress=on_progress)
        except MafdnError as error:
            if isinstance(error, UnsupportedError) and not isinstance(source, Path) and is_film_file(path):
                raise UnsupportedError(f"a film is not read from {names[str(path)]}; give its name") from None
            error.args = (_with_names(str(error), names),)
            raise
        if not isinstance(target, Path):
            _send(file, target)
    return replace(
        report,
        notes=(*notes, *(_with_names(note, names) for note in report.notes)),
        source=source if isinstance(source, Path) else STREAM,
        target=target if isinstance(target, Path) else STREAM,
    )


def _intended(path: Path, networks: Networks, options: UpscaleOptions) -> Intended:
    """Determine the format of a result without a name."""
    header = read_header(path, limits=options.limits, number=options.frame)
    scale = networks.scale_for(options.requested_size, *most_enlarged(header, None, options))
    size = options.effective_size(scale)
    return intended_result(header, None, options.output, size, limits=options.limits, frame=options.frame)


def _with_names(text: str, names: Mapping[str, str]) -> str:
    """Return a message with the names of streams in place of those of temporary files."""
    for temporary, shown in names.items():
        text = text.replace(printable(temporary), shown)
    return text


def _send(path: Path, stream: BinaryIO) -> None:
    """Copy a file to a stream, which may take less than it is given at a time."""
    with path.open("rb") as file:
        while data := memoryview(file.read(CHUNK)):
            while data:
                written: Any = stream.write(data)
                if written is None and isinstance(stream, io.RawIOBase):
                    raise BlockingIOError(errno.EAGAIN, "the stream of the result does not accept data now")
                data = data[len(data) if written is None else written :]  # some objects return nothing
    if hasattr(stream, "flush"):
        stream.flush()


def _spool(stream: BinaryIO, path: Path, limits: Limits) -> None:
    """Copy a stream to a file, within the limits on size and time."""
    name = _name_of(stream, "input")
    if not hasattr(stream, "read"):
        raise UsageError(f"{name} cannot be read")
    limits = limits.begun()
    read = getattr(stream, "read1", stream.read)  # what is there, without waiting for a full chunk
    size = 0
    try:
        with path.open("xb") as file:
            while True:
                _wait(stream, limits)
                limits.check_time(path)
                data: Any = read(CHUNK)
                if not isinstance(data, bytes):
                    raise UsageError(f"{name} is not a binary stream; open it with mode 'rb'")
                if not data:
                    return
                size += len(data)
                if size > limits.file_mb * 1e6:
                    raise PictureError(
                        f"{name} has more than the limit of {limits.file_mb:,g} MB", setting="max_file_mb"
                    )
                file.write(data)
    except OSError as error:
        raise PictureError.from_os_error(f"cannot read {name} into {printable(path.parent)}", error) from None


def _wait(stream: BinaryIO, limits: Limits) -> None:
    """Wait until there is something to read, but not beyond the time limit; only some systems can."""
    if limits.seconds is None or os.name != "posix":
        return
    left = limits.seconds - (time.monotonic() - limits.began)
    with suppress(AttributeError, OSError, ValueError):  # not a file of the system, which never waits
        select.select([stream.fileno()], [], [], max(0.0, left))


def _name_of(stream: Any, kind: str) -> str:
    """Return the name of a stream in messages."""
    standard = sys.stdin if kind == "input" else sys.stdout
    number: Any = None
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):  # not a file of the system
        return f"the {kind} stream"
    own = stream is getattr(standard, "buffer", None) or number == (0 if kind == "input" else 1)
    return f"standard {kind}" if own else f"the {kind} stream"
