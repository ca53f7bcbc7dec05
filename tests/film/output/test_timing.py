from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mafdn.errors import EncodeError
from mafdn.film.output.timing import timed


def coded_order(times: list[int], groups: list[int], length: int) -> list[int]:
    """Order of decoding: segments of `length` frames, in which the last frame of each group comes first."""
    order: list[int] = []
    for start in range(0, len(times), length):
        segment = times[start : start + length]
        order.append(segment[0])
        place, turn = 1, 0
        while place < len(segment):
            group = segment[place : place + groups[turn % len(groups)]]
            order += [group[-1], *group[:-1]]
            place, turn = place + len(group), turn + 1
    return order


@given(
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=120),
    start=st.integers(-1000, 10_000),
    groups=st.lists(st.integers(1, 16), min_size=1, max_size=5),
    length=st.integers(1, 40),
)
def test_decoding_times_increase_and_are_not_late(gaps: list[int], start: int, groups: list[int], length: int) -> None:
    times = [start + sum(gaps[:n]) for n in range(len(gaps))]
    order = coded_order(times, groups, length)
    got = list(timed(((pts, pts) for pts in order), delay=1, step=7, last=gaps[-1]))
    assert [one.item for one in got] == order == [one.pts for one in got]
    assert all(one.dts <= one.pts for one in got)
    assert all(a.dts < b.dts for a, b in pairwise(got))
    # What is written ends each frame where the next one begins.
    assert {one.pts: one.duration for one in got} == dict(zip(times, gaps, strict=True))


def test_frames_without_reordering_are_decoded_when_they_are_shown() -> None:
    got = list(timed([(3, "a"), (10, "b"), (12, "c")], delay=0, step=5, last=4))
    assert [(one.pts, one.dts, one.duration) for one in got] == [(3, 3, 7), (10, 10, 2), (12, 12, 4)]


def test_too_much_reordering_is_an_error() -> None:
    with pytest.raises(EncodeError, match="reordered frames by more than 1"):
        list(timed([(0, 0), (30, 3), (20, 2), (10, 1), (40, 4)], delay=1, step=10, last=10))
