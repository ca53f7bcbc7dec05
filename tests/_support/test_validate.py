"""Argument validation: values are converted, or refused with a one-line message."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mafdn._support.validate import as_kind, as_number, as_path, as_whole
from mafdn.errors import UsageError
from mafdn.pictures.limits import Limits


@pytest.mark.parametrize("value", ["a/b", Path("a/b")])
def test_paths_are_accepted(value: object) -> None:
    assert as_path("it", value) == Path("a/b")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "it is an empty string (an unset shell variable?)"),
        ("a\0b", "it a\\x00b is not a valid path: it contains a NUL character"),
        (b"bytes", "it must be a path, not the bytes b'bytes'"),
        (3, "it must be a path, not the int 3"),
        (["x" * 99], "it must be a path, not the list passed"),
    ],
)
def test_invalid_paths_are_refused(value: object, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_path("it", value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [1.5, np.float32(1.5), Fraction(3, 2)])
def test_numbers_are_accepted(value: object) -> None:
    assert as_number("it", value) == 1.5


def test_float32_values_become_their_shortest_decimal() -> None:
    assert as_number("it", np.float32(1.1)) == 1.1


@pytest.mark.parametrize("value", [True, "2", None, Decimal(2), 1j])
def test_other_values_are_refused_as_numbers(value: object) -> None:
    with pytest.raises(UsageError, match="it must be a number, not the"):
        as_number("it", value)


@pytest.mark.parametrize("value", [-1, 1.01, float("nan"), float("inf")])
def test_numbers_out_of_bounds_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match="must be between 0 and 1, not"):
        as_number("it", value, least=0, most=1)


def test_only_whole_numbers_are_accepted_as_such() -> None:
    assert [as_whole("it", value) for value in (2, 2.0, np.int64(2), np.uint8(2))] == [2, 2, 2, 2]
    for value in (2.5, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="it must be a whole number"):
            as_whole("it", value)


def test_only_instances_of_the_class_are_accepted() -> None:
    limits = Limits()
    assert as_kind("it", limits, Limits) is limits
    with pytest.raises(UsageError, match="it must be a str, not the int 3"):
        as_kind("it", 3, str)
