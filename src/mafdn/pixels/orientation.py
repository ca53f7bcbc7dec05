"""The eight orientations of a picture: quarter turns, mirrored or not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = tuple((turns, mirror) for mirror in (False, True) for turns in range(4))
"""Every (turns, mirror) that `orient` takes; the first is the identity."""


def orient(picture: NDArray[Any], turns: int, mirror: bool) -> NDArray[Any]:
    """A view of an (H, W[, C]) array after `turns` quarter turns to the left, then mirrored left to right."""
    turned = np.rot90(picture, turns)
    return turned[:, ::-1] if mirror else turned


def orient_back(picture: NDArray[Any], turns: int, mirror: bool) -> NDArray[Any]:
    """The inverse of `orient` with the same arguments, also a view."""
    return np.rot90(picture[:, ::-1] if mirror else picture, -turns)
