"""The child's end of the lines of JSON between the server and its processes."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

LIKELY_VICTIM = "600"
"""Points that make the kernel end this process rather than the server when memory runs out (Linux)."""


class Channel:
    """Standard input and output, as messages; whatever else is printed goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, event: str, *, payload: bytes | None = None, **values: object) -> None:
        """Send a message, followed by bytes if there are any; the process ends if the server has."""
        message: dict[str, object] = {"event": event, **values}
        if payload is not None:
            message["payload"] = len(payload)
        line = json.dumps(message, default=str).encode() + b"\n"
        try:
            with self._lock:
                self._out.write(line + payload if payload else line)
                self._out.flush()
        except OSError:
            os._exit(1)

    def messages(self) -> Iterator[dict[str, Any]]:
        """Receive messages until the server closes the channel or ends."""
        for line in sys.stdin.buffer:
            yield json.loads(line)


def become_child() -> Channel:
    """Prepare this process: signals are the server's concern, files are private, libvips reads known formats only."""
    from mafdn.pictures.reading import block_other_loaders

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    with suppress(OSError):  # not on Linux
        Path("/proc/self/oom_score_adj").write_text(LIKELY_VICTIM)
    channel = Channel()
    block_other_loaders()
    return channel


def describe_failure(error: BaseException) -> dict[str, str]:
    """Return the message and the class of an error, for the server; unexpected ones are written to standard error."""
    import traceback

    from mafdn._support.memory import is_out_of_memory
    from mafdn.errors import MafdnError

    if isinstance(error, MafdnError):
        return {"error": str(error), "fault": type(error).__name__}
    if is_out_of_memory(error):
        return {"error": "out of memory; use a smaller size or a smaller tile", "fault": "OutOfMemoryError"}
    traceback.print_exception(error)
    return {"error": f"internal error, {type(error).__name__}; the log of the server says more", "fault": "internal"}
