"""The progress and outcome of upscaling a film."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from mafdn.upscaling.choice.weights import WeightsChoice


@dataclass(frozen=True, kw_only=True)
class FilmProgress:
    """The progress of a film.

    Attributes:
        phase: `frames` while frames are upscaled, then `joining`, when they are put together with all other streams;
            `reading` while numbered pictures or the frames of an animation are put together before.
        name: File name of the film.
        done: Frames that are done, those of earlier runs included; bytes while joining, pictures while reading.
        total: All of them; an estimate for frames, and `None` if nothing is known.
        frames_per_second: Speed of this run over the last minute; `None` while nothing is known.
        remaining_seconds: Estimate of the remaining time of the frames; `None` while nothing is known.
    """

    phase: Literal["reading", "frames", "joining"]
    name: str
    done: int
    total: int | None
    frames_per_second: float | None = None
    remaining_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class FilmReport:
    """The outcome of upscaling a film.

    Attributes:
        source: The film.
        target: The result.
        scale: Scale of the network; the factor of the result follows from the two sizes.
        size: Width and height of the film's frames, in pixels, as they are shown.
        new_size: Width and height of the result's frames, likewise.
        bits: Bits per sample of the result.
        frames: Number of frames of the result.
        kept_frames: How many of them earlier runs had made.
        repeated_frames: How many of the others equal the frame before, and were not computed.
        reused_tiles: How many tiles of the others equal those of the frame before, and were not computed.
        frame_rate: Frames per second of the film on average; `None` if unknown.
        encoder: Name of the encoder: `x264`, `x265`, `av1` or `ffv1`.
        container: The kind of file: `mp4`, `mkv` and so on.
        copied_streams: Number of other streams that were copied: audio, subtitles, data and attachments.
        dropped_streams: Number of streams that the container could not hold.
        engine: Name, version, device and precision of the engine.
        seconds: Time for the whole film, in this run.
        frames_per_second: Frames of this run divided by the time until the last one; `None` if there were none.
        peak_mib: Peak memory of this process so far, in MiB; `None` if the system does not report it.
        notes: What was not kept or not done as expected, one sentence each.
        weights: The variant of the shipped weights that was chosen for the film, and why; `None` if the network was
            named, or not needed.
        thumbnails: Pictures of a part of a frame and of its result, if they were asked for.
    """

    source: Path
    target: Path
    scale: int
    size: tuple[int, int]
    new_size: tuple[int, int]
    bits: int
    frames: int
    kept_frames: int
    repeated_frames: int
    reused_tiles: int
    frame_rate: Fraction | None
    encoder: str
    container: str
    copied_streams: int
    dropped_streams: int
    engine: str
    seconds: float
    frames_per_second: float | None
    peak_mib: float | None
    notes: tuple[str, ...]
    weights: WeightsChoice | None = None
    thumbnails: tuple[Path, ...] = ()

    def for_programs(self) -> dict[str, Any]:
        """Return everything as a dictionary for JSON; the frame rate as a number."""
        rate = self.frame_rate
        return asdict(self) | {"frame_rate": None if rate is None else float(rate)}


class FilmStopped(KeyboardInterrupt):
    """Ctrl-C during a film; whole segments are kept, and the same call goes on with the next one.

    Attributes:
        frames: Number of frames that are kept.
        total: Estimated number of all frames; `None` if unknown.
    """

    def __init__(self, frames: int, total: int | None) -> None:
        super().__init__("stopped")
        self.frames, self.total = frames, total
