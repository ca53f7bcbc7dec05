"""Options of an upscaling job, created once and validated on creation."""

from dataclasses import dataclass, field

from mafdn._support.validate import as_kind, as_number, as_whole
from mafdn.inference.ensemble import as_ensemble
from mafdn.pictures.limits import Limits
from mafdn.pictures.sequences.sequence import MOST_PICTURES
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size, as_size


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions:
    """How pictures are upscaled and written.

    Args:
        size: Size of the result as a `Size`, or a number, which is a factor. The default is the scale of the network:
            4 for the shipped ones.
        strength: Share of the network in the result, 0 to 1; the rest is Lanczos.
        output: File format, quality and metadata of the result.
        limits: Limits on the size of pictures and files and on the time per picture.
        overwrite: Replace existing files. In folders, up-to-date results of earlier runs are kept all the same.
        tile: Tile side in input pixels (default: 512). Smaller tiles use less memory and give the same result.
        exact: Overlap tiles by the full receptive field instead of the measured halo (slower).
        ensemble: 8 to average the network's results on eight orientations of the picture: a little better, and about
            eight times slower.
        frame: Number of the only frame of an animation, or page of a TIFF file, to upscale, from 1 (default: all, or
            the first if the format of the result holds one picture).
        verify: Compare each result, reduced to the size of the picture again, with the picture; reports then have a
            `Verification`. It takes time, but is no reason to re-create results.
        keep_times: Give each result the time of modification of its input.

    Raises:
        UsageError: For a value of the wrong type or out of range.
    """

    size: Size | float | None = None
    strength: float = 1.0
    output: Output = field(default_factory=Output)
    limits: Limits = field(default_factory=Limits)
    overwrite: bool = False
    tile: int | None = None
    exact: bool = False
    ensemble: int = 1
    frame: int | None = None
    verify: bool = False
    keep_times: bool = False

    def __post_init__(self) -> None:
        if self.size is not None:
            object.__setattr__(self, "size", as_size(self.size))
        object.__setattr__(self, "strength", as_number("strength", self.strength, least=0, most=1))
        as_kind("verify", self.verify, bool)
        as_kind("keep_times", self.keep_times, bool)
        as_kind("output", self.output, Output)
        as_kind("limits", self.limits, Limits)
        object.__setattr__(self, "ensemble", as_ensemble(self.ensemble))
        if self.tile is not None:
            object.__setattr__(self, "tile", as_whole("tile", self.tile))
        if self.frame is not None:
            object.__setattr__(self, "frame", as_whole("frame", self.frame, least=1, most=MOST_PICTURES))

    @property
    def requested_size(self) -> Size | None:
        """`size` as a `Size`; `None` for the scale of the network."""
        return None if self.size is None else as_size(self.size)

    def effective_size(self, scale: int) -> Size:
        """Return the requested size, by default that of the result of a network of this `scale`."""
        return self.requested_size or Size(scale=scale)
