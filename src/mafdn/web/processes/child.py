"""The server's end of the lines of JSON between it and its processes."""

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

END_SECONDS = 5.0
"""Time for a process to end after it has closed its output."""
LONGEST_LINE = 2**24
"""Most bytes of a message; a report lists a few notes."""

logger = logging.getLogger("mafdn.web")
Message = dict[str, Any]


class Child:
    """A running process of `mafdn.web.processes`.

    Create it by `start`.

    Attributes:
        alive: Whether it has neither ended nor been told to.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._task: asyncio.Task[None] | None = None
        self.alive = True

    @classmethod
    async def start(
        cls,
        module: str,
        setup: Message,
        *,
        on_message: Callable[[Message, bytes], None],
        on_end: Callable[[int], None],
    ) -> "Child":
        """Start a process.

        Args:
            module: Its module below `mafdn.web.processes`.
            setup: Its first message.
            on_message: Called with each message from it, and the bytes that follow the message.
            on_end: Called once with its exit code when it has ended; negative for a signal.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"mafdn.web.processes.{module}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        child = cls(process)
        child.send(setup)
        child._task = asyncio.create_task(child._listen(on_message, on_end))
        return child

    def send(self, message: Message) -> None:
        """Send a message; nothing happens if the process has ended, which is reported by `on_end`."""
        stdin = self._process.stdin
        if self.alive and stdin is not None and not stdin.is_closing():
            stdin.write(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """Let the process end by itself."""
        self.alive = False
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End the process at once."""
        self.alive = False
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> None:
        """Wait until it has ended and `on_end` was called."""
        if self._task is not None:
            await self._task

    async def _listen(self, on_message: Callable[[Message, bytes], None], on_end: Callable[[int], None]) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            while line := await stdout.readline():
                message = json.loads(line)
                payload = await stdout.readexactly(message["payload"]) if "payload" in message else b""
                try:
                    on_message(message, payload)
                except Exception:
                    logger.exception("internal error at a message of a process")
        except (asyncio.IncompleteReadError, ValueError):  # it ended in the middle of a message
            pass
        self.alive = False
        try:  # signals to a process that has ended would lose its exit code
            code = await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            self.kill()
            code = await self._process.wait()
        on_end(code)


def ending(code: int) -> str:
    """Return how a process with this exit code ended, in words."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
