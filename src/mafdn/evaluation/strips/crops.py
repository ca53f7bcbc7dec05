"""Crops that the user chose: `X,Y,W,H` for all pictures, or `PICTURE:X,Y,W,H` for one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mafdn.errors import UsageError
from mafdn.evaluation.benchset import SetScore
from mafdn.evaluation.strips.drawing import CELL, Place

SMALLEST = 8
"""Least side of a crop in HR pixels; the largest is that of a cell of the strip, `CELL`."""
FORM = "X,Y,W,H or PICTURE:X,Y,W,H, in pixels of the HR picture, such as baby:100,80,64,64"


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A rectangle in HR pixels; `picture` is empty, the name of a picture, or SET/PICTURE."""

    picture: str
    x: int
    y: int
    width: int
    height: int

    def place(self, shape: Sequence[int], picture: str) -> Place:
        """Rows and columns in a picture of `shape` (H, W, ...); raises `UsageError` if it is not inside."""
        if self.y + self.height > shape[0] or self.x + self.width > shape[1]:
            raise UsageError(
                f"the crop {self.x},{self.y},{self.width},{self.height} is not inside {picture}, which is "
                f"{shape[1]}x{shape[0]}"
            )
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


def parse_crop(text: str) -> Crop:
    """Parse a crop; raises `UsageError`."""
    match = re.fullmatch(r"(?:(.+):)?(\d+),(\d+),(\d+),(\d+)", text)
    if not match:
        raise UsageError(f"crop {text} is not {FORM}")
    x, y, width, height = (int(number) for number in match.groups()[1:])
    if not (SMALLEST <= width <= CELL and SMALLEST <= height <= CELL):
        raise UsageError(f"crop {text}: width and height must be {SMALLEST} to {CELL} pixels")
    return Crop(picture=match[1] or "", x=x, y=y, width=width, height=height)


def parse_crops(texts: Sequence[str]) -> list[Crop]:
    """Parse crops: one for all pictures, or any number with the names of pictures; raises `UsageError`."""
    crops = [parse_crop(text) for text in texts]
    if len(crops) > 1 and not all(crop.picture for crop in crops):
        raise UsageError("several crops need the names of their pictures: PICTURE:X,Y,W,H")
    return crops


def find_picture(crop: Crop, scores: Sequence[SetScore]) -> tuple[int, str]:
    """The index of the set and the name of the picture of a crop.

    Args:
        crop: One that names its picture.
        scores: One per set.

    Raises:
        UsageError: No picture has this name, or several have.
    """
    found = [
        (number, picture.name)
        for number, score in enumerate(scores)
        for picture in score.pictures
        if crop.picture in (picture.name, f"{score.bench}/{picture.name}")
    ]
    if len(found) != 1:
        sets = ", ".join(score.bench for score in scores)
        problem = f"is in several of {sets}; write SET/PICTURE" if found else f"is not a picture of {sets}"
        raise UsageError(f"crop: {crop.picture} {problem}")
    return found[0]
