"""The eight orientations of a picture: turned by quarters, mirrored or not.

Public names: :data:`ORIENTATIONS`, :func:`orient`, :func:`orient_back`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = tuple((turns, mirror) for mirror in (False, True) for turns in range(4))
"""Every (turns, mirror) that :func:`orient` takes; the first changes nothing."""


def orient(picture: NDArray[Any], turns: int, mirror: bool) -> NDArray[Any]:
    """A view of an (H, W[, C]) array turned by ``turns`` quarters to the left, then mirrored left to right."""
    turned = np.rot90(picture, turns)
    return turned[:, ::-1] if mirror else turned


def orient_back(picture: NDArray[Any], turns: int, mirror: bool) -> NDArray[Any]:
    """The view that undoes :func:`orient` with the same arguments."""
    return np.rot90(picture[:, ::-1] if mirror else picture, -turns)
