"""Events: a snapshot first, then everything in order, also for clients that come back."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from mafdn.web.work import events
from mafdn.web.work.events import Events


def collect(
    stream: Any, count: int, between: Callable[[int], None] = lambda _: None
) -> "asyncio.Future[list[tuple[str, str, Any]]]":
    """Read events as (id, name, data)."""

    async def read() -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        async for text in stream:
            fields = dict(line.split(": ", 1) for line in text.strip().splitlines() if not line.startswith(":"))
            if "event" in fields:
                found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
                between(len(found))
            if len(found) == count:
                break
        await stream.aclose()
        return found

    return asyncio.ensure_future(read())


def test_clients_get_a_snapshot_and_what_follows() -> None:
    async def run() -> None:
        hub = Events(lambda: {"jobs": []})
        hub.publish("job", {"number": 0})
        reading = collect(hub.stream(None), 3)
        await asyncio.sleep(0)
        hub.publish("job", {"number": 1})
        hub.publish("job", {"number": 2})
        found = await reading
        assert [(name, data) for _, name, data in found] == [
            ("snapshot", {"jobs": []}),
            ("job", {"number": 1}),
            ("job", {"number": 2}),
        ]
        again = await collect(hub.stream(found[1][0]), 1)
        assert again == [found[2]]
        assert hub.clients == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    "last", ["", "x", "0-1", "{boot}-x", "{boot}-999", "{boot}-", "{boot}-1" + "0" * 30, "{boot}-²"]
)
def test_unknown_places_get_a_snapshot(last: str) -> None:
    async def run() -> None:
        hub = Events(lambda: "all")
        hub.publish("job", 1)
        boot = (await collect(hub.stream(None), 1))[0][0].partition("-")[0]
        found = await collect(hub.stream(last.format(boot=boot)), 1)
        assert found[0][1:] == ("snapshot", "all")

    asyncio.run(run())


def test_clients_that_fall_behind_get_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_KEPT", 10)

    async def run() -> None:
        hub = Events(lambda: "all")

        def flood(count: int) -> None:
            if count == 1:
                for number in range(25):
                    hub.publish("job", number)

        found = await collect(hub.stream(None), 2, flood)
        assert [name for _, name, _ in found] == ["snapshot", "snapshot"]
        hub.publish("job", "next")
        assert (await collect(hub.stream(found[1][0]), 1))[0][1:] == ("job", "next")

    asyncio.run(run())


def test_streams_end_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.01)

    async def run() -> None:
        hub = Events(lambda: "all")
        texts: list[str] = []
        async for text in hub.stream(None):
            texts.append(text)
            if text.startswith(":"):
                hub.close()
        assert texts[-1] == "event: closing\ndata: {}\n\n"
        assert ": still here\n\n" in texts

    asyncio.run(run())
