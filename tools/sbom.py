"""Write what is shipped: the packages that a bare install brings, as CycloneDX, and their licenses as a table.

    python -m tools.sbom dist/mafdn-0.1.0-py3-none-any.whl dist

The wheel is installed into a new environment, whose packages are listed: `sbom.json` and `licenses.md` in the folder.
Parts that other authors made and that are inside of the wheel are in the table, too.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from mafdn._support.atomic import replacing
from mafdn.evaluation.tables import markdown_table

INSIDE = [
    ["mafdn, code", "", "Apache-2.0"],
    ["mafdn, weights", "", "see the model card: some of the training data permit non-commercial research only"],
    ["Inter (font in mafdn/web/page/fonts)", "", "OFL-1.1"],
]
"""What is inside of the wheel, and not a package."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path, help="where both files are written")
    arguments = parser.parse_args()
    bill = bill_of(arguments.wheel)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("sbom.json", json.dumps(bill, indent=1) + "\n"), ("licenses.md", license_table(bill))):
        with replacing(arguments.folder / name) as temporary:
            temporary.write_text(text, "utf-8")


def bill_of(wheel: Path) -> dict[str, Any]:
    """Return the CycloneDX list of a new environment with the wheel; raises `CalledProcessError`."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
        subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "pip", "setuptools"], check=True)
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", str(python)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def license_table(bill: dict[str, Any]) -> str:
    """Return a Markdown table of all components and their licenses."""
    rows = [[c["name"], c.get("version", ""), _licenses(c)] for c in bill["components"] if c["name"] != "mafdn"]
    return markdown_table(["part", "version", "license"], [*INSIDE, *sorted(rows)]) + "\n"


def _licenses(component: dict[str, Any]) -> str:
    found: list[str] = []
    for entry in component.get("licenses", []):
        detail = entry.get("license", {})
        found.append(entry.get("expression") or detail.get("id") or detail.get("name") or "")
    return ", ".join(dict.fromkeys(name.splitlines()[0] for name in found if name)) or "not stated"


if __name__ == "__main__":
    main()
