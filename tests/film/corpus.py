"""A child that upscales the films it is told, for tests with damaged ones: `python -m tests.film.corpus FOLDER`.

It reads a path a line, and answers each with a line of JSON: the error, or the number of frames and the notes.
"""

import json
import sys
from pathlib import Path

from mafdn.errors import MafdnError
from mafdn.pictures.limits import Limits
from tests.film.support import run

SECONDS, PIXELS = 30.0, 200_000
"""Limits for each film."""


def main(folder: Path) -> None:
    for number, line in enumerate(sys.stdin):
        source, target = Path(line.rstrip("\n")), folder / f"{number}.mkv"
        said: dict[str, object] = {"error": None, "frames": 0, "notes": []}
        try:
            limits = Limits(seconds=SECONDS, pixels=PIXELS)
            report = run(source, target, limits=limits, codec="ffv1", segment_frames=7)
            said |= {"frames": report.frames, "notes": report.notes}
        except MafdnError as error:
            said["error"] = str(error)
        said["made"] = target.is_file()
        target.unlink(missing_ok=True)
        said["left"] = [path.name for path in folder.iterdir()]
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
