"""The state of a run that changes during training."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mafdn.errors import ConfigError
from mafdn.networks import Network
from mafdn.training.optimizers import optimizer_tensors, restore_optimizers
from mafdn.training.record.checkpoint import Checkpoint
from mafdn.training.step_mode import StepMode


@dataclass
class RunState:
    """The contents of a checkpoint: the network, its optimizers, its averaged weights and the progress of the run."""

    network: Network
    optimizers: list[Optimizer]
    mode: StepMode
    started_from: str = ""
    """The weights that the run started from; empty for random ones."""
    step: int = 0
    """Steps trained."""
    seconds: float = 0.0
    """Time spent in steps."""
    samples: int = 0
    """Patches trained on."""
    detours: int = 0
    """Number of times that the run went back to a checkpoint and drew different patches."""
    usual_loss: float = 0.0
    """Running mean of the loss; 0 before the first."""
    attempts: int = 0
    """Detours since the last checkpoint."""
    ema: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """Exponential moving average of the network's state; by default it starts as a copy of that state."""
    _current: list[Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        state = self.network.state_dict()
        self.ema = self.ema or {name: tensor.detach().clone() for name, tensor in state.items()}
        # The parameters themselves, which are always updated in place. A batch norm's count is not averaged.
        self._current = [tensor for tensor in state.values() if tensor.is_floating_point()]

    @torch.no_grad()
    def update_ema(self, decay: float) -> None:
        """Update the moving average with the network's current weights.

        Args:
            decay: Weight of the old average, in [0, 1); less in the first steps, to forget the initial weights.
        """
        averaged = [tensor for tensor in self.ema.values() if tensor.is_floating_point()]
        get_ema_multi_avg_fn(min(decay, (1 + self.step) / (10 + self.step)))(averaged, self._current, 0)

    def is_finite(self) -> bool:
        """Whether all weights and averaged weights are finite."""
        return all(bool(t.isfinite().all()) for t in (*self.network.state_dict().values(), *self.ema.values()))

    def checkpoint(self) -> Checkpoint:
        """Return the current state; its tensors are the live ones, so save it before the next step."""
        return Checkpoint(
            step=self.step,
            seconds=self.seconds,
            samples=self.samples,
            bf16=self.mode.bf16,
            compiled=self.mode.compiled,
            detours=self.detours,
            usual_loss=self.usual_loss,
            started_from=self.started_from,
            network=self.network.state_dict(),
            ema=self.ema,
            optimizer=optimizer_tensors(self.optimizers, self.network),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from `checkpoint`.

        Raises:
            ConfigError: It was saved with a different network or optimizer.
        """
        try:
            self.network.load_state_dict(checkpoint.network)
        except RuntimeError:
            raise ConfigError("the run was started with a different network; choose another run.folder") from None
        # Copied, as the tensors that were read are backed by the file, which a later checkpoint removes.
        self.ema = {name: checkpoint.ema[name].to(tensor.device, copy=True) for name, tensor in self.ema.items()}
        restore_optimizers(self.optimizers, self.network, checkpoint.optimizer)
        self.step, self.seconds, self.samples = checkpoint.step, checkpoint.seconds, checkpoint.samples
        self.detours, self.usual_loss = checkpoint.detours, checkpoint.usual_loss
        self.started_from = checkpoint.started_from
