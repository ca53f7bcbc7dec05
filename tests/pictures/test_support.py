"""What each format keeps, read back by other libraries, and the table of it in the documentation."""

import json
from pathlib import Path

import pytest

from mafdn.pictures.codecs import FORMATS
from tests.conftest import ROOT
from tests.pictures.support import CASES, COLUMNS, outcome

STORED_AT = ROOT / "docs" / "results" / "support.json"

CELLS = [(name, column) for name, cases in CASES.items() for column in cases]
STORED = json.loads(STORED_AT.read_text())


@pytest.mark.parametrize(("name", "column"), CELLS, ids=[f"{name}-{column}" for name, column in CELLS])
def test_every_property_is_kept_or_noted_as_documented(name: str, column: str, tmp_path: Path) -> None:
    assert outcome(name, column, tmp_path) == STORED["formats"][name][column]


def test_the_documented_matrix_has_every_case() -> None:
    assert set(CASES) | {"HEIC"} == set(FORMATS), "HEIC has no encoder here"
    assert [(name, column) for name, outcomes in STORED["formats"].items() for column in outcomes] == CELLS
    assert tuple(STORED["properties"]) == COLUMNS
    assert {value for outcomes in STORED["formats"].values() for value in outcomes.values()} == {"yes", "noted"}
