"""Write the pictures of a first training: samples/training and samples/test.

    python -m tools.sample_pictures

All but one are "dead leaves" pictures, random shapes that cover each other, whose edges and statistics resemble those
of photographs (Lee, Mumford and Huang, doi 10.1023/A:1011109015675); networks for restoration can be trained on them
(Achddou, Gousseau and Ladjal, doi 10.1007/978-3-030-75549-2_27). The other one is a crop of samples/flowers.jpg. They
depend on nothing but this file and that photograph.
"""

import sys
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize

SAMPLES = Path(__file__).parents[1] / "samples"
TRAINING, TEST = "training", "test"
"""Folders in `SAMPLES`."""
SIDE = 160
"""Side of a picture in pixels; a multiple of 2 and 4."""
PICTURES = {f"{TRAINING}/leaves-{number}.png": number for number in range(8)} | {f"{TEST}/leaves.png": 8}
"""Seeds by file name."""
CROP = (slice(40, 184), slice(60, 204))
"""Rows and columns of the photograph in samples/test/flowers.png."""
RADII = (7.0, 130.0)
"""Smallest and largest radius of a leaf, in pixels of the doubled picture; the density falls with its third power."""
LEAVES = 1_500
Pixels = NDArray[np.float64]


def main(folder: Path = SAMPLES) -> None:
    for name, picture in pictures().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pyvips.Image.new_from_array(picture, interpretation="srgb").pngsave(str(path), compression=9, effort=10)


def pictures() -> dict[str, NDArray[np.uint8]]:
    """All pictures, (H, W, 3) uint8, by file name."""
    photo = np.ascontiguousarray(read_rgb8(SAMPLES / "flowers.jpg")[CROP])
    return {name: dead_leaves(seed) for name, seed in PICTURES.items()} | {f"{TEST}/flowers.png": photo}


def dead_leaves(seed: int) -> NDArray[np.uint8]:
    """A picture of leaves that cover each other, (SIDE, SIDE, 3); it is drawn at twice its size."""
    rng = np.random.default_rng(seed)
    side = 2 * SIDE
    y, x = np.mgrid[:side, :side].astype(float)
    canvas = np.empty((side, side, 3))
    free = np.ones((side, side), bool)
    palette = (rng.uniform(0, 1, (12, 1)) + rng.uniform(-0.3, 0.3, (12, 3))).clip(0, 1)
    for _ in range(LEAVES):  # the first leaf is on top
        low, high = (radius**-2.0 for radius in RADII)
        radius = (low + rng.random() * (high - low)) ** -0.5
        inside = free & _shape(rng, x, y, radius)
        if inside.any():
            canvas[inside] = _texture(rng, palette, x[inside], y[inside])
            free &= ~inside
        if not free.any():
            break
    canvas[free] = palette[0]
    whole = (255 * (0.02 + 0.96 * canvas)).round().clip(0, 255).astype(np.uint8)
    return imresize(whole, 0.5)


def _shape(rng: np.random.Generator, x: Pixels, y: Pixels, radius: float) -> NDArray[np.bool_]:
    """A leaf somewhere on the canvas: a rotated ellipse or rectangle."""
    center, angle, ratio = rng.uniform(0, len(x), 2), rng.uniform(0, np.pi), rng.uniform(0.15, 1)
    along = (x - center[0]) * np.cos(angle) + (y - center[1]) * np.sin(angle)
    across = (y - center[1]) * np.cos(angle) - (x - center[0]) * np.sin(angle)
    if rng.random() < 0.5:
        return along**2 + (across / ratio) ** 2 < radius**2
    return (np.abs(along) < radius) & (np.abs(across) < radius * ratio)


def _texture(rng: np.random.Generator, palette: Pixels, x: Pixels, y: Pixels) -> Pixels:
    """Colors (n, 3) of the pixels at `x`, `y`: two colors blended by a gradient or stripes, with a little noise."""
    first, second = palette[rng.integers(len(palette), size=2)]
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 120)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + rng.uniform(0, 6))
    blend = (0.5 + 0.5 * rng.uniform(0, 0.6) * wave)[:, None]
    shade = 1 - 0.3 * rng.random() * (y / y.max(initial=1.0))[:, None]
    return ((first * blend + second * (1 - blend)) * shade + rng.normal(0, 0.008, (len(x), 1))).clip(0, 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
