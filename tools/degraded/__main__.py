"""Measure and draw what the photo weights do with degraded pictures, and update README.md and docs/photo.md.

    python -m tools.degraded [--only {tables,pictures}] [--photo FILE] [--peer FILE ...] [--shared FOLDER]

Stores the scores in docs/results/degraded.json and crops in docs/photo-*.png. Cached scores are used (`--fresh` ignores
them), so after a change of the weights only these are measured. The benchmark datasets and photographs are expected in
FOLDER/data/bench and FOLDER/data/photos (docs/data.md); what lacks its data is skipped.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mafdn._support.atomic import replacing
from tools.degraded.measure import BENCHES, measure
from tools.degraded.pictures import PHOTO_PLACES, drawings
from tools.degraded.tables import STORED, write_report
from tools.documents.update import PROJECT, refresh


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("tables", "pictures"))
    parser.add_argument("--photo", default="photo", help="other weights than the shipped: FILE-x{scale}.onnx")
    parser.add_argument("--peer", action="extend", nargs="+", default=[], metavar="FILE", help="IMDN_x{scale}.pth")
    parser.add_argument("--fresh", action="store_true", help="ignore cached scores")
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("MAFDN_SHARED", PROJECT.parent / "shared")))
    parser.add_argument("--output", type=Path, default=PROJECT, help="the repository to update")
    chosen = parser.parse_args(arguments)
    bench, photos, docs = chosen.shared / "data" / "bench", chosen.shared / "data" / "photos", chosen.output / "docs"

    def tables() -> None:
        report = {"command": command(chosen.peer)}
        report |= measure(bench, photo=chosen.photo, peers=chosen.peer, fresh=chosen.fresh)
        with replacing(chosen.output / STORED) as temporary:
            write_report(temporary, report)

    sets = [bench / name for name in BENCHES]
    if chosen.only != "pictures":
        attempt(str(STORED), sets, tables)
    for name, draw in drawings(bench / "B100", photos, network=chosen.photo).items() if chosen.only != "tables" else ():
        needed = [photos / f"{place.picture}.jpg" for place in PHOTO_PLACES] if "camera" in name else [bench / "B100"]
        attempt(f"docs/{name}", needed, lambda draw=draw, name=name: draw(docs / name))
    for path in refresh(chosen.output):
        print(path)


def attempt(name: str, needed: list[Path], make: Callable[[], None]) -> None:
    """Make something, or say which of its data are missing."""
    missing = next((path for path in needed if not path.exists()), None)
    if missing:
        print(f"skipped {name}: there is no {missing} (docs/data.md)", file=sys.stderr)
    else:
        make()
        print(f"made {name}", file=sys.stderr)


def command(peers: list[str]) -> str:
    """The command line, with files named without their folders."""
    return " ".join(["python -m tools.degraded", *(f"--peer {Path(peer).name}" for peer in peers)])


if __name__ == "__main__":
    main()
