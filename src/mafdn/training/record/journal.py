"""The log of a run: `log.jsonl` and TensorBoard files in its folder, and a progress callback."""

import json
from collections.abc import Callable
from dataclasses import asdict

from torch.utils.tensorboard import SummaryWriter

from mafdn._support.atomic import replacing
from mafdn._support.progress import ignore
from mafdn.errors import ConfigError
from mafdn.training.record.progress import TrainingProgress
from mafdn.training.record.run_folder import RunFolder, writing


class Journal:
    """Writes progress reports to the log and TensorBoard files and passes them on.

    Args:
        folder: The run's folder; it is created if necessary.
        step: The step to resume from; later entries, left by a killed run, are dropped.
        on_progress: Called with every report.

    Raises:
        ConfigError: The folder cannot be created.
    """

    def __init__(self, folder: RunFolder, *, step: int, on_progress: Callable[[TrainingProgress], None] | None) -> None:
        self.folder = folder
        self.on_progress = on_progress or ignore
        self.board: SummaryWriter | None = None
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            advice = "choose another run.folder"
            raise ConfigError.from_os_error(f"cannot create {folder.path}", error, advice) from None
        self.rewind(step)

    def rewind(self, step: int) -> None:
        """Drop the entries of steps after `step`, which will be repeated; raises `MafdnError`."""
        log = self.folder.log
        if log.exists():
            with writing(log):
                lines = log.read_text("utf-8").splitlines(keepends=True)
                kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
                with replacing(log) as shorter:
                    shorter.write_text("".join(kept), "utf-8")
        self.close()
        with writing(self.folder.tensorboard):
            self.board = SummaryWriter(str(self.folder.tensorboard), purge_step=step + 1)

    def report(self, progress: TrainingProgress) -> None:
        """Write one report; raises `MafdnError`."""
        entry = {key: value for key, value in asdict(progress).items() if value not in (None, "")}
        with writing(self.folder.log), self.folder.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
        with writing(self.folder.tensorboard):
            self._draw(progress)
        self.on_progress(progress)

    def _draw(self, progress: TrainingProgress) -> None:
        """Add a report to the TensorBoard file."""
        assert self.board is not None
        if progress.loss is not None:
            self.board.add_scalar("loss", progress.loss, progress.step)
            self.board.add_scalar("rate", progress.rate, progress.step)
            for number, lr in enumerate(progress.lr):
                self.board.add_scalar(f"learning_rate/{number}", lr, progress.step)
            if progress.pace is not None:
                self.board.add_scalar("patches_per_second", progress.pace, progress.step)
        if progress.psnr is not None:
            self.board.add_scalar("validation_psnr", progress.psnr, progress.step)
        self.board.flush()

    def close(self) -> None:
        """Close the TensorBoard file."""
        if self.board:
            self.board.close()
