"""Time codes of later frames."""

from fractions import Fraction

import pytest

from mafdn.film.output.timecode import later, of_first_field

NTSC = Fraction(30_000, 1_001)


@pytest.mark.parametrize(
    ("timecode", "frames", "rate", "expected"),
    [
        ("01:00:00:00", 1_500, Fraction(25), "01:01:00:00"),
        ("01:00:00:20", 7, Fraction(25), "01:00:01:02"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("10:00:00:00", 1_800, NTSC, "10:01:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 17_982, NTSC, "00:10:00;00"),
        ("01:00:59.59", 1, 2 * NTSC, "01:01:00.04"),
        ("00:00:00:00", 24, Fraction(24_000, 1_001), "00:00:01:00"),
    ],
)
def test_frames_are_counted_on(timecode: str, frames: int, rate: Fraction, expected: str) -> None:
    assert later(timecode, frames / rate, rate) == expected


def test_dropped_numbers_are_those_of_all_minutes_but_every_tenth() -> None:
    frames = [0, 1_799, 1_800, 3_597, 3_598, 3_599, 17_981, 17_983, 19_782]
    assert [later("00:00:00;00", number / NTSC, NTSC) for number in frames] == [
        *("00:00:00;00", "00:00:59;29", "00:01:00;02", "00:01:59;29", "00:02:00;02", "00:02:00;03"),
        *("00:09:59;29", "00:10:00;01", "00:11:00;02"),
    ]


@pytest.mark.parametrize(
    ("timecode", "rate"), [("1:00", Fraction(25)), ("01:00:00:00", None), ("01:00:00;00", Fraction(25))]
)
def test_what_cannot_be_counted_on_is_nothing(timecode: str, rate: Fraction | None) -> None:
    assert later(timecode, Fraction(1), rate) is None


@pytest.mark.parametrize(
    ("timecode", "expected"), [("01:00:00:24", "01:00:00:48"), ("00:01:00;02", "00:01:00;04"), ("reel 3", "reel 3")]
)
def test_fields_are_counted_like_frames(timecode: str, expected: str) -> None:
    assert of_first_field(timecode) == expected
