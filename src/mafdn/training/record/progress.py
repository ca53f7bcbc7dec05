"""What a run reports: its progress, and where it was stopped."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """A progress report of a training run; its fields are the keys of a line in `log.jsonl`.

    Attributes:
        step: Steps trained.
        steps: Steps in total; `None` without a planned end.
        seconds: Time spent in steps.
        samples: Patches trained on.
        rate: Learning rate as a fraction of the peak.
        lr: Learning rate of each optimizer.
        pace: Patches per second over the last reports of this process; `None` if it was not measured yet.
        seconds_left: Remaining time at the current pace; `None` if it is unknown or no end is planned.
        loss: Mean loss since the last report.
        psnr: Validation PSNR in dB, if it was just measured.
        note: A message to the user, such as why the run went back to a checkpoint.
    """

    step: int
    steps: int | None
    seconds: float
    samples: int
    rate: float
    lr: tuple[float, ...]
    pace: float | None = None
    seconds_left: float | None = None
    loss: float | None = None
    psnr: float | None = None
    note: str = ""


class TrainingStopped(KeyboardInterrupt):
    """Ctrl-C (SIGINT), SIGTERM or SIGHUP during training; the run is saved, and the same call resumes it.

    Attributes:
        folder: The folder of the run.
        step: The step that was saved.
    """

    def __init__(self, folder: Path, step: int, *, of: str) -> None:
        super().__init__(f"{folder}: stopped at {of}; the same command resumes")
        self.folder, self.step = folder, step
