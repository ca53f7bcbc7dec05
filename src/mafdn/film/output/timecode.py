"""Time codes, as SMPTE ST 12 counts frames: hours, minutes, seconds and frames."""

import re
from fractions import Fraction

TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d)")
"""A time code; the last separator is a colon unless frame numbers are dropped."""
DROPPING = 30
"""Frames per second, or a multiple of it, whose time codes may drop numbers to stay with the clock at 30000/1001."""
HOURS = 24
"""Hours after which time codes begin anew."""


def later(timecode: str, seconds: Fraction, rate: Fraction | None) -> str | None:
    """Return the time code of the frame that is shown `seconds` after another one.

    Args:
        timecode: That of the other one, such as `01:00:00:00`, or `01:00:00;00` where frame numbers are dropped.
        seconds: The time between them.
        rate: Frames per second, if known.

    Returns:
        The time code, or `None` if it cannot be computed.
    """
    found = TIMECODE.fullmatch(timecode)
    if found is None or rate is None or round(rate) < 1:
        return None
    per_second, drops = round(rate), found[4] != ":"
    if drops and per_second % DROPPING:
        return None
    hours, minutes, second, frame = (int(found[group]) for group in (1, 2, 3, 5))
    dropped = per_second // DROPPING * 2 if drops else 0
    minutes += 60 * hours
    number = (60 * minutes + second) * per_second + frame - dropped * (minutes - minutes // 10)
    return _written(number + round(seconds * rate), per_second, dropped, found[4])


def of_first_field(timecode: str) -> str:
    """Return the time code of a frame as that of its first field, where fields are counted like frames."""
    found = TIMECODE.fullmatch(timecode)
    return timecode if found is None else f"{timecode[: found.start(5)]}{2 * int(found[5]):02}"


def _written(number: int, per_second: int, dropped: int, separator: str) -> str:
    """Write the time code of frame `number` of a day; each minute but every tenth begins after `dropped` numbers."""
    minute, ten_minutes = 60 * per_second - dropped, 600 * per_second - 9 * dropped
    tens, rest = divmod(number % (6 * HOURS * ten_minutes), ten_minutes)
    number = tens * 600 * per_second + rest + dropped * (max(0, rest - dropped) // minute)
    total, frame = divmod(number, per_second)
    return f"{total // 3600:02}:{total // 60 % 60:02}:{total % 60:02}{separator}{frame:02}"
