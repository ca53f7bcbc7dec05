"""Time stamps of the joined video."""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Generic, TypeVar

from mafdn.errors import EncodeError

Item = TypeVar("Item")
MOST_REORDERED = 34
"""Packets after which the frame that is shown next has come: encoders use at most 16 B-frames in a row."""


@dataclass
class Timed(Generic[Item]):
    """A packet with its time stamps.

    Attributes:
        item: The packet.
        pts: When it is shown.
        dts: When it is decoded: strictly increasing, and not after `pts`.
        duration: How long it is shown.
    """

    item: Item
    pts: int
    dts: int
    duration: int = 0


def timed(packets: Iterable[tuple[int, Item]], *, delay: int, step: int, last: int) -> Iterator[Timed[Item]]:
    """Compute decoding times and durations from the presentation times of packets in their order of decoding.

    The sorted presentation times of all packets are the decoding times of the packets `delay` places later. Encoders
    assign them in this way, too, but each segment was encoded by itself, and its first decoding times would lie
    before the last ones of the segment before.

    Args:
        packets: Presentation time and packet; the times are all different.
        delay: Packets by which decoding is ahead of presentation at most.
        step: Distance of the decoding times before the first presentation time.
        last: Duration of the packet that is shown last.

    Yields:
        The packets in the same order.

    Raises:
        EncodeError: `delay` is too small.
    """
    ahead = MOST_REORDERED if delay else 1
    waiting: deque[Timed[Item]] = deque()
    undone: list[int] = []  # a heap of presentation times that are not yet decoding times
    known: list[int] = []  # the latest presentation times, sorted
    first, before = 0, None
    for number, (pts, item) in enumerate(packets):
        first = pts if number == 0 else first
        heappush(undone, pts)
        dts = heappop(undone) if number >= delay else first - (delay - number) * step
        if dts > pts or (before is not None and dts <= before):
            raise EncodeError(f"the encoder reordered frames by more than {delay}; choose another codec")
        before = dts
        insort(known, pts)
        del known[: -4 * ahead]
        waiting.append(Timed(item, pts, dts))
        if len(waiting) > ahead:
            yield _with_duration(waiting.popleft(), known, last)
    while waiting:
        yield _with_duration(waiting.popleft(), known, last)


def _with_duration(packet: Timed[Item], known: list[int], last: int) -> Timed[Item]:
    place = bisect_right(known, packet.pts)
    packet.duration = known[place] - packet.pts if place < len(known) else last
    return packet
