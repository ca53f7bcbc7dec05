"""Packages, their audit, and the list of what is shipped."""

from typing import Any

import pytest

from tools.audit import judge
from tools.packages import IN_SOURCES, IN_WHEEL, PackageError, build_checked, refuse_others
from tools.sbom import license_table

FAULT = {"id": "PYSEC-1", "fix_versions": ["2.1"]}


def test_files_that_do_not_belong_into_a_package_are_refused() -> None:
    good = ["mafdn/api.py", "mafdn/weights/mafdn-x4.onnx", "mafdn-0.1.0.data/data/share/man/man1/mafdn.1"]
    refuse_others("a.whl", good, IN_WHEEL)
    for name in ("tests/test_api.py", "mafdn/notes.txt", "mafdn/__pycache__/api.cpython-311.pyc", "runs/a.onnx"):
        with pytest.raises(PackageError, match=r"a\.whl has files that do not belong into it"):
            refuse_others("a.whl", [*good, name], IN_WHEEL)
    with pytest.raises(PackageError, match=r"docs/tiles\.md"):
        refuse_others("a.tar.gz", ["src/mafdn/api.py", "docs/tiles.md"], IN_SOURCES)


@pytest.mark.parametrize(
    ("dependencies", "complaint", "code", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], "", 0, "1 packages were audited, 0 faults"),
        ([{"name": "a", "version": "1", "vulns": [FAULT]}], "", 1, "a 1: PYSEC-1, fixed in 2.1"),
        ([{"name": "a", "skip_reason": "not found"}], "", 0, "cannot be reached"),
        ([], "ConnectionError: no route", 0, "cannot be reached"),
        ([], "invalid requirement", 1, "invalid requirement"),
    ],
)
def test_an_audit_fails_for_faults_and_not_for_a_missing_database(
    dependencies: list[dict[str, Any]], complaint: str, code: int, words: str
) -> None:
    text, found = judge(dependencies, complaint)
    assert (found, words in text) == (code, True)


def test_licenses_are_listed_as_stated() -> None:
    components = [
        {"name": "b", "version": "2", "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "Zlib"}}]},
        {"name": "a", "version": "1", "licenses": [{"expression": "BSD-3-Clause"}]},
        {"name": "c", "version": "3"},
        {"name": "mafdn", "version": "0"},
    ]
    table = license_table({"components": components})
    rows = ["| a | 1 | BSD-3-Clause |", "| b | 2 | MIT, Zlib |", "| c | 3 | not stated |"]
    assert table.splitlines()[-3:] == rows


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_packages_are_reproducible_and_hold_what_belongs_into_them(tmp_path: Any) -> None:
    assert [path.suffix for path in build_checked(tmp_path)] == [".gz", ".whl"]
