"""Find what each picture format keeps, store it in docs/results/support.json, and update the table in docs/pictures.md.

python -m tools.support_matrix

Every cell is the outcome of upscaling a file that another library made and reading the result with it.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from mafdn._support.atomic import replacing
from tests.pictures.support import CASES, COLUMNS, outcome
from tools.documents.update import PROJECT, refresh

RESULT = Path("docs", "results", "support.json")


def measure() -> dict[str, Any]:
    """Return the properties, and the outcome of every one that was tried, by format."""
    formats: dict[str, dict[str, str]] = {}
    for name, cases in CASES.items():
        formats[name] = {}
        for column in cases:
            with tempfile.TemporaryDirectory() as folder:
                formats[name][column] = outcome(name, column, Path(folder))
    return {"properties": list(COLUMNS), "formats": formats}


def main() -> None:
    with replacing(PROJECT / RESULT) as temporary:
        temporary.write_text(json.dumps(measure(), indent=2) + "\n", "utf-8")
    for path in refresh(PROJECT):
        print(path)


if __name__ == "__main__":
    main()
