"""Which pictures of a folder are upscaled, and in which order."""

import random
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from mafdn._support.atomic import printable
from mafdn.errors import UsageError
from mafdn.upscaling.folder.job import Job

Order = Literal["name", "size", "newest", "oldest", "random"]
"""By relative path; by area, the smallest first; by time of modification."""
ORDERS: tuple[str, ...] = get_args(Order)
"""All orders."""
Only = Literal["pictures", "films"]
"""The kind of files that is upscaled."""
ONLY: tuple[str, ...] = get_args(Only)
"""Both."""
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds in the units of durations."""
DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
"""A duration such as `7d` or `1d12h`."""


def as_moment(value: object, *, now: datetime | None = None) -> datetime:
    """Convert the option `since` to a moment.

    Args:
        value: A datetime, a date, a duration before `now`, or one of them as a text: ISO 8601, or such as `7d`, `12h`
            or `1d12h`. Without a time zone it is local.
        now: The current time (default: that of the system).

    Raises:
        UsageError: If it is none of these, or in the future.
    """
    now = now or datetime.now(UTC)
    shown = printable(str(value))
    try:
        if isinstance(value, str):
            text = value.strip()
            parts = re.findall(r"([\d.]+)([smhdw])", text) if DURATION.fullmatch(text) else []
            seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
            value = timedelta(seconds=seconds) if parts else datetime.fromisoformat(text)
        if isinstance(value, timedelta):
            moment = now - value
        elif isinstance(value, datetime):
            moment = value.astimezone(UTC)
        elif isinstance(value, date):
            moment = datetime(value.year, value.month, value.day).astimezone(UTC)
        else:
            raise ValueError
    except (ValueError, OverflowError):
        raise UsageError(
            f"since must be a date such as 2026-11-01 or 2026-11-01T18:30, or a duration such as 7d or 12h, "
            f"not {shown!r}"
        ) from None
    if moment > now:
        raise UsageError(f"since {shown} is in the future: no picture can be newer")
    return moment


def is_older(path: Path, since: datetime | None) -> bool:
    """Whether a file was last modified before `since`; `False` for one that cannot be found."""
    if since is None:
        return False
    modified = _modified(path)
    return modified is not None and modified < since.timestamp()


def ordered(jobs: Sequence[Job], order: Order) -> list[Job]:
    """Return jobs, which are in the order of their names, in another order."""
    jobs = list(jobs)
    if order == "size":
        jobs.sort(key=lambda job: job.size[0] * job.size[1])
    elif order in ("newest", "oldest"):
        newest_first = order == "newest"
        times = {job.source: _modified(job.source) or 0.0 for job in jobs}
        jobs.sort(key=lambda job: -times[job.source] if newest_first else times[job.source])
    elif order == "random":
        random.shuffle(jobs)
    return jobs


def _modified(path: Path) -> float | None:
    """Return the time of a file's last modification in seconds since 1970; `None` if there is no such file."""
    try:
        return path.stat().st_mtime
    except (OSError, ValueError):
        return None
