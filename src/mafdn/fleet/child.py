"""The process that upscales the pictures of one worker: `python -m mafdn.fleet.child`.

It reads one line of setup and then one line of JSON for each picture, and answers each with a line of JSON. It ends
when its standard input does, whatever it is doing: its worker has ended.
"""

import filecmp
import glob
import json
import os
import queue
import shutil
import socket
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from mafdn._support.atomic import DISK_ERRORS, printable, sha256
from mafdn._version import __version__
from mafdn.errors import MafdnError, MissingPackageError, OutOfMemoryError, PictureError
from mafdn.fleet.options import Setup
from mafdn.fleet.storage import STATE, Entry, StorageError, Store, is_running, store_of
from mafdn.pictures.formats import Format
from mafdn.pictures.reading import block_other_loaders, read_header
from mafdn.upscaling.arguments import network_set
from mafdn.upscaling.intended import result_of_many
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.picture import Report, upscale_file

SCRATCH = "mafdn-fleet-"
"""How the names of folders for unfinished files begin; the machine and the number of a process follow."""


class PictureWork:
    """Upscales pictures of the source to the target, one after the other.

    Args:
        setup: What to do.
    """

    def __init__(self, setup: Setup) -> None:
        if setup.version != __version__:
            raise MafdnError(
                f"this machine has mafdn {__version__}, and that of the driver {setup.version}; install the same"
            )
        block_other_loaders()
        self._setup, self._target = setup, Store(setup.target)
        self._source = None if setup.source is None else Store(setup.source)
        parent = Path(self._target.path(STATE)) / "partial" if self._target.local else Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        _remove_remains(parent)
        self._scratch = parent / f"{SCRATCH}{socket.gethostname()}-{os.getpid()}"
        self._scratch.mkdir()
        self._networks = self._open_networks()

    def _open_networks(self) -> NetworkSet | AutomaticNetworks:
        network = self._setup.network
        if self._setup.network_file is not None:
            path = self._scratch / Path(network).name
            path.write_bytes(self._setup.network_file)
            network = str(path)
        return network_set(network, self._setup.engine)

    def close(self) -> None:
        """Remove unfinished files."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """Upscale one picture, given as a row of `TASK`; returns what is known of a row of `RESULT`. Never raises."""
        began = time.perf_counter()
        folder = self._scratch / "picture"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            row = self._run(task, folder)
        except Exception as error:
            reason = self._reason(task, error)
            fault = _is_fault(error) and not _lacks_decoder(error, reason, task["uri"])
            row = {"status": "failed", "reason": reason, "fault": fault}
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {"seconds": time.perf_counter() - began, **row}

    def _run(self, task: dict[str, Any], folder: Path) -> dict[str, Any]:
        source = self._fetch(task, folder)
        options, size = self._setup.options, self._setup.size
        header = read_header(source, limits=options.limits, number=options.frame)
        name = None if self._setup.name is None else Path(self._setup.name)
        intended, output = result_of_many(
            header, name, options.output, size, limits=options.limits, frame=options.frame
        )
        target = _target_for(task, intended.kind)
        local = folder / Path(target).name
        options = replace(options, output=output, size=size, overwrite=False)
        try:
            report = upscale_file(source, local, networks=self._networks, options=options)
        except MafdnError as error:
            text = str(error).replace(printable(local), printable(self._target.url_of(target)))
            raise type(error)(self._named(text, source, task), errno=error.errno) from None
        if self._is_taken(target, task, local):
            url = printable(self._target.url_of(target))
            raise PictureError(f"{url} exists, and is the name of this result by its content; use --overwrite")
        digest = sha256(local)
        written = self._target.put(local, target)
        report = replace(report, notes=(*intended.notes, *report.notes))
        return _row(report, target, digest, written) | ({"planned": task["target"]} if target != task["target"] else {})

    def _is_taken(self, target: str, task: dict[str, Any], local: Path) -> bool:
        """Whether another file has the name of a result, `local`, for which the plan does not vouch.

        The same file is there if a run was killed before it recorded the result.
        """
        if target == task["replaces"] or self._setup.options.overwrite:
            return False
        if target == task["target"] and task["replaces"] is None and self._source is not None:
            return False  # the plan has looked; the names of a list are planned in parts, and need another look
        found = self._target.info(target)
        if found is None or found.size != local.stat().st_size:
            return found is not None
        other = local.with_name("other")
        self._target.get(target, other)
        return not filecmp.cmp(local, other, shallow=False)

    def _fetch(self, task: dict[str, Any], folder: Path) -> Path:
        """Return a local file with the picture; raises `MafdnError`."""
        limit = self._setup.options.limits.file_mb
        if (task["source_size"] or 0) / 1e6 > limit:
            size = task["source_size"] / 1e6
            raise PictureError(f"{printable(task['uri'])} has {size:,.6g} MB; --max-file-mb allows {limit:,g}")
        store, name = (self._source, task["name"]) if self._source else store_of(task["uri"])
        if store.local:
            return Path(store.path(name))
        local = folder / "in" / (name.rpartition("/")[2] or "picture")
        local.parent.mkdir()
        store.get(name, local)
        return local

    def _named(self, text: str, source: Path, task: dict[str, Any]) -> str:
        return text.replace(printable(source), printable(task["uri"]))

    def _reason(self, task: dict[str, Any], error: Exception) -> str:
        folder = printable(self._scratch / "picture" / "in")
        name = task["uri"].rstrip("/").rpartition("/")[2]
        text = str(error).replace(f"{folder}/{printable(name)}", printable(task["uri"]))
        if isinstance(error, MafdnError):
            return text
        if isinstance(error, OSError):
            return f"cannot write {printable(self._target.url_of(task['target']))}: {error.strerror or error}"
        return " ".join(f"{printable(task['uri'])}: internal error, {type(error).__name__}: {text}".split())


def _remove_remains(parent: Path) -> None:
    """Remove the folders of processes of this machine that were killed."""
    for folder in parent.glob(f"{SCRATCH}{glob.escape(socket.gethostname())}-*"):
        number = folder.name.rpartition("-")[2]
        if number.isdecimal() and (int(number) == os.getpid() or not is_running(int(number))):
            shutil.rmtree(folder, ignore_errors=True)


def _target_for(task: dict[str, Any], kind: Format) -> str:
    """Return the name of a result with an ending that is true of its format, that of an earlier one if possible."""
    names = [name for name in (task["target"], task["replaces"]) if name is not None]
    fitting = (name for name in names if Path(name).suffix.lower() in kind.suffixes)
    return next(fitting, f"{task['stem']}{kind.suffixes[0]}")


def _is_fault(error: Exception) -> bool:
    """Whether an error is that of a store, a disk or a machine, so that other pictures will fail likewise."""
    number = error.errno if isinstance(error, MafdnError | OSError) else None
    return isinstance(error, StorageError | MissingPackageError | OutOfMemoryError) or number in DISK_ERRORS


def _lacks_decoder(error: Exception, reason: str, uri: str) -> bool:
    """Whether a package is missing that this picture needs to be read: such a reason begins with the picture."""
    return isinstance(error, MissingPackageError) and reason.startswith(f"{printable(uri)} ")


def _row(report: Report, target: str, digest: str, written: Entry) -> dict[str, Any]:
    return {
        "target": target,
        "status": "done",
        "network_seconds": report.network_seconds,
        "width": report.size[0],
        "height": report.size[1],
        "new_width": report.new_size[0],
        "new_height": report.new_size[1],
        "frames": report.frames,
        "network": report.engine,
        "weights": report.weights.variant if report.weights else None,
        "notes": "; ".join(report.notes) or None,
        "sha256": digest,
        "target_size": written.size,
        "target_mark": written.mark,
        "fault": False,
    }


def _answer(output: TextIO, value: dict[str, Any]) -> None:
    output.write(json.dumps(value) + "\n")
    output.flush()


def main() -> None:
    """Run the process."""
    output = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever a library prints
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    work: list[PictureWork] = []

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        for one in work:
            one.close()
        os._exit(0)  # whatever is being done: nobody waits for it

    threading.Thread(target=read, daemon=True).start()
    try:
        work.append(PictureWork(Setup.from_text(lines.get())))
    except MafdnError as error:
        _answer(output, {"broken": str(error)})
        return
    _answer(output, {"ready": True})
    while True:
        _answer(output, work[0].run(json.loads(lines.get())))


if __name__ == "__main__":
    main()
