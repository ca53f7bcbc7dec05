"""Write docs/degradations.jpg: what the default degradations of training do to a crop of the sample.

python -m tools.degradations

The first rows show one step each, enlarged three times without smoothing; the last two what training draws at random.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mafdn.degradation.operations import blurred, coded, noisy
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize
from mafdn.training.data.degrade import DegradeSettings, degrade_picture

ROOT = Path(__file__).parents[1]
SIDE, ZOOM, COLUMNS = 60, 3, 6
"""Side of a crop in LR pixels, its enlargement, and crops in a row."""
TOP, LEFT = 24, 40
"""Position of the crop in the LR picture."""
LABEL = 16
"""Height of a label in pixels."""
Patch = NDArray[np.uint8]


def main() -> None:
    hr = read_rgb8(ROOT / "samples" / "flowers.jpg")
    lr = imresize(hr, 0.5)
    defaults = DegradeSettings(share=1)
    steps: list[tuple[str, Callable[[], Patch]]] = [("bicubic", lambda: lr)]
    steps += [(name, lambda n=name: _alone(hr, lr, reductions=(n,))) for name in ("area", "bilinear", "lanczos")]
    steps += [(f"blur {s}", lambda s=s: blurred(lr, s)) for s in defaults.blur]
    for deviation in (2.0, defaults.noise[1]):
        for correlated in (False, True):
            name = f"noise {deviation:g}" + (", correlated" if correlated else "")
            steps.append((name, lambda d=deviation, c=correlated: noisy(lr, d, _random(), read=0.3, correlated=c)))
    steps += [(f"JPEG {q}", lambda q=q: coded(lr, "JPEG", q)) for q in (95, 90, 75, 60, 45, 30)]
    steps.append(("JPEG 60, 4:4:4", lambda: coded(lr, "JPEG", 60, sampling="4:4:4")))
    steps.append(("JPEG twice", lambda: _alone(hr, lr, twice=1.0, jpeg_share=1.0, quality=(60, 60))))
    steps += [(f"WebP {q}", lambda q=q: coded(lr, "WEBP", q)) for q in defaults.webp_quality]
    drawn = 2 * COLUMNS + (-len(steps)) % COLUMNS
    steps += [(f"drawn {n}", lambda n=n: degrade_picture(hr, lr, defaults, _random(n))) for n in range(1, drawn + 1)]
    cell = SIDE * ZOOM
    sheet = Image.new("RGB", (COLUMNS * (cell + 4), -(-len(steps) // COLUMNS) * (cell + LABEL + 4)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (name, make) in enumerate(steps):
        x, y = number % COLUMNS * (cell + 4), number // COLUMNS * (cell + LABEL + 4)
        crop = Image.fromarray(np.ascontiguousarray(make()[TOP : TOP + SIDE, LEFT : LEFT + SIDE]))
        sheet.paste(crop.resize((cell, cell), Image.Resampling.NEAREST), (x, y + LABEL))
        pen.text((x + 2, y + 2), name, fill="black")
    sheet.save(ROOT / "docs" / "degradations.jpg", quality=90)


def _alone(hr: Patch, lr: Patch, **changes: object) -> Patch:
    """One step of the degradation without all others."""
    nothing = {"reductions": ("bicubic",), "blur_share": 0, "noise_share": 0, "jpeg_share": 0, "webp_share": 0}
    settings = DegradeSettings(**(nothing | {"twice": 0, "share": 1} | changes))  # pyright: ignore[reportArgumentType]
    return degrade_picture(hr, lr, settings, _random())


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


if __name__ == "__main__":
    main()
