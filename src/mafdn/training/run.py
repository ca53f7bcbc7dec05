"""One process's part of a training run: its settings, data and state, and a single step.

Public names: :class:`Run`, :func:`open_run`, :func:`prepare`.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from mafdn._support.atomic import sha256
from mafdn.errors import ConfigError
from mafdn.networks import Network, build, load_network, transfer
from mafdn.training.batches import HostBatches, ResidentBatches, Tensors
from mafdn.training.config import ScheduleSettings, TrainSettings
from mafdn.training.data.bank import Bank, open_bank
from mafdn.training.data.build import build_bank
from mafdn.training.data.patches import PatchSampler
from mafdn.training.losses import training_loss
from mafdn.training.optimizers import build_optimizers
from mafdn.training.pace import Pace, choose_pace
from mafdn.training.run_folder import RunFolder, load_config
from mafdn.training.schedule import learning_rate, progress
from mafdn.training.state import RunState
from mafdn.training.validation import held_out_psnr_sum, split_bank
from mafdn.training.workers import Workers
from mafdn.weights.header import Card, read_header

Batches = HostBatches | ResidentBatches


class Run:
    """A run as one process sees it; :func:`mafdn.training.loop.fit` is the loop over :meth:`take_step`."""

    def __init__(
        self,
        settings: TrainSettings,
        base: Path,
        bank: Bank,
        workers: Workers,
        *,
        init: Path | None = None,
        resume: bool = True,
        batches: Batches | None = None,
    ) -> None:
        """Open the run with its newest checkpoint when it is to ``resume``, else a new one from the weights ``init``.

        ``batches`` are those of another run with the same data. Raises :class:`ConfigError` for settings that do not
        fit each other, the bank or the checkpoint.
        """
        self.settings, self.base, self.bank, self.workers = settings, base, bank, workers
        self.folder = RunFolder((base / settings.run.folder).resolve())
        if settings.run.batch % workers.world:
            raise ConfigError(f"run.batch {settings.run.batch} does not divide over {workers.world} processes")
        self.held_out, training = split_bank(bank, settings.data.held_out)
        self.batches = batches or self._batches(training)
        checkpoint = self.folder.newest() if resume else None
        self.parent: Card | None = None
        """The card of the weights that a new run starts from."""
        torch.manual_seed(settings.run.seed)
        network = _build_network(settings, None if checkpoint else init, workers.device)
        self.state = RunState(network, build_optimizers(network, settings.optimizer), Pace(False, False))
        if checkpoint is None:
            self.state.started_from = origin(init) if init else ""
            self.parent = read_header(init)[1] if init else None
            lr, hr, _ = self.next_batch()
            self.state.pace = choose_pace(network, lr, hr, settings.run, workers)
        else:  # at the pace it began with, however busy the machine is now
            self.state.pace = Pace(checkpoint.bf16, checkpoint.compiled)
            try:
                self.state.restore(checkpoint)
            except ConfigError as error:
                raise ConfigError(f"{self.folder.path}: {error}") from None
        self.forward = torch.compile(network) if self.state.pace.compiled else network

    @property
    def network(self) -> Network:
        return self.state.network

    def rescheduled(self, schedule: ScheduleSettings) -> None:
        """From now on follow another schedule."""
        self.settings = replace(self.settings, schedule=schedule)

    def take_step(self) -> Tensor:
        """Train one step; returns the loss of this process's patches, (), on the device."""
        began = time.perf_counter()
        loss = self.gradients(*self.next_batch())
        self.workers.average([p.grad for p in self.network.parameters() if p.grad is not None])
        if self.settings.optimizer.clip:
            clip_grad_norm_(self.network.parameters(), self.settings.optimizer.clip)
        state = self.state
        rate = learning_rate(self.settings.schedule, state.step)
        for optimizer in state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * rate
            optimizer.step()
            optimizer.zero_grad()
        state.update_ema(self.settings.run.ema)
        state.step += 1
        state.samples += self.settings.run.batch
        state.seconds += time.perf_counter() - began
        return loss

    def next_batch(self) -> Tensors:
        """This process's patches of the next step."""
        return self.batches.get(self.state.step, self.state.detours)

    def gradients(self, lr: Tensor, hr: Tensor, teacher: Tensor | None) -> Tensor:
        """Forward and backward; returns the loss."""
        with torch.autocast(self.workers.device.type, torch.bfloat16, enabled=self.state.pace.bf16):
            output = self.forward(lr)
        done = progress(self.settings.schedule, self.state.step)
        loss = training_loss(output.float(), hr, teacher, self.settings.loss, progress=done)
        loss.backward()
        return loss.detach()

    def validate(self) -> float | None:
        """PSNR in dB of the averaged weights on the held-out pictures; ``None`` when there are none."""
        if not self.held_out:
            return None
        network = build(self.network.settings).to(self.workers.device)
        network.load_state_dict(self.state.ema)
        mine = self.held_out[self.workers.rank :: self.workers.world]
        total = held_out_psnr_sum(network.fold(), self.bank, mine, scale=self.settings.network.scale)
        mean = torch.tensor(total, device=self.workers.device)
        self.workers.average([mean])
        return float(mean) * self.workers.world / len(self.held_out)

    def _batches(self, training: list[int]) -> Batches:
        data, run, device = self.settings.data, self.settings.run, self.workers.device
        sampler = PatchSampler(
            self.bank,
            training,
            scale=self.settings.network.scale,
            patch=data.patch,
            seed=run.seed,
            min_gradient=data.min_gradient,
            candidates=data.candidates,
            teacher=data.teacher,
            zoomed=_zoomed(self.settings, self.base, self.bank),
            zoomed_share=data.zoomed_share,
        )
        places = list(range(self.workers.rank, run.batch, self.workers.world))
        resident = run.resident == "on" or (run.resident == "auto" and device.type != "cpu")
        return (ResidentBatches if resident else HostBatches)(sampler, places, device)


def open_run(
    config: Path,
    workers: Workers,
    *,
    init: Path | None = None,
    resume: bool = True,
    batches: Batches | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
) -> Run:
    """This process's part of the run that ``config``, a TOML file or the folder of a run, describes.

    Its bank is built first when it is not there. Raises :class:`ConfigError` for impossible settings and when the run
    began from other weights than ``init``, :class:`PictureError` for an unreadable picture.
    """
    settings, base = load_config(config)
    bank = prepare(settings, base, on_prepare=on_prepare) if workers.leads else None
    workers.wait()
    bank = bank or open_bank(base / settings.data.bank)
    parent = init or (base / settings.run.init if settings.run.init else None)
    run = Run(settings, base, bank, workers, init=parent, resume=resume, batches=batches)
    if init and run.state.started_from != origin(init):
        began = run.state.started_from or "random weights"
        raise ConfigError(f"{run.folder.path} holds a run that began from {began}; choose another run.folder")
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


def origin(weights: Path) -> str:
    """What is said of the weights a run starts from."""
    return f"{weights.name}, SHA-256 {sha256(weights)}"


def _build_network(settings: TrainSettings, init: Path | None, device: torch.device) -> Network:
    """A new network for a run: initialized at random, or from the weights ``init`` of this or another scale."""
    network = build(settings.network)
    if init:
        transfer(load_network(init), network)
    network = network.to(device)
    # On a GPU convolutions are fastest with channels last; on a CPU the kernels' own order is as good.
    return network if device.type == "cpu" else network.to(memory_format=torch.channels_last)  # pyright: ignore


def _zoomed(settings: TrainSettings, base: Path, bank: Bank) -> tuple[Bank, list[int]] | None:
    """The bank of zoomed pairs and the pictures in it that may be trained on."""
    data = settings.data
    if not data.zoomed:
        return None
    zoomed = open_bank(base / data.zoomed)
    if zoomed.zoomed is None:
        raise ConfigError(f"data.zoomed: {zoomed.folder} is a bank of photographs; make one with 'mafdn bank zoom'")
    if zoomed.zoomed.source != bank.fingerprint:
        raise ConfigError(f"data.zoomed: {zoomed.folder} was made from another bank than {bank.folder}")
    if zoomed.zoomed.scale != settings.network.scale:
        raise ConfigError(
            f"data.zoomed: {zoomed.folder} holds pairs for x{zoomed.zoomed.scale}, not x{settings.network.scale}"
        )
    return zoomed, split_bank(zoomed, data.held_out)[1]
