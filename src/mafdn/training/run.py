"""One process's part of a training run: its settings, data and state, and a single step."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from mafdn.errors import ConfigError
from mafdn.networks import Network, build
from mafdn.networks.architectures import check_own
from mafdn.training.config import ScheduleSettings, TrainSettings
from mafdn.training.data.bank import Bank, open_bank
from mafdn.training.data.batches import HostBatches, ResidentBatches, Tensors
from mafdn.training.data.build import build_bank
from mafdn.training.data.patches import PatchSampler
from mafdn.training.losses import training_loss
from mafdn.training.optimizers import build_optimizers
from mafdn.training.pretrained import locate, open_pretrained, origin, pretrained_file
from mafdn.training.record.run_folder import RunFolder, load_config
from mafdn.training.schedule import learning_rate, progress
from mafdn.training.state import RunState
from mafdn.training.step_mode import StepMode, choose_step_mode
from mafdn.training.validation import held_out_psnr_sum, split_bank
from mafdn.training.workers import Workers
from mafdn.weights.header import Card

Batches = HostBatches | ResidentBatches


class Run:
    """A run in one process; `mafdn.training.loop.fit` is the loop over `take_step`.

    It resumes from the newest checkpoint in its folder, if any.

    Args:
        settings: The settings of the run.
        base: The folder that paths in the settings are relative to.
        bank: The training pictures.
        workers: The processes of the run.
        init: Pretrained weights for a new run, as for `pretrained_file`; random by default.
        resume: Whether to look for a checkpoint.
        batches: The batches of another run with the same data, to share its memory.

    Raises:
        ConfigError: The settings do not match each other, the bank or the checkpoint.
    """

    def __init__(
        self,
        settings: TrainSettings,
        base: Path,
        bank: Bank,
        workers: Workers,
        *,
        init: str = "",
        resume: bool = True,
        batches: Batches | None = None,
    ) -> None:
        self.settings, self.base, self.bank, self.workers = settings, base, bank, workers
        self.folder = RunFolder((base / settings.run.folder).resolve())
        if settings.run.batch % workers.world:
            raise ConfigError(f"run.batch = {settings.run.batch} is not a multiple of the {workers.world} processes")
        self.held_out, training = split_bank(bank, settings.data.held_out)
        self.batches = batches or self._batches(training)
        checkpoint = self.folder.newest() if resume else None
        self.parent: Card | None = None
        """The card of the pretrained weights of a new run."""
        torch.manual_seed(settings.run.seed)
        network = build(settings.network)
        check_own(network, side=settings.data.patch)
        pretrained = open_pretrained(init, network) if init and checkpoint is None else None
        if pretrained:
            pretrained.transfer_to(network)
        self.note = f"run.init: {pretrained.note}" if pretrained and pretrained.note else ""
        """What the user should know about the start of the run, or an empty text."""
        network = _placed(network, workers.device)
        self.state = RunState(network, build_optimizers(network, settings.optimizer), StepMode(False, False))
        if checkpoint is None:
            self.state.started_from = pretrained.origin if pretrained else ""
            self.parent = pretrained.card if pretrained else None
            lr, hr, _ = self.next_batch()
            self.state.mode = choose_step_mode(network, lr, hr, settings.run, workers)
        else:  # keep the mode of the first start, which a new measurement might not choose again
            self.state.mode = StepMode(checkpoint.bf16, checkpoint.compiled)
            try:
                self.state.restore(checkpoint)
            except ConfigError as error:
                raise ConfigError(f"{self.folder.path}: {error}") from None
        self.forward = torch.compile(network) if self.state.mode.compiled else network

    @property
    def network(self) -> Network:
        """The network in training form."""
        return self.state.network

    def set_schedule(self, schedule: ScheduleSettings) -> None:
        """Replace the schedule from the next step on."""
        self.settings = replace(self.settings, schedule=schedule)

    def take_step(self) -> Tensor:
        """Train one step and return the loss of this process's patches, a scalar on the device."""
        start = time.perf_counter()
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
        state.seconds += time.perf_counter() - start
        return loss

    def next_batch(self) -> Tensors:
        """Return this process's patches of the next step."""
        return self.batches.get(self.state.step, self.state.detours)

    def gradients(self, lr: Tensor, hr: Tensor, teacher: Tensor | None) -> Tensor:
        """Compute the gradients of a batch and return its loss, a scalar on the device.

        Args:
            lr: (B, 3, p, p), float32 in [0, 1].
            hr: (B, 3, sp, sp).
            teacher: The teacher's output, of the shape of `hr`; `None` without a teacher.
        """
        with torch.autocast(self.workers.device.type, torch.bfloat16, enabled=self.state.mode.bf16):
            output = self.forward(lr)
        done = progress(self.settings.schedule, self.state.step)
        loss = training_loss(output.float(), hr, teacher, self.settings.loss, progress=done)
        loss.backward()
        return loss.detach()

    def validate(self) -> float | None:
        """Measure the PSNR of the averaged weights on the held-out pictures, in dB; `None` if there are none."""
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
    init: str | Path | None = None,
    resume: bool = True,
    batches: Batches | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
) -> Run:
    """Open a run in this process, building its bank first if necessary.

    Args:
        config: A TOML file or the folder of a run.
        workers: The processes of the run, all of which must call this.
        init: Pretrained weights for a new run (`mafdn.training.pretrained`); by default those that the settings name.
        resume: Whether to look for a checkpoint.
        batches: The batches of another run with the same data, to share its memory.
        on_prepare: Called as `on_prepare(done, total)` while pictures are prepared.

    Raises:
        ConfigError: The settings are invalid, or the run was started from other weights than `init`.
        PictureError: A training picture cannot be read.
    """
    settings, base = load_config(config)
    bank = prepare(settings, base, on_prepare=on_prepare) if workers.leads else None
    workers.wait()
    bank = bank or open_bank(base / settings.data.bank)
    parent = str(init) if init else locate(settings.run.init, base) if settings.run.init else ""
    run = Run(settings, base, bank, workers, init=parent, resume=resume, batches=batches)
    if init and run.state.started_from != origin(pretrained_file(parent, scale=settings.network.scale)):
        start = run.state.started_from or "random weights"
        raise ConfigError(f"the run in {run.folder.path} was started from {start}; choose another run.folder")
    return run


def prepare(settings: TrainSettings, base: Path, *, on_prepare: Callable[[int, int], None] | None = None) -> Bank:
    """Open the bank of a run, building it if it does not exist.

    If none of the source folders exists any longer, a complete bank is used without them.

    Args:
        settings: The settings of the run.
        base: The folder that paths in the settings are relative to.
        on_prepare: Called as `on_prepare(done, total)` while pictures are prepared.

    Raises:
        ConfigError: A folder has no pictures, or the bank is not usable or has different pictures.
        PictureError: A picture cannot be read.
    """
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


def _placed(network: Network, device: torch.device) -> Network:
    """Move a network to the device of a run."""
    network = network.to(device)
    # On a GPU convolutions are fastest with channels last; on a CPU it makes no difference.
    return network if device.type == "cpu" else network.to(memory_format=torch.channels_last)  # pyright: ignore


def _zoomed(settings: TrainSettings, base: Path, bank: Bank) -> tuple[Bank, list[int]] | None:
    """Open the bank of zoomed pairs; returns it and the indices of its training pictures."""
    data = settings.data
    if not data.zoomed:
        return None
    zoomed = open_bank(base / data.zoomed)
    if zoomed.zoomed is None:
        raise ConfigError(
            f"data.zoomed: {zoomed.folder} is not a bank of zoomed pairs; make one with 'mafdn bank zoom'"
        )
    if zoomed.zoomed.source != bank.fingerprint:
        raise ConfigError(f"data.zoomed: {zoomed.folder} was made from a different bank than {bank.folder}")
    if zoomed.zoomed.scale != settings.network.scale:
        raise ConfigError(
            f"data.zoomed: {zoomed.folder} holds pairs for x{zoomed.zoomed.scale}, not x{settings.network.scale}"
        )
    return zoomed, split_bank(zoomed, data.held_out)[1]
