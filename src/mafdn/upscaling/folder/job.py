"""A picture or film of a folder that is to be upscaled."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mafdn._support.atomic import FileSnapshot
from mafdn.inference.upscale import MIRRORED
from mafdn.upscaling.folder.report import FolderItem
from mafdn.upscaling.output import Output
from mafdn.upscaling.several import Sizes

RESULT_PIXEL = 1 / 64
"""Work per pixel of a result (resizing, encoding), as a share of that per pixel of the network's input."""


def work_of(size: tuple[int, int], new_size: tuple[int, int]) -> float:
    """Return the work for a picture of this size, in pixels of the network's input.

    The time of a network depends on the pixels of its input, hardly on its scale. A result that is not larger on any
    side is made without a network.
    """
    (width, height), (new_width, new_height) = size, new_size
    through_network = new_width > width or new_height > height
    resized = new_width * new_height * RESULT_PIXEL
    if not through_network:
        return width * height * RESULT_PIXEL + resized
    return (width + 2 * MIRRORED) * (height + 2 * MIRRORED) + resized


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture or film to upscale.

    Args:
        source: The picture.
        target: The result.
        sizes: Width and height of its frames or pages, or of the one that is upscaled, and of their results.
        scale: Scale of the network.
        bits: Bits per channel of the picture.
        output: How the result is written, as far as that applies to its format.
        settings: Digest of the settings.
        weights: Digest of the network.
        home: Folder of the manifest.
        reason: Why the result is to be created.
        snapshot: The file at the target that may be replaced; `None` if there must be none.
        replaces: SHA-256 of an earlier result that is, or was, at the target.
        film_frames: Estimated number of frames of a film, 0 if it is unknown; `None` for pictures.
        notes: What will not be done as expected.
    """

    source: Path
    target: Path
    sizes: Sizes
    scale: int
    bits: int
    output: Output
    settings: str
    weights: str
    home: Path
    reason: str = "new"
    snapshot: FileSnapshot | None = None
    replaces: str | None = None
    film_frames: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """Area of the result, of all frames."""
        return self.sizes.pixels_after * (self.film_frames or 1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the (first) picture."""
        return self.sizes.before[0]

    @property
    def new_size(self) -> tuple[int, int]:
        """Width and height of its result."""
        return self.sizes.after[0]

    @cached_property
    def work(self) -> float:
        """What its time is proportional to, in pixels of the network's input."""
        work = sum(work_of(*sizes) for sizes in zip(self.sizes.before, self.sizes.after, strict=True))
        return work * (self.film_frames or 1)

    def item(self, **changes: object) -> FolderItem:
        """Return the outcome of this picture, with `changes` to its fields; it starts as not reached."""
        item = FolderItem(
            source=self.source,
            target=self.target,
            status="left",
            size=self.size,
            new_size=self.new_size,
            frames=self.film_frames or self.sizes.count,
        )
        return replace(item, **changes)
