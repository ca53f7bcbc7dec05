"""Locate the shipped weights.

They come in two variants. The `classic` weights were trained on clean bicubic reductions, the `photo` weights on
reductions with the degradations of photographs, such as JPEG. Their files are `mafdn-x4.onnx` and
`mafdn-photo-x4.onnx`, each with a `.safetensors` file beside it.
"""

from pathlib import Path
from typing import Literal

from mafdn.errors import WeightsError
from mafdn.weights.header import SCALES

Variant = Literal["classic", "photo"]
VARIANTS: tuple[Variant, ...] = ("classic", "photo")
"""The variants of the shipped weights, that for clean pictures first."""
PREFIXES: dict[Variant, str] = {"classic": "mafdn", "photo": "mafdn-photo"}
"""How file names begin, by variant."""


def weights_folder() -> Path:
    """The folder of the shipped weights: this package when installed, `weights/` at the root in a checkout."""
    package = Path(__file__).parent
    return package if any(package.glob("*.onnx")) else package.parents[2] / "weights"


def shipped_stem(scale: int, variant: Variant = "classic") -> str:
    """The file name without its suffix: `mafdn-x4` or `mafdn-photo-x4`."""
    return f"{PREFIXES[variant]}-x{scale}"


def shipped(scale: int, suffix: str, variant: Variant = "classic") -> Path:
    """The shipped file for `scale` with `suffix` (`.safetensors` or `.onnx`).

    Raises:
        WeightsError: No weights of this variant ship for this scale.
    """
    path = weights_folder() / f"{shipped_stem(scale, variant)}{suffix}"
    if not path.is_file():
        available = ", ".join(f"x{s}" for s in shipped_scales(variant)) or "none"
        kind = "" if variant == "classic" else f"{variant} "
        raise WeightsError(f"no {kind}weights for x{scale} ship with this version (available: {available})")
    return path


def shipped_scales(variant: Variant = "classic") -> tuple[int, ...]:
    """The scales for which weights of a variant ship, ascending."""
    return tuple(s for s in SCALES if (weights_folder() / f"{shipped_stem(s, variant)}.onnx").is_file())
