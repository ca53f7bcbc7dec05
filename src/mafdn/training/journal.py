"""What a run tells: ``log.jsonl`` and TensorBoard files in its folder, and a callback.

Public names: :class:`Progress`, :class:`Journal`, :func:`read_log`.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from mafdn._support.atomic import replacing
from mafdn._support.progress import ignore
from mafdn.errors import ConfigError
from mafdn.training.run_folder import LOG, RunFolder


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run is after ``step`` of ``steps`` steps (``None``: without a planned end), ``seconds`` of training and
    ``samples`` patches.

    ``loss`` is the mean since the last report, ``psnr`` the validation's in dB when just measured, ``note``
    what a person should know.
    """

    step: int
    steps: int | None
    seconds: float
    samples: int
    rate: float
    loss: float | None = None
    psnr: float | None = None
    note: str = ""


class Journal:
    """Writes every :class:`Progress` down; entries beyond ``step``, of a run that was killed, are dropped first."""

    def __init__(self, folder: RunFolder, *, step: int, on_progress: Callable[[Progress], None] | None) -> None:
        self.folder = folder
        self.report = on_progress or ignore
        self.board: SummaryWriter | None = None
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make {folder.path}: {error.strerror}; choose another run.folder") from None
        self.rewind(step)

    def rewind(self, step: int) -> None:
        """Forget what was told of later steps: they will be gone through again."""
        log = self.folder.log
        if log.exists():
            lines = log.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            with replacing(log) as shorter:
                shorter.write_text("".join(kept), "utf-8")
        self.close()
        self.board = SummaryWriter(str(self.folder.tensorboard), purge_step=step + 1)

    def tell(self, progress: Progress) -> None:
        entry = {key: value for key, value in asdict(progress).items() if value not in (None, "")}
        with self.folder.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
        assert self.board is not None
        if progress.loss is not None:
            self.board.add_scalar("loss", progress.loss, progress.step)
            self.board.add_scalar("rate", progress.rate, progress.step)
            self.board.add_scalar("patches_per_second", progress.samples / progress.seconds, progress.step)
        if progress.psnr is not None:
            self.board.add_scalar("validation_psnr", progress.psnr, progress.step)
        self.board.flush()
        self.report(progress)

    def close(self) -> None:
        if self.board:
            self.board.close()


def read_log(run: Path) -> list[dict[str, Any]]:
    """The entries of a run's log, given its folder or a log file.

    Raises :class:`ConfigError` when there is none or it is not one.
    """
    path = run / LOG if run.is_dir() else run
    try:
        entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        if not entries or not all(math.isfinite(e["step"]) and math.isfinite(e["seconds"]) for e in entries):
            raise ValueError("no entries")
    except OSError as error:
        raise ConfigError(f"cannot read the log {path}: {error.strerror}; give the folder of a run") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not the log of a run: {error}") from None
    return entries
