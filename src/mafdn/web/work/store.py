"""The jobs of a server, in memory and in a private folder."""

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

from mafdn._support.atomic import replacing
from mafdn.web.work.jobs import FINISHED, JOB_NAME, RECORD, Job


class JobStore:
    """All jobs, in memory and in a folder.

    Args:
        folder: Private folder; jobs are in `jobs` below it.
        disk_bytes: Most bytes of uploads and results together.
    """

    def __init__(self, folder: Path, disk_bytes: int) -> None:
        self._folder, self._disk_bytes = folder / "jobs", disk_bytes
        self._jobs: dict[str, Job] = {}
        self._reserved = 0

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, name: str) -> Job | None:
        """Return the job of this identifier; only those in memory are known, no path is ever made of it."""
        return self._jobs.get(name)

    def listed(self) -> list[Job]:
        """Return the jobs that clients see, the oldest first."""
        return [job for job in self._jobs.values() if not job.ephemeral]

    def load(self) -> list[Job]:
        """Read the folder after a start: unfinished jobs are queued again, whatever is incomplete is removed.

        Returns:
            The unfinished jobs, the oldest first.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found: list[Job] = []
        for path in self._folder.iterdir():
            job = _read(path) if JOB_NAME.fullmatch(path.name) else None
            if job is None or not (path / job.source_name).is_file():
                _remove(path)
                continue
            if job.state not in FINISHED or (job.state == "done" and not (path / (job.result_file or "-")).is_file()):
                job.reset()
            for file in path.iterdir():
                if file.name not in (RECORD, job.source_name, job.result_file):
                    _remove(file)
            found.append(job)
        found.sort(key=lambda job: job.created)
        self._jobs = {job.id: job for job in found}
        return [job for job in found if job.state == "queued"]

    def new_folder(self) -> Path:
        """Create a folder whose name is the identifier of a new job; raises `OSError`.

        It is removed at the next start unless `add` follows.
        """
        path = self._folder / secrets.token_hex(16)
        path.mkdir(mode=0o700)
        return path

    def folder_of(self, job: Job) -> Path:
        """The folder of a job."""
        return self._folder / job.id

    def source(self, job: Job) -> Path:
        """The uploaded file of a job."""
        return self.folder_of(job) / job.source_name

    def result(self, job: Job) -> Path | None:
        """The result of a job; `None` if there is none."""
        return None if job.result_file is None else self.folder_of(job) / job.result_file

    def add(self, job: Job) -> None:
        """Take in a job whose folder exists; raises `OSError` if it cannot be written down."""
        self.save(job)
        self._jobs[job.id] = job

    def save(self, job: Job) -> None:
        """Write down the state of a job, unless it is one that is not kept."""
        if not job.ephemeral:
            with replacing(self.folder_of(job) / RECORD) as temporary:
                temporary.write_text(json.dumps(asdict(job), default=str), "utf-8")

    def remove_results(self, job: Job) -> None:
        """Remove all files of a job but its upload and its record."""
        for path in self.folder_of(job).iterdir():
            if path.name not in (RECORD, job.source_name):
                _remove(path)

    def hide(self, job: Job) -> None:
        """Make a job one that is neither listed nor found by the next start; its files are still in use."""
        job.ephemeral = True
        (self.folder_of(job) / RECORD).unlink(missing_ok=True)

    def forget(self, job: Job) -> None:
        """Remove a job and its files."""
        self._jobs.pop(job.id, None)
        _remove(self.folder_of(job))

    def discard(self, path: Path) -> None:
        """Remove the folder of an upload that became no job."""
        _remove(path)

    @property
    def used_bytes(self) -> int:
        """Bytes of all uploads and results, and of what is being uploaded."""
        return self._reserved + sum(job.disk_bytes for job in self._jobs.values())

    @property
    def is_receiving(self) -> bool:
        """Whether disk space is reserved for uploads."""
        return self._reserved > 0

    def has_room(self, count: int) -> bool:
        """Return whether there is disk space for so many more bytes."""
        return self.used_bytes + count <= self._disk_bytes

    def reserve(self, count: int) -> None:
        """Reserve disk space for an upload."""
        self._reserved += count

    def release(self, count: int) -> None:
        """Return reserved disk space."""
        self._reserved -= count


def _read(path: Path) -> Job | None:
    """Read a job from its folder; `None` if that is not one."""
    try:
        record = json.loads((path / RECORD).read_text("utf-8"))
        known = {f.name for f in fields(Job)}
        job = Job(**{key: value for key, value in record.items() if key in known})
        job.size = None if job.size is None else (job.size[0], job.size[1])
        job.new_size = None if job.new_size is None else (job.new_size[0], job.new_size[1])
        plain = all(Path(name).name == name for name in (job.source_name, job.result_file or "x"))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        return None
    return job if job.id == path.name and plain else None


def _remove(path: Path) -> None:
    """Remove a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
