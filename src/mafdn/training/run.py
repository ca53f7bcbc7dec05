"""One process's part of a training run: its settings, data and state, and a single step."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from mafdn._support.progress import ignore
from mafdn.errors import ConfigError
from mafdn.networks import Network, build
from mafdn.networks.architectures import check_own
from mafdn.training.config import Overrides, ScheduleSettings, TrainSettings
from mafdn.training.data.bank import Bank, open_bank
from mafdn.training.data.batches import HostBatches, ResidentBatches, Tensors
from mafdn.training.data.build import build_bank
from mafdn.training.data.patches import PatchSampler
from mafdn.training.data.sources import check_bank
from mafdn.training.last_convolution import fit_last_convolution
from mafdn.training.losses import training_loss
from mafdn.training.optimizers import build_optimizers
from mafdn.training.pretrained import locate, open_pretrained, origin, pretrained_file
from mafdn.training.record.run_folder import RunFolder, SavedRun, load_config
from mafdn.training.record.starts import Start, changes, describe_start, teacher_digests
from mafdn.training.resume import check_banks, check_resumed, check_teacher
from mafdn.training.schedule import learning_rate, progress
from mafdn.training.state import RunState
from mafdn.training.step_mode import StepMode, choose_step_mode, resumed_mode, training_memory
from mafdn.training.validation import check_split, held_out_psnr_sum, split_bank
from mafdn.training.workers import Workers
from mafdn.weights.header import Card

Batches = HostBatches | ResidentBatches


class Run:
    """A run in one process; `mafdn.training.loop.fit` is the loop over `take_step`.

    It resumes from the newest checkpoint in its folder, if any.

    Args:
        config: The settings of the run.
        bank: The training pictures.
        workers: The processes of the run.
        init: Pretrained weights for a new run, as for `pretrained_file`; random by default.
        resume: Whether to look for a checkpoint.
        batches: The batches of another run with the same data, to share its memory.
        on_note: Called with messages to the user.

    Raises:
        ConfigError: The settings do not match each other, the bank or the checkpoint.
    """

    def __init__(
        self,
        config: SavedRun,
        bank: Bank,
        workers: Workers,
        *,
        init: str = "",
        resume: bool = True,
        batches: Batches | None = None,
        on_note: Callable[[str], None] = ignore,
    ) -> None:
        settings = config.settings
        self.settings, self.base, self.bank, self.workers = settings, config.base, bank, workers
        self.overrides = config.overrides
        self.folder = RunFolder((config.base / settings.run.folder).resolve())
        if settings.run.batch % workers.world:
            raise ConfigError(f"run.batch = {settings.run.batch} is not a multiple of the {workers.world} processes")
        zoomed = self._zoomed()
        banks = {"data.bank": bank} | ({"data.zoomed": zoomed[0]} if zoomed else {})
        self.banks = {name: used.fingerprint for name, used in banks.items()}
        """The fingerprints of the training pictures, as in `SavedRun.banks`."""
        checkpoint = self.folder.newest() if resume else None
        other_loss = False
        earlier: tuple[Start, ...] = ()
        if checkpoint:
            before = self.folder.saved()
            other_loss = workers.any(_other_loss(before.settings, settings))  # the first process will replace them
            on_note(check_resumed(self.folder, before, config))
            check_banks(self.folder, before.banks, self.banks)
            earlier = before.starts
            if earlier:
                check_banks(self.folder, earlier[-1]["banks"], {name: used.digest for name, used in banks.items()})
                if before.settings.data.teacher == (teacher := settings.data.teacher):
                    taught = earlier[-1].get("teacher", {})
                    check_teacher(self.folder, teacher, taught, teacher_digests(bank, teacher))
            if checkpoint.step:
                on_note(f"resuming from step {checkpoint.step}")
        self.held_out, training = check_split(bank, settings.data.held_out, on_note=on_note)
        self.batches = batches or self._batches(training, zoomed)
        self.parent: Card | None = None
        """The card of the pretrained weights of a new run."""
        torch.manual_seed(settings.run.seed)
        network = build(settings.network)
        check_own(network, side=settings.data.patch)
        pretrained = open_pretrained(init, network) if init and checkpoint is None else None
        if pretrained:
            pretrained.transfer_to(network)
            on_note(f"run.init: {pretrained.note}" if pretrained.note else "")
        network = _placed(network, workers.device)
        workers.share(network.state_dict().values())  # a network from outside may draw weights from other generators
        if pretrained and pretrained.network.settings.scale != network.settings.scale:
            with training_memory(settings, workers.device):
                patches = fit_last_convolution(network, lambda step: self.batches.get(step, 0), workers, settings.loss)
            last = f"fitted the last convolution to {patches:,} patches" if patches else "the last layers are random"
            on_note(f"run.init: weights for x{pretrained.network.settings.scale}; {last}")
        self.state = RunState(network, build_optimizers(network, settings.optimizer), StepMode(False, False))
        if checkpoint is None:
            self.state.started_from = pretrained.origin if pretrained else ""
            self.parent = pretrained.card if pretrained else None
            with training_memory(settings, workers.device):
                lr, hr, _ = self.next_batch()
                self.state.mode = choose_step_mode(network, lr, hr, settings.run, workers)
        else:
            self.state.mode = self._resumed_mode(StepMode(checkpoint.bf16, checkpoint.compiled))
            try:
                self.state.restore(checkpoint)
            except ConfigError as error:
                raise ConfigError(f"{self.folder.path}: {error}") from None
            if other_loss:
                self.state.usual_loss = 0.0
        self.forward = torch.compile(network) if self.state.mode.compiled else network
        teacher = settings.data.teacher
        start = describe_start(self.state.step, self.state.mode, workers, banks, teacher=teacher)
        on_note(changes(earlier, start))
        self.starts = (*earlier, start)
        """What each start of the run was computed with, this one last."""

    @property
    def network(self) -> Network:
        """The network in training form."""
        return self.state.network

    def set_schedule(self, schedule: ScheduleSettings) -> None:
        """Replace the schedule from the next step on, and with it the progress on which the loss depends."""
        self.settings = replace(self.settings, schedule=schedule)
        self.state.usual_loss = 0.0

    def take_step(self) -> Tensor:
        """Train one step and return the loss of this process's patches, a scalar on the device."""
        start = time.perf_counter()
        batch = self.next_batch()
        torch.manual_seed(self._step_seed())
        loss = self.gradients(*batch)
        self.workers.average_gradients(self.network.parameters())
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

    def _resumed_mode(self, before: StepMode) -> StepMode:
        """The mode of a run that is resumed; raises `ConfigError` if it cannot be compiled."""
        run = self.settings.run
        mode = resumed_mode(before, run)
        if mode.compiled and not before.compiled:
            lr, hr, _ = self.batches.get(0, 0)
            precision = "bf16" if mode.bf16 else "fp32"
            with training_memory(self.settings, self.workers.device):
                choose_step_mode(self.network, lr, hr, replace(run, precision=precision), self.workers)
        return mode

    def next_batch(self) -> Tensors:
        """Return this process's patches of the next step."""
        return self.batches.get(self.state.step, self.state.detours)

    def _step_seed(self) -> int:
        """The seed of what the network draws in the next step, such as dropout."""
        run, state = self.settings.run, self.state
        sequence = np.random.SeedSequence([run.seed, state.detours, state.step, self.workers.rank])
        return int(sequence.generate_state(1, np.uint64)[0])

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

    def average_statistics(self) -> None:
        """Replace the statistics of batch norms, and their moving averages, with the means over all processes.

        A batch norm sees only the patches of its process.
        """
        tensors, trained = self.network.state_dict(), dict(self.network.named_parameters(remove_duplicate=False))
        names = [name for name, tensor in tensors.items() if tensor.is_floating_point() and name not in trained]
        if names:
            self.workers.average([state[name] for state in (tensors, self.state.ema) for name in names])

    def validate(self) -> float | None:
        """Measure the PSNR of the averaged weights on the held-out pictures, in dB; `None` if there are none.

        They are degraded as the patches are, each always in the same way.
        """
        if not self.held_out:
            return None
        network = build(self.network.settings).to(self.workers.device)
        network.load_state_dict(self.state.ema)
        mine = self.held_out[self.workers.rank :: self.workers.world]
        settings = self.settings
        total = held_out_psnr_sum(
            network.fold(), self.bank, mine, scale=settings.network.scale, degrade=settings.degrade
        )
        mean = torch.tensor(total, dtype=torch.float64, device=self.workers.device)
        self.workers.average([mean])
        return float(mean) * self.workers.world / len(self.held_out)

    def _batches(self, training: list[int], zoomed: tuple[Bank, list[int]] | None) -> Batches:
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
            zoomed=zoomed,
            zoomed_share=data.zoomed_share,
            recolored=data.recolored,
            degrade=self.settings.degrade,
        )
        places = list(range(self.workers.rank, run.batch, self.workers.world))
        resident = run.resident == "on" or (run.resident == "auto" and device.type != "cpu" and not sampler.degrade)
        return (ResidentBatches if resident else HostBatches)(sampler, places, device)

    def _zoomed(self) -> tuple[Bank, list[int]] | None:
        """Open the bank of zoomed pairs; returns it and the indices of its training pictures."""
        data, scale = self.settings.data, self.settings.network.scale
        if not data.zoomed:
            return None
        zoomed = open_bank(self.base / data.zoomed)
        if zoomed.zoomed is None:
            raise ConfigError(
                f"data.zoomed: {zoomed.folder} is not a bank of zoomed pairs; make one with 'mafdn bank zoom'"
            )
        pairs, photographs = ({picture.sha256 for picture in bank.pictures} for bank in (zoomed, self.bank))
        if zoomed.zoomed.source != self.bank.fingerprint or pairs != photographs:
            raise ConfigError(f"data.zoomed: {zoomed.folder} was made from a different bank than {self.bank.folder}")
        if zoomed.zoomed.scale != scale:
            raise ConfigError(f"data.zoomed: {zoomed.folder} holds pairs for x{zoomed.zoomed.scale}, not x{scale}")
        return zoomed, split_bank(zoomed, data.held_out)[1]


def open_run(
    config: Path,
    workers: Workers,
    *,
    overrides: Overrides | None = None,
    init: str | Path | None = None,
    resume: bool = True,
    batches: Batches | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Run:
    """Open a run in this process, building its bank first if necessary.

    Args:
        config: A TOML file or the folder of a run.
        workers: The processes of the run, all of which must call this.
        overrides: Settings that replace those of `config`.
        init: Pretrained weights for a new run (`mafdn.training.pretrained`); by default those that the settings name.
        resume: Whether to look for a checkpoint.
        batches: The batches of another run with the same data, to share its memory.
        on_prepare: Called as `on_prepare(done, total)` while pictures are prepared.
        on_note: Called with messages to the user, in the first process.

    Raises:
        ConfigError: The settings are invalid, or the run was started with other settings or weights than those given.
        PictureError: A training picture cannot be read.
    """

    def note(text: str) -> None:
        if text and on_note and workers.leads:
            on_note(text)

    loaded = load_config(config, overrides, on_note=note)
    bank = prepare(loaded, on_prepare=on_prepare, on_note=note) if workers.leads else None
    workers.wait()
    bank = bank or open_bank(loaded.bank)
    named, scale = loaded.settings.run.init, loaded.settings.network.scale
    parent = str(init) if init else locate(named, loaded.base) if named else ""
    run = Run(loaded, bank, workers, init=parent, resume=resume, batches=batches, on_note=note)
    if init and run.state.started_from != origin(pretrained_file(parent, scale=scale)):
        start = run.state.started_from or "random weights"
        raise ConfigError(f"the run in {run.folder.path} was started from {start}; choose another run.folder")
    return run


def prepare(
    config: SavedRun,
    *,
    on_prepare: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] = ignore,
) -> Bank:
    """Open the bank of a run, building it if it does not exist.

    An existing bank is compared with those of the source folders that still exist.

    Args:
        config: The settings of the run.
        on_prepare: Called as `on_prepare(done, total)` while pictures are prepared.
        on_note: Called with messages to the user.

    Raises:
        ConfigError: A folder does not exist or has no pictures, or the bank is not usable or does not match the
            settings.
        PictureError: A picture cannot be read.
    """
    data = config.settings.data
    folders, exclude = ([(config.base / f).resolve() for f in named] for named in (data.folders, data.exclude))
    if config.bank.exists():
        bank = open_bank(config.bank)
        check_bank(bank, scale=config.settings.network.scale, folders=folders, exclude=exclude, on_note=on_note)
        return bank
    if not folders:
        raise ConfigError(
            f"the bank {config.bank} does not exist, and data.folders is empty; set data.folders to folders of "
            "pictures to build a bank, or data.bank to an existing one",
            setting="data",
        )
    for setting, paths, remedy in (
        ("folders", folders, "use a folder of your own pictures"),
        ("exclude", exclude, "set data.exclude to the benchmark datasets that you have, or to []"),
    ):
        for path in paths:
            if not path.is_dir():
                raise ConfigError(
                    f"data.{setting}: the folder {path} does not exist; download the dataset to there, or {remedy}",
                    setting="data" if setting == "folders" else "",
                )
    return build_bank(folders, config.bank, scales=data.scales, exclude=exclude, on_progress=on_prepare)


def _other_loss(before: TrainSettings, now: TrainSettings) -> bool:
    """Whether losses under two settings cannot be compared with each other."""
    return any(getattr(before, table) != getattr(now, table) for table in ("data", "degrade", "loss", "schedule"))


def _placed(network: Network, device: torch.device) -> Network:
    """Move a network to the device of a run."""
    network = network.to(device)
    # On a GPU convolutions are fastest with channels last; on a CPU it makes no difference.
    return network if device.type == "cpu" else network.to(memory_format=torch.channels_last)  # pyright: ignore
