"""Argument validation: values are converted, or refused in one line."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mafdn._support.validate import as_kind, as_number, as_path, as_whole
from mafdn.errors import UsageError
from mafdn.pictures.limits import Limits


@pytest.mark.parametrize("value", ["a/b", Path("a/b")])
def test_paths(value: object) -> None:
    assert as_path("it", value) == Path("a/b")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "it is empty (an unset shell variable?)"),
        ("a\0b", "it a\\x00b is not a file name: it contains a NUL"),
        (b"bytes", "it is a path, not the bytes b'bytes'"),
        (3, "it is a path, not the int 3"),
        (["x" * 99], "it is a path, not the list passed"),
    ],
)
def test_what_is_not_a_path(value: object, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_path("it", value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [1.5, np.float32(1.5), Fraction(3, 2)])
def test_numbers(value: object) -> None:
    assert as_number("it", value) == 1.5


def test_a_short_float_is_the_decimal_that_was_written() -> None:
    assert as_number("it", np.float32(1.1)) == 1.1


@pytest.mark.parametrize("value", [True, "2", None, Decimal(2), 1j])
def test_what_is_not_a_number(value: object) -> None:
    with pytest.raises(UsageError, match="it is a number, not the"):
        as_number("it", value)


@pytest.mark.parametrize("value", [-1, 1.01, float("nan"), float("inf")])
def test_bounds(value: float) -> None:
    with pytest.raises(UsageError, match="is not between 0 and 1"):
        as_number("it", value, least=0, most=1)


def test_whole_numbers() -> None:
    assert [as_whole("it", value) for value in (2, 2.0, np.int64(2), np.uint8(2))] == [2, 2, 2, 2]
    for value in (2.5, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="it is a whole number"):
            as_whole("it", value)


def test_instances() -> None:
    limits = Limits()
    assert as_kind("it", limits, Limits) is limits
    with pytest.raises(UsageError, match="it is a str, not the int 3"):
        as_kind("it", 3, str)
