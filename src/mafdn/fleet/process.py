"""The worker's side of its process, which may be ended by a picture or by the system."""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
from typing import Any

from mafdn.errors import MafdnError
from mafdn.fleet.options import Setup
from mafdn.fleet.storage import StorageError

END_SECONDS = 5.0
"""Time that a process has to remove its unfinished files."""
STARTS = 3
"""How often a process is started that ends at once."""
START_SECONDS = 300.0
"""Time after which a process that does not start is ended: networks may first have to be measured."""


class ProcessEndedError(Exception):
    """The process has ended, or was ended, while it worked; the message says how."""


class TooSlowError(ProcessEndedError):
    """The process was ended because its picture took too long."""


class PictureProcess:
    """A process that upscales one picture after the other, started when first needed.

    Args:
        setup: What it does.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    @property
    def number(self) -> int | None:
        """The number of the process; `None` while there is none."""
        return self._process.pid if self._process else None

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """Upscale one picture, given as a row of `TASK`; returns what is known of a row of `RESULT`.

        Raises:
            ProcessEndedError: The process has ended, or took too long and was ended; the next call starts another.
            StorageError: It cannot start, because of the target, the network, or the machine.
        """
        for number in range(1, STARTS + 1):
            try:
                if self._process is None:
                    self._start()
                break
            except ProcessEndedError as ended:
                if number == STARTS:
                    raise StorageError(f"a worker {ended} at its start; the log files of Ray say why") from None
        self._send(json.dumps(task))
        return self._receive(self._setup.hard_seconds)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if process.stdin is not None:
                process.stdin.close()  # which ends it
            process.wait(END_SECONDS)
        process.kill()
        process.wait()
        if self._reader is not None:
            self._reader.join()  # which still reads, and must not find its file closed
        if process.stdout is not None:
            process.stdout.close()

    def _start(self) -> None:
        command = [sys.executable, "-m", "mafdn.fleet.child"]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:  # such as one for lack of memory
            raise StorageError.from_os_error("cannot start a process", error) from None
        self._answers = queue.SimpleQueue()
        self._reader = threading.Thread(target=_read, args=(self._process, self._answers), daemon=True)
        self._reader.start()
        self._send(self._setup.as_text())
        answer = self._receive(START_SECONDS)
        if "broken" in answer:
            self.close()
            raise StorageError(answer["broken"])

    def _send(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode("ascii") + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None

    def _receive(self, seconds: float | None) -> dict[str, Any]:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise TooSlowError(f"took longer than {seconds:g} seconds and was ended") from None
        if answer is None:
            raise self._ended()
        return answer

    def _ended(self) -> ProcessEndedError:
        process = self._process
        assert process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        code = process.returncode
        self.close()
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else str(-code)
            hint = ", as when memory runs out" if -code == signal.SIGKILL else ""
            return ProcessEndedError(f"ended its process by {name}{hint}")
        return ProcessEndedError(f"ended its process (exit code {code})")


def _read(process: "subprocess.Popen[bytes]", answers: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
    """Hand over the answers of a process, and `None` at its end; runs in a thread of its own."""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            answers.put(json.loads(line))
    except (OSError, ValueError):  # closed, or ended within a line
        pass
    answers.put(None)


def fault_row(error: MafdnError) -> dict[str, Any]:
    """Return what is known of a row of `RESULT` if no picture can be upscaled."""
    return {"status": "failed", "reason": error.reason, "fault": True}
