"""Standard output whose errors can be told from those of everything else: `ResultOutput`, `is_output_error`."""

import errno
import io
import select
import sys
from typing import Any


class OutputError(OSError):
    """Standard output cannot be written."""


class ResultOutput(io.FileIO):
    """Standard output for a picture; raises `OutputError` if it cannot be written."""

    def write(self, data: Any, /) -> int | None:
        """Write bytes, perhaps fewer than given."""
        try:
            return super().write(data)
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from None


def is_output_error(error: OSError) -> bool:
    """Whether an error means that standard output cannot be written."""
    if isinstance(error, OutputError):
        return True
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - it may be closed
        return False
    try:
        sys.stdout.flush()  # what could not be written is still there
    except OSError:
        return True
    return error.errno == errno.EPIPE and _reader_is_gone()  # nothing is left of a long text


def _reader_is_gone() -> bool:
    """Whether standard output is a pipe that nobody reads; only some systems can tell."""
    if not hasattr(select, "poll"):
        return False
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # it is no file of the system
        return False
