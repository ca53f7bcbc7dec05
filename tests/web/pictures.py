"""Small pictures for tests of servers."""

from pathlib import Path

import numpy as np
import pyvips


def write_picture(path: Path, width: int, height: int, *, bands: int = 3) -> bytes:
    """Write a picture with some structure, and return the bytes of the file."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [(rows * (3 + band) + columns * (5 - band)) % 256 for band in range(bands)]
    pyvips.Image.new_from_array(np.stack(planes, axis=2).astype(np.uint8)).write_to_file(str(path))
    return path.read_bytes()
