import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from mafdn.errors import DamagedError, EncodeError
from mafdn.film.frame import FilmFrame, Pixels
from mafdn.film.pipeline import pump


def frames(count: int, *, fail_at: int | None = None, taken: list[int] | None = None) -> Iterator[FilmFrame]:
    for number in range(count):
        if number == fail_at:
            raise DamagedError("broken")
        if taken is not None:
            taken.append(number)
        yield FilmFrame(number, number * 2, 2, np.full((1, 1, 3), number % 256, np.uint8))


def same(pixels: Pixels) -> Pixels:
    return pixels


def test_every_frame_is_written_once_in_order_by_one_other_thread() -> None:
    written: list[tuple[int, int]] = []
    threads: set[int] = set()

    def write(frame: FilmFrame, pixels: Pixels) -> None:
        written.append((frame.number, int(pixels[0, 0, 0])))
        threads.add(threading.get_ident())

    assert pump(frames(200), lambda pixels: pixels + 1, write) == 200
    assert written == [(number, (number + 1) % 256) for number in range(200)]
    assert len(threads) == 1
    assert threads.isdisjoint({threading.get_ident()})


def test_no_more_frames_are_decoded_than_fit_into_the_queues() -> None:
    taken: list[int] = []
    ahead: list[int] = []

    def slow(frame: FilmFrame, _pixels: Pixels) -> None:
        time.sleep(0.005)
        ahead.append(len(taken) - frame.number)

    pump(frames(60, taken=taken), same, slow, depth=2)
    # One being written, 2 waiting, one being upscaled, 2 waiting, one being decoded.
    assert max(ahead) <= 7


@pytest.mark.parametrize("stage", ["decode", "upscale", "write"])
def test_an_error_of_any_stage_ends_all_and_is_raised(stage: str) -> None:
    written: list[int] = []

    def upscale(pixels: Pixels) -> Pixels:
        if stage == "upscale" and pixels[0, 0, 0] == 20:
            raise KeyboardInterrupt
        return pixels

    def write(frame: FilmFrame, _pixels: Pixels) -> None:
        if stage == "write" and frame.number == 20:
            raise EncodeError("disk full")
        written.append(frame.number)

    expected = {"decode": DamagedError, "upscale": KeyboardInterrupt, "write": EncodeError}[stage]
    before = set(threading.enumerate())
    with pytest.raises(expected):
        pump(frames(10_000, fail_at=20 if stage == "decode" else None), upscale, write)
    for thread in set(threading.enumerate()) - before:  # they end soon, but are not waited for
        thread.join(60)
        assert not thread.is_alive()
    assert written == list(range(len(written)))
    assert len(written) <= 20


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("count", [2, 50])  # at the end, it waits for threads; before, for frames
def test_repeated_ctrl_c_waits_for_the_frame_that_is_written(count: int) -> None:
    """The file of the segment is closed afterwards, which must not happen while a thread writes to it."""
    main = threading.main_thread().ident
    assert main is not None
    ended = threading.Event()

    def write(_frame: FilmFrame, _pixels: Pixels) -> None:
        for _ in range(3):
            time.sleep(0.3)
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.3)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        pump(frames(count), same, write)
    waited = ended.is_set()
    while not ended.is_set():
        with suppress(KeyboardInterrupt):
            ended.wait(1)
    assert waited


def test_no_frames(tmp_path: Path) -> None:
    assert pump(frames(0), same, lambda _frame, _pixels: (tmp_path / "x").touch()) == 0
    assert not list(tmp_path.iterdir())
