"""The training loop: one process per core or GPU, stopped and resumed at any step.

    mafdn train CONFIG.toml                                                  one process
    torchrun --nproc-per-node 2 -m mafdn.training.loop CONFIG.toml           two, gradients averaged

On CPUs each process uses one thread: several threads inside a process wait for each other at every
operation, several processes meet once per step. What a step sees depends on the seed and the step
alone, so the number of processes changes results only in the order of summation, and a resumed run
goes on bit for bit where it was.

Public names: :func:`prepare`, :func:`train`, :class:`Progress`.
"""

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mafdn.data.bank import Bank, build_bank, open_bank
from mafdn.data.patches import PatchSampler
from mafdn.errors import ConfigError, MafdnError
from mafdn.files import replacing
from mafdn.networks.mafdn import MAFDN
from mafdn.networks.weights import load_network, transfer
from mafdn.pixels import psnr_y
from mafdn.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from mafdn.training.config import ScheduleSettings, TrainSettings, read_config
from mafdn.training.optimizers import build_optimizers, optimizer_tensors, restore_optimizers
from mafdn.training.workers import Workers, open_workers

LOG = "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run is: mean L1 ``loss`` since the last report, validation ``psnr`` in dB when just measured."""

    step: int
    steps: int
    seconds: float
    samples: int
    loss: float
    rate: float
    psnr: float | None = None


def prepare(config: Path, *, on_progress: Callable[[int, int], None] | None = None) -> Bank:
    """Build the bank of a run, or open it when it is already there; ``on_progress(done, total)`` after each picture.

    Raises :class:`ConfigError` and :class:`PictureError`.
    """
    settings, base = read_config(config), config.resolve().parent
    sources = [base / folder for folder in settings.data.folders]
    return build_bank(sources, base / settings.data.bank, scales=settings.data.scales, on_progress=on_progress)


def train(config: Path, *, on_progress: Callable[[Progress], None] | None = None) -> Path:
    """Train as ``config`` says, going on from the newest checkpoint of its run; returns the run's folder.

    The first time, pictures are prepared into a bank. SIGINT and SIGTERM finish the step and save. Raises
    :class:`ConfigError` for impossible settings, :class:`PictureError` for an unreadable picture, and
    :class:`MafdnError` when loss or weights are no longer finite; the last checkpoint is then untouched.
    """
    settings = read_config(config)
    base = config.resolve().parent
    folder = base / settings.run.folder
    with open_workers() as workers:
        bank = prepare(config) if workers.leads else None
        workers.wait()
        bank = bank or open_bank(base / settings.data.bank)
        held_out, training = _split(bank, settings)
        sampler = PatchSampler(
            bank,
            training,
            scale=settings.network.scale,
            patch=settings.data.patch,
            seed=settings.run.seed,
            min_gradient=settings.data.min_gradient,
        )
        _Run(settings, base, folder, workers, sampler, held_out, on_progress).go()
    return folder


class _Run:
    """The state of one process of a run; :meth:`go` is the loop itself."""

    def __init__(
        self,
        settings: TrainSettings,
        base: Path,
        folder: Path,
        workers: Workers,
        sampler: PatchSampler,
        held_out: list[int],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.settings, self.folder, self.workers = settings, folder, workers
        self.sampler, self.held_out = sampler, held_out
        self.report = on_progress or (lambda _: None)
        if settings.run.batch % workers.world:
            raise ConfigError(f"run.batch {settings.run.batch} does not divide over {workers.world} processes")
        self.places = list(range(workers.rank, settings.run.batch, workers.world))
        torch.manual_seed(settings.run.seed)
        self.network = build_network(settings, base).to(workers.device)
        self.ema = {name: t.detach().clone() for name, t in self.network.state_dict().items()}
        self.optimizers = build_optimizers(self.network, settings.optimizer)
        self.step, self.seconds, self.samples = 0, 0.0, 0
        self.bf16 = self._choose_bf16()
        self._resume()

    def go(self) -> None:
        settings, run = self.settings, self.settings.run
        if self.workers.leads:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "settings.json").write_text(json.dumps(asdict(settings), indent=1))
        losses: list[Tensor] = []
        with _stop_requests() as stop:
            while self.step < settings.schedule.steps:
                began = time.perf_counter()
                rate = learning_rate(settings.schedule, self.step)
                losses.append(self._one_step(rate))
                self.step += 1
                self.samples += run.batch
                self.seconds += time.perf_counter() - began
                done = self.step == settings.schedule.steps
                if self.step % run.log_every == 0 or done:
                    self._log(losses, rate)
                stopping = self.workers.any(stop.is_set())
                if self.step % run.validate_every == 0 or done:
                    self._validate(rate)
                if self.step % run.save_every == 0 or done or stopping:
                    self._save()
                if stopping:
                    break

    def _one_step(self, rate: float) -> Tensor:
        lr, hr = (to_tensor(a, self.workers.device) for a in self.sampler.batch(self.step, self.places))
        with torch.autocast(self.workers.device.type, torch.bfloat16, enabled=self.bf16):
            output = self.network(lr)
        loss = (output.float() - hr).abs().mean()
        loss.backward()
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        self.workers.average(gradients)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * rate
            optimizer.step()
            optimizer.zero_grad()
        self._update_ema()
        return loss.detach()

    @torch.no_grad()
    def _update_ema(self) -> None:
        # A young average forgets faster, so that it does not remember the initialization.
        decay = min(self.settings.run.ema, (1 + self.step) / (10 + self.step))
        current = self.network.state_dict()
        for name, average in self.ema.items():
            average.lerp_(current[name], 1 - decay)

    def _log(self, losses: list[Tensor], rate: float) -> None:
        mean = torch.stack(losses).mean()
        losses.clear()
        self.workers.average([mean])
        if not mean.isfinite():
            raise self._diverged()
        self._tell(float(mean), rate, None)

    def _diverged(self) -> MafdnError:
        return MafdnError(
            f"loss or weights are no longer finite at step {self.step}; lower optimizer.lr and start again: "
            f"the run goes on from the last checkpoint in {self.folder}"
        )

    def _validate(self, rate: float) -> None:
        if not self.held_out:
            return
        network = MAFDN(self.network.settings).to(self.workers.device)
        network.load_state_dict(self.ema)
        mine = self.held_out[self.workers.rank :: self.workers.world]
        scale = self.settings.network.scale
        total = torch.zeros((), device=self.workers.device)
        with torch.inference_mode():
            folded = network.fold()
            for index in mine:
                low = to_tensor(self.sampler.bank.lr(index, scale)[None], self.workers.device)
                result = to_picture(folded(low)[0])
                total += psnr_y(result, self.sampler.bank.hr(index), border=scale)
        self.workers.average([total])
        self._tell(math.nan, rate, float(total) * self.workers.world / len(self.held_out))

    def _tell(self, loss: float, rate: float, psnr: float | None) -> None:
        if not self.workers.leads:
            return
        progress = Progress(
            step=self.step,
            steps=self.settings.schedule.steps,
            seconds=self.seconds,
            samples=self.samples,
            loss=loss,
            rate=rate,
            psnr=psnr,
        )
        entry = {k: v for k, v in asdict(progress).items() if v is not None and v == v}
        with (self.folder / LOG).open("a") as log:
            log.write(json.dumps(entry) + "\n")
        self.report(progress)

    def _save(self) -> None:
        for tensor in (*self.network.state_dict().values(), *self.ema.values()):
            if not tensor.isfinite().all():
                raise self._diverged()
        if self.workers.leads:
            checkpoint = Checkpoint(
                step=self.step,
                seconds=self.seconds,
                samples=self.samples,
                bf16=self.bf16,
                network=self.network.state_dict(),
                ema=self.ema,
                optimizer=optimizer_tensors(self.optimizers, self.network),
            )
            save_checkpoint(self.folder, checkpoint)

    def _resume(self) -> None:
        checkpoint = newest_checkpoint(self.folder)
        if checkpoint is None:
            return
        try:
            self.network.load_state_dict(checkpoint.network)
        except RuntimeError:
            raise ConfigError(
                f"{self.folder} holds a run of another network; give this one another run.folder"
            ) from None
        self.ema = {name: checkpoint.ema[name].to(self.workers.device) for name in self.ema}
        restore_optimizers(self.optimizers, self.network, checkpoint.optimizer)
        self.step, self.seconds, self.samples = checkpoint.step, checkpoint.seconds, checkpoint.samples
        if self.settings.run.precision == "auto":
            self.bf16 = checkpoint.bf16  # as it was begun, however busy the machine is now
        if self.workers.leads:
            _forget_after(self.folder / LOG, self.step)

    def _choose_bf16(self) -> bool:
        if self.settings.run.precision != "auto":
            return self.settings.run.precision == "bf16"
        lr, hr = (to_tensor(a, self.workers.device) for a in self.sampler.batch(0, self.places))
        times = {enabled: step_seconds(self.network, lr, hr, bf16=enabled) for enabled in (False, True)}
        # Every process must choose alike.
        ratio = torch.tensor(times[True] / times[False], device=self.workers.device)
        self.workers.average([ratio])
        return bool(ratio < 0.95)


def _forget_after(log: Path, step: int) -> None:
    """Drop the entries of a log beyond ``step``, which a killed run wrote and its successor will write again."""
    if log.exists():
        lines = log.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        with replacing(log) as shorter:
            shorter.write_text("".join(kept), "utf-8")


def build_network(settings: TrainSettings, base: Path) -> MAFDN:
    """A new network for a run: initialized at random, or from ``run.init``."""
    network = MAFDN(settings.network)
    if settings.run.init:
        transfer(load_network(base / settings.run.init), network)
    return network


def learning_rate(schedule: ScheduleSettings, step: int) -> float:
    """The fraction of the top rate at ``step`` (from 0): linear warm-up, 1, linear fall to nearly 0."""
    rise = (step + 1) / (schedule.warmup + 1)
    fall = (schedule.steps - step) / (schedule.decay + 1)
    return min(1.0, rise, fall)


def step_seconds(network: nn.Module, lr: Tensor, hr: Tensor, *, bf16: bool, repeats: int = 3) -> float:
    """The fastest of a few forward and backward passes, in seconds; gradients are dropped."""
    times: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        with torch.autocast(lr.device.type, torch.bfloat16, enabled=bf16):
            output = network(lr)
        (output.float() - hr).abs().mean().backward()
        if lr.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    network.zero_grad()
    return min(times)


def to_tensor(pictures: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in [0, 1], channels last in memory."""
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float().div_(255)


def to_picture(output: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) float in [0, 1] to (H, W, 3) uint8, clipped and rounded."""
    return output.mul(255).clamp(0, 255).round().byte().permute(1, 2, 0).cpu().numpy()


def _split(bank: Bank, settings: TrainSettings) -> tuple[list[int], list[int]]:
    held_out, training = [], []
    for index, picture in enumerate(bank.pictures):
        held = any(fnmatch(picture.name, pattern) for pattern in settings.data.held_out)
        (held_out if held else training).append(index)
    return held_out, training


@contextmanager
def _stop_requests() -> Generator[threading.Event]:
    """Within, SIGINT and SIGTERM only set the event."""
    stop = threading.Event()

    def request(*_: object) -> None:
        stop.set()

    previous = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    try:
        train(Path(sys.argv[1]))
    except MafdnError as error:
        sys.exit(f"mafdn train: {error}")
