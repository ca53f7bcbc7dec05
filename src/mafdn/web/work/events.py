"""What happens in the server, as a stream of events that clients can resume (server-sent events)."""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

MOST_KEPT = 5_000
"""Events that are kept for clients that come back."""
HEARTBEAT_SECONDS = 15.0
"""Time without events after which a comment is sent, so that proxies keep the connection."""
RETRY_MS = 2_000
"""Time after which browsers connect again."""


class Events:
    """All recent events, from which every client reads at its own pace.

    A client that falls behind, or comes back too late, gets a snapshot in place of what it missed.

    Args:
        snapshot: Returns the state of everything, the data of the event `snapshot`.
    """

    def __init__(self, snapshot: Callable[[], Any]) -> None:
        self._snapshot = snapshot
        self._boot = secrets.token_hex(4)
        self._kept: deque[str] = deque(maxlen=MOST_KEPT)
        self._next = 1
        self._news = asyncio.Event()
        self._closed = False
        self.clients = 0

    def publish(self, event: str, data: Any) -> None:
        """Send an event to all clients."""
        self._kept.append(self._text(event, data, self._next))
        self._next += 1
        self._wake()

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._wake()

    async def stream(self, last_id: str | None) -> AsyncGenerator[str]:
        """Yield events as text.

        Args:
            last_id: The last one that the client has, if it comes back.
        """
        self.clients += 1
        try:
            position = self._position(last_id)
            yield f"retry: {RETRY_MS}\n\n"
            while True:
                if position is None or position < self._next - len(self._kept):
                    position = self._next
                    yield self._text("snapshot", self._snapshot(), position - 1)
                    continue
                if position < self._next:
                    position += 1
                    yield self._kept[position - 1 - self._next]
                    continue
                if self._closed:
                    yield "event: closing\ndata: {}\n\n"
                    return
                news = self._news
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self.clients -= 1

    def _position(self, last_id: str | None) -> int | None:
        """The number of the next event for a client; `None` if it needs a snapshot."""
        boot, _, number = (last_id or "").partition("-")
        if boot != self._boot or not number.isascii() or not number.isdigit() or len(number) > 15:
            return None
        position = int(number) + 1
        return position if position <= self._next else None

    def _text(self, event: str, data: Any, number: int) -> str:
        return f"id: {self._boot}-{number}\nevent: {event}\ndata: {json.dumps(data, allow_nan=False)}\n\n"

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
