"""Write docs/before_after.jpg: a crop of the sample at x4 by bicubic (left) and MAFDN (right).

python -m tools.before_after
"""

from pathlib import Path

import numpy as np
import pyvips

import mafdn
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize

ROOT = Path(__file__).parents[1]
TOP, LEFT, HEIGHT, WIDTH = 40, 60, 100, 110


def main(path: Path = ROOT / "docs" / "before_after.jpg") -> None:
    crop = read_rgb8(ROOT / "samples" / "flowers.jpg")[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
    larger = (imresize(crop, 4), mafdn.load("x4").upscale(crop))
    gap = np.full((4 * HEIGHT, 8, 3), 255, np.uint8)
    strip = np.concatenate([larger[0], gap, larger[1]], axis=1)
    image = pyvips.Image.new_from_array(strip, interpretation="srgb")
    image.jpegsave(str(path), Q=93, subsample_mode="off")


if __name__ == "__main__":
    main()
