"""Slow and rude clients: time limits for headers and answers, and an end of bodies that nobody wants."""

import asyncio
import time
from collections.abc import Callable
from typing import cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEADER_SECONDS = 20.0
"""Longest time for the headers of a request, or for the first byte of a connection."""
SEND_SECONDS = 60.0
"""Longest time in which a client does not take the 64 KiB of its answer that are waiting for it."""
LINGER_SECONDS, LINGER_BYTES = 2.0, 2**24
"""How much of a refused body is read, so that the client sees the answer."""


class Connections:
    """Middleware that ends refused uploads politely, and counts requests.

    Args:
        app: The application.
        on_request: Called as `on_request(method, route, status, seconds)` after every answer.
    """

    def __init__(self, app: ASGIApp, *, on_request: Callable[[str, str, int, float], None]) -> None:
        self._app, self._on_request = app, on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, expects=any(name == b"expect" for name, _ in scope["headers"]))
        began = time.monotonic()
        try:
            await self._app(scope, exchange.receive, exchange.send)
            await exchange.linger()
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._on_request(scope["method"], route, exchange.status, time.monotonic() - began)


class _Exchange:
    """One request and its answer."""

    def __init__(self, receive: Receive, send: Send, *, expects: bool) -> None:
        self._receive, self._send = receive, send
        self._expects = expects  # it sends the body only when somebody begins to read it
        self._more_body = True
        self._received = 0
        self._held: Message | None = None
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._more_body = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400 and self._more_body and not self._expects:  # perhaps nobody has read the body
                await self._peek()
            if self.status >= 400 and self._more_body:
                MutableHeaders(scope=message)["Connection"] = "close"
        elif self.status >= 400 and self._more_body and not self._expects and not message.get("more_body", False):
            self._held = {"type": "http.response.body", "body": b"", "more_body": False}
            message = {**message, "more_body": True}
        await self._send(message)

    async def linger(self) -> None:
        """Read some more of a refused body before the connection is closed: closing at once discards the answer."""
        if self._held is None:
            return
        most = self._received + LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while self._more_body and self._received < most:
                    await self.receive()
        except TimeoutError:
            pass
        await self._send(self._held)

    async def _peek(self) -> None:
        """Read what has arrived of the body: often that is all of it."""
        try:
            async with asyncio.timeout(0.01):
                await self.receive()
        except TimeoutError:
            pass


class TimedProtocol(H11Protocol):
    """HTTP connections that are closed if a client takes too long to send headers, or to take an answer."""

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what a client sends, and stop waiting when its request is there."""
        if not self._is_answering() and self._deadline is None:
            self._wait()
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait until the client has taken more of its answer."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _is_answering(self) -> bool:
        cycle = cast(RequestResponseCycle | None, self.cycle)  # which is None before the first request
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
