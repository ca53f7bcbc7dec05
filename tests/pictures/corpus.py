"""Upscale every picture of a list, one JSON line each; run in a separate process by test_hostile.py.

Reads lines "index TAB path" from stdin, so that whatever kills it is known by what is missing.
"""

import json
import resource
import sys
import time
from pathlib import Path

from mafdn.errors import MafdnError
from mafdn.pictures.reading import block_other_loaders, open_picture, read_header
from tests.support import Repeat, upscale_file

MEMORY = 3 << 30
SMALL = 1_000_000
"""Pixels; AVIF takes half a minute for a result of 50 megapixels, so larger ones are written plainly."""


def upscaled(path: Path, folder: Path) -> str:
    """What went wrong with the result; empty when nothing did. Raises :class:`MafdnError`."""
    header = read_header(path)
    ending = header.format.suffixes[0] if header.format.bits else ".png"
    if header.width * header.height >= SMALL:
        ending = ".ppm" if header.channels in (1, 3) else ".png"
    target = folder / f"result{ending}"
    report = upscale_file(path, target, engine=Repeat(), overwrite=True)
    before, after = open_picture(path), open_picture(target)
    target.unlink()
    if report.new_size != (2 * before.width, 2 * before.height) or report.new_size != (after.width, after.height):
        return "wrong size"
    if report.bits != after.bits:
        return f"{report.bits} bits told, {after.bits} written"
    if before.color.size < 300_000 and before.alpha is None:
        means = (p.color.mean((0, 1)) / (255 if p.color.itemsize == 1 else 65_535) for p in (before, after))
        if abs(next(means) - next(means)).max() > 0.05:
            return "another mean color"
    return ""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    block_other_loaders()
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        number, _, path = line.rstrip("\n").partition("\t")
        began = time.monotonic()
        answer: dict[str, object] = {"number": int(number), "error": None, "wrong": "", "seconds": 0.0}
        try:
            answer["wrong"] = upscaled(Path(path), folder)
        except MafdnError as error:
            answer["error"] = str(error)
        answer["left"] = [p.name for p in folder.iterdir()]
        answer["seconds"] = time.monotonic() - began
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
