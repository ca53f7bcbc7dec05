"""The server's side of its viewer processes, which are started when they are needed and end when they are idle."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect

from mafdn.errors import PictureError
from mafdn.pictures.limits import Limits
from mafdn.web.faults import ClosingError, RefusedError, error_of
from mafdn.web.processes.child import Child, Message, ending

IDLE_SECONDS = 60.0
"""Time without requests after which a viewer ends, to free its memory."""
MOST_WAITING = 200
"""Requests that may wait for a viewer."""


class ViewerProcess:
    """A viewer process that answers one request after the other.

    Args:
        folder: Private folder for its temporary files.
        limits: Limits for pictures.
        seconds: Time after which an answer is given up and the process is ended.
    """

    def __init__(self, folder: Path, limits: Limits, seconds: float) -> None:
        self._setup = {"folder": str(folder), "limits": limits_of(limits)}
        self._seconds = seconds
        self._child: Child | None = None
        self._answer: asyncio.Future[tuple[Message, bytes]] | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._closed = False
        self._number = self._generation = 0
        self._idle: asyncio.TimerHandle | None = None

    async def ask(
        self, do: str, *, is_unwanted: Callable[[], Awaitable[bool]] | None = None, **message: Any
    ) -> tuple[Message, bytes]:
        """Ask and wait for the answer.

        Args:
            do: What to do.
            is_unwanted: Returns whether the answer is wanted no longer; called when its turn comes.
            message: What the process needs for it.

        Raises:
            MafdnError: What the process raised; `PictureError` if it crashed or took too long.
            RefusedError: If too many requests wait, or the server is closing.
            ClientDisconnect: If the answer is wanted no longer.
        """
        if self._waiting >= MOST_WAITING:
            raise RefusedError(429, "too many previews are waiting; try again later", retry_after=2)
        self._waiting += 1
        try:
            async with self._turn:
                if self._closed:
                    raise ClosingError
                if is_unwanted is not None and await is_unwanted():
                    raise ClientDisconnect
                return await self._ask(do, message)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End the process; requests that wait are refused."""
        self._closed = True
        if self._idle:
            self._idle.cancel()
        if self._child:
            self._child.kill()
            await self._child.wait()
        while self._waiting:
            await asyncio.sleep(0.01)

    async def _ask(self, do: str, message: Message) -> tuple[Message, bytes]:
        if self._idle:
            self._idle.cancel()
        if self._child is None or not self._child.alive:
            self._generation += 1
            ended = partial(self._ended, self._generation)
            self._child = await Child.start("viewer", self._setup, on_message=self._received, on_end=ended)
        child, self._number = self._child, self._number + 1
        self._answer = asyncio.get_running_loop().create_future()
        child.send({"do": do, "request": self._number, **message})
        try:
            answer, payload = await asyncio.wait_for(self._answer, self._seconds)
        except TimeoutError:
            child.kill()
            raise PictureError(f"the picture takes longer than {self._seconds:g} seconds to read") from None
        finally:
            self._answer = None
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end_idle)
        if "failure" in answer:
            raise error_of(answer["failure"])
        return answer, payload

    def _received(self, message: Message, payload: bytes) -> None:
        if message.get("request") == self._number and self._answer and not self._answer.done():
            self._answer.set_result((message, payload))

    def _ended(self, generation: int, code: int) -> None:
        if generation == self._generation and self._answer and not self._answer.done():
            if self._closed:
                self._answer.set_exception(ClosingError())
                return
            error = f"the picture cannot be read: its decoder crashed ({ending(code)})"
            self._answer.set_exception(PictureError(error))

    def _end_idle(self) -> None:
        if self._child and not self._turn.locked():
            self._child.close()


def limits_of(limits: Limits) -> dict[str, Any]:
    """Return limits as a message."""
    values = asdict(limits)
    del values["began"]
    return values
