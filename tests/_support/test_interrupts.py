"""Steps that Ctrl-C does not divide; where it is raised within `pytest.raises` is the point of most of these."""

import signal
import threading

import pytest

from mafdn._support.interrupts import undivided


def test_ctrl_c_waits_for_the_end_of_a_step() -> None:
    done: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with undivided():
            signal.raise_signal(signal.SIGINT)
            done.append(1)
        done.append(2)
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_does_not_wait() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt), undivided():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        done.append(1)
        signal.raise_signal(signal.SIGINT)
        done.append(2)
    assert done == [1]


def test_ctrl_c_goes_before_an_error_of_the_step() -> None:
    with pytest.raises(KeyboardInterrupt), undivided():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        raise ValueError


def test_other_threads_and_ignored_signals_are_left_alone() -> None:
    found: list[object] = []

    def step() -> None:
        with undivided():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        step()
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert found[1] is signal.SIG_IGN
