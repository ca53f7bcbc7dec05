"""The training loop: one process per core or GPU, stopped and resumed at any step.

    mafdn train CONFIG.toml                                             one process
    torchrun --nproc-per-node 2 -m mafdn train CONFIG.toml              two, gradients averaged

On CPUs each process uses one thread: several threads inside a process wait for each other at every
operation, several processes meet once per step. What a step sees depends on the seed and the step
alone, so the number of processes changes results only in the order of summation, and a resumed run
goes on bit for bit where it was.

Public names: :func:`train`, :func:`open_run`, :class:`Run`, :func:`prepare`, :func:`described`, :func:`read_settings`.
"""

import json
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mafdn.data.bank import Bank, open_bank
from mafdn.data.build import build_bank
from mafdn.data.patches import Batch, PatchSampler
from mafdn.errors import ConfigError, MafdnError
from mafdn.files import replacing, sha256
from mafdn.networks import Network, architecture, build, load_network, transfer
from mafdn.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from mafdn.training.config import TrainSettings, read_config
from mafdn.training.journal import Journal, Progress
from mafdn.training.losses import training_loss
from mafdn.training.optimizers import build_optimizers, optimizer_tensors, restore_optimizers
from mafdn.training.pace import Pace, choose_pace
from mafdn.training.schedule import learning_rate
from mafdn.training.validation import held_out_psnr_sum, split_bank, to_tensor
from mafdn.training.workers import Workers, open_workers

SETTINGS = "settings.json"
MOST_DETOURS = 3
"""A run that does not reach its next checkpoint after this many attempts from the last one stops."""
USUAL = 0.8
"""Share of the past in the running mean of the loss."""


def train(
    config: Path,
    *,
    init: Path | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Train as ``config`` says, going on from the newest checkpoint of its run; returns the run's folder.

    The first time, pictures are prepared into a bank (``on_prepare(done, total)``), and a new run starts
    from the weights ``init`` if given. SIGINT and SIGTERM finish the step and save. A loss that is not
    finite or far above the usual one sends the run back to its last checkpoint, and on with other patches.
    Raises :class:`ConfigError` for impossible settings, :class:`PictureError` for an unreadable picture,
    and :class:`MafdnError` when going back does not help; the last checkpoint is then untouched.
    """
    with open_workers() as workers:
        run = open_run(config, workers, init=init, on_prepare=on_prepare)
        run.go(on_progress)
    return run.folder


def open_run(
    config: Path,
    workers: Workers,
    *,
    init: Path | None = None,
    resume: bool = True,
    on_prepare: Callable[[int, int], None] | None = None,
) -> "Run":
    """This process's part of the run that ``config`` describes, with its bank ready; new when not to ``resume``."""
    settings, base = read_config(config), config.resolve().parent
    bank = prepare(settings, base, on_prepare=on_prepare) if workers.leads else None
    workers.wait()
    bank = bank or open_bank(base / settings.data.bank)
    parent = init or (base / settings.run.init if settings.run.init else None)
    run = Run(settings, base, bank, workers, init=parent, resume=resume)
    if init and run.started_from != _origin(init):
        began = run.started_from or "random weights"
        raise ConfigError(f"{run.folder} holds a run that began from {began}; give this one another run.folder")
    return run


def prepare(settings: TrainSettings, base: Path, *, on_prepare: Callable[[int, int], None] | None = None) -> Bank:
    """The bank of a run, built when it is not there; a complete one does without the pictures it was made of."""
    folders = [base / folder for folder in settings.data.folders]
    if not any(folder.exists() for folder in folders) and (base / settings.data.bank).exists():
        return open_bank(base / settings.data.bank)
    return build_bank(
        folders,
        base / settings.data.bank,
        scales=settings.data.scales,
        exclude=[base / folder for folder in settings.data.exclude],
        on_progress=on_prepare,
    )


class Run:
    """The state of one process of a run; :meth:`go` is the loop itself."""

    def __init__(
        self, settings: TrainSettings, base: Path, bank: Bank, workers: Workers, *, init: Path | None, resume: bool
    ) -> None:
        self.settings, self.base, self.bank, self.workers = settings, base, bank, workers
        self.folder = (base / settings.run.folder).resolve()
        if settings.run.batch % workers.world:
            raise ConfigError(f"run.batch {settings.run.batch} does not divide over {workers.world} processes")
        self.places = list(range(workers.rank, settings.run.batch, workers.world))
        self.held_out, training = split_bank(bank, settings.data.held_out)
        self.sampler = PatchSampler(
            bank,
            training,
            scale=settings.network.scale,
            patch=settings.data.patch,
            seed=settings.run.seed,
            min_gradient=settings.data.min_gradient,
            candidates=settings.data.candidates,
            teacher=settings.data.teacher,
        )
        # The next batch is read while the network works on this one: a page of the bank may have to come from disk.
        self.reader = ThreadPoolExecutor(1)
        self.ahead: tuple[tuple[int, int], Future[Batch]] | None = None
        checkpoint = newest_checkpoint(self.folder) if resume else None
        torch.manual_seed(settings.run.seed)
        self.network = build_network(settings, None if checkpoint else init).to(workers.device)
        state = self.network.state_dict()
        self.ema = {name: t.detach().clone() for name, t in state.items()}
        self.current = _averaged(state)  # the parameters themselves, which are always updated in place
        self.optimizers = build_optimizers(self.network, settings.optimizer)
        self.step, self.seconds, self.samples = 0, 0.0, 0
        self.detours, self.usual_loss, self.attempts = 0, 0.0, 0
        self.started_from = ""
        if checkpoint is None:
            self.started_from = _origin(init) if init else ""
            lr, hr, _ = self.next_batch()
            self.pace = choose_pace(self.network, lr, hr, settings.run, workers)
        else:  # at the pace it began with, however busy the machine is now
            self.pace = Pace(checkpoint.bf16, checkpoint.compiled)
            self._restore(checkpoint)
        self.forward = torch.compile(self.network) if self.pace.compiled else self.network

    def go(self, on_progress: Callable[[Progress], None] | None = None) -> None:
        run, steps = self.settings.run, self.settings.schedule.steps
        self.journal = Journal(self.folder, step=self.step, on_progress=on_progress) if self.workers.leads else None
        if self.journal:
            with replacing(self.folder / SETTINGS) as temporary:
                text = json.dumps(described(self.settings) | {"base": str(self.base)}, indent=1)
                temporary.write_text(text, "utf-8")
            if self.step == 0:
                self._save()  # what a first spike goes back to
        losses: list[Tensor] = []
        with _stop_requests() as stop:
            while self.step < steps:
                losses.append(self.take_step())
                done = self.step == steps
                stopping = self.workers.any(stop.is_set())
                saving = self.step % run.save_every == 0 or done or stopping
                if saving or self.step % run.log_every == 0:
                    loss = self._mean(losses)
                    if not self._sound(loss, saving=saving):
                        self._go_back(loss)
                        continue
                    self._tell(loss=loss)
                if self.step % run.validate_every == 0 or done:
                    self._validate()
                if saving:
                    self.attempts = 0
                    if self.workers.leads:
                        self._save()
                if stopping:
                    break
        if self.journal:
            self.journal.close()

    def take_step(self) -> Tensor:
        """Train one step; returns the loss of this process's patches."""
        began = time.perf_counter()
        loss = self.gradients(*self.next_batch())
        self.workers.average([p.grad for p in self.network.parameters() if p.grad is not None])
        if self.settings.optimizer.clip:
            clip_grad_norm_(self.network.parameters(), self.settings.optimizer.clip)
        rate = learning_rate(self.settings.schedule, self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * rate
            optimizer.step()
            optimizer.zero_grad()
        self._update_ema()
        if self.workers.device.type == "cuda":
            torch.cuda.synchronize()
        self.step += 1
        self.samples += self.settings.run.batch
        self.seconds += time.perf_counter() - began
        return loss

    def next_batch(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """This process's patches of the next step: LR, HR and the teacher's, (B, 3, H, W) float32."""
        wanted = (self.step, self.detours)
        if self.ahead is None or self.ahead[0] != wanted:
            self.ahead = wanted, self.reader.submit(self._draw, *wanted)
        batch = self.ahead[1].result()
        following = (self.step + 1, self.detours)
        self.ahead = following, self.reader.submit(self._draw, *following)
        lr, hr = (to_tensor(patches, self.workers.device) for patches in (batch.lr, batch.hr))
        return lr, hr, None if batch.teacher is None else to_tensor(batch.teacher, self.workers.device)

    def _draw(self, step: int, detours: int) -> Batch:
        # Other patches after every detour: the same would lead to the same end.
        self.sampler.seed = self.settings.run.seed + 1_000_003 * detours
        return self.sampler.batch(step, self.places)

    def gradients(self, lr: Tensor, hr: Tensor, teacher: Tensor | None) -> Tensor:
        """Forward and backward; returns the loss."""
        with torch.autocast(self.workers.device.type, torch.bfloat16, enabled=self.pace.bf16):
            output = self.forward(lr)
        loss = training_loss(output.float(), hr, teacher, self.settings.loss)
        loss.backward()
        return loss.detach()

    @torch.no_grad()
    def _update_ema(self) -> None:
        # A young average forgets faster, so that it does not remember the initialization.
        decay = min(self.settings.run.ema, (1 + self.step) / (10 + self.step))
        get_ema_multi_avg_fn(decay)(_averaged(self.ema), self.current, 0)

    def _mean(self, losses: list[Tensor]) -> float:
        mean = torch.stack(losses).mean()
        losses.clear()
        self.workers.average([mean])
        return float(mean)

    def _sound(self, loss: float, *, saving: bool) -> bool:
        """Whether training goes well: a finite loss, not far above the usual one, and finite weights to save."""
        spike = self.settings.run.spike
        if not loss < float("inf") or (spike and self.usual_loss and loss > spike * self.usual_loss):
            return False
        if saving and not all(t.isfinite().all() for t in (*self.network.state_dict().values(), *self.ema.values())):
            return False
        self.usual_loss = USUAL * self.usual_loss + (1 - USUAL) * loss if self.usual_loss else loss
        return True

    def _go_back(self, loss: float) -> None:
        checkpoint, failed = newest_checkpoint(self.folder), self.step
        self.attempts += 1
        if checkpoint is None or self.attempts > MOST_DETOURS:
            raise MafdnError(
                f"training does not get past step {failed} (mean loss {loss:.4g}); lower optimizer.lr and start "
                f"again: the run goes on from the last checkpoint in {self.folder}"
            )
        self._restore(checkpoint)
        self.detours = checkpoint.detours + self.attempts
        if self.journal:
            self.journal.rewind(self.step)
        what = f"loss {loss:.4g} at step {failed}, usual {self.usual_loss:.4g}"
        self._tell(note=f"{what}: back to the checkpoint of step {self.step}, on with other patches")

    def _validate(self) -> None:
        if not self.held_out:
            return
        network = build(self.network.settings).to(self.workers.device)
        network.load_state_dict(self.ema)
        mine = self.held_out[self.workers.rank :: self.workers.world]
        total = held_out_psnr_sum(network.fold(), self.bank, mine, scale=self.settings.network.scale)
        mean = torch.tensor(total, device=self.workers.device)
        self.workers.average([mean])
        self._tell(psnr=float(mean) * self.workers.world / len(self.held_out))

    def _tell(self, *, loss: float | None = None, psnr: float | None = None, note: str = "") -> None:
        if self.journal:
            progress = Progress(
                step=self.step,
                steps=self.settings.schedule.steps,
                seconds=self.seconds,
                samples=self.samples,
                rate=learning_rate(self.settings.schedule, max(0, self.step - 1)),
                loss=loss,
                psnr=psnr,
                note=note,
            )
            self.journal.tell(progress)

    def _save(self) -> None:
        checkpoint = Checkpoint(
            step=self.step,
            seconds=self.seconds,
            samples=self.samples,
            bf16=self.pace.bf16,
            compiled=self.pace.compiled,
            detours=self.detours,
            usual_loss=self.usual_loss,
            started_from=self.started_from,
            network=self.network.state_dict(),
            ema=self.ema,
            optimizer=optimizer_tensors(self.optimizers, self.network),
        )
        save_checkpoint(self.folder, checkpoint)

    def _restore(self, checkpoint: Checkpoint) -> None:
        try:
            self.network.load_state_dict(checkpoint.network)
        except RuntimeError:
            raise ConfigError(
                f"{self.folder} holds a run of another network; give this one another run.folder"
            ) from None
        # Copies: what was read lies in the file, which a later checkpoint removes.
        self.ema = {name: checkpoint.ema[name].to(self.workers.device, copy=True) for name in self.ema}
        restore_optimizers(self.optimizers, self.network, checkpoint.optimizer)
        self.step, self.seconds, self.samples = checkpoint.step, checkpoint.seconds, checkpoint.samples
        self.detours, self.usual_loss = checkpoint.detours, checkpoint.usual_loss
        self.started_from = checkpoint.started_from


def build_network(settings: TrainSettings, init: Path | None) -> Network:
    """A new network for a run: initialized at random, or from the weights ``init`` of this or another scale."""
    network = build(settings.network)
    if init:
        transfer(load_network(init), network)
    return network


def _averaged(state: dict[str, Tensor]) -> list[Tensor]:
    """What of a network is averaged: all but the count of batches that a batch norm keeps."""
    return [tensor for tensor in state.values() if tensor.is_floating_point()]


def _origin(weights: Path) -> str:
    return f"{weights.name}, SHA-256 {sha256(weights)}"


def described(settings: TrainSettings) -> dict[str, Any]:
    """``settings`` as JSON holds them."""
    table = json.loads(json.dumps(asdict(settings)))
    table["network"] = {"architecture": architecture(settings.network), **table["network"]}
    return table


def read_settings(folder: Path) -> dict[str, Any] | None:
    """What the run in ``folder`` was last started with, as :func:`described`; ``None`` when it never was."""
    path = folder / SETTINGS
    if not path.exists():
        return None
    return {key: value for key, value in json.loads(path.read_text("utf-8")).items() if key != "base"}


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
