"""What changes while a run trains.

Public names: :class:`RunState`.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mafdn.errors import ConfigError
from mafdn.networks import Network
from mafdn.training.checkpoint import Checkpoint
from mafdn.training.optimizers import optimizer_tensors, restore_optimizers
from mafdn.training.pace import Pace


@dataclass
class RunState:
    """The network, its optimizers and its averaged weights, and how far a run is: what a checkpoint holds.

    ``step`` steps and ``samples`` patches were trained in ``seconds``; ``detours`` counts how often the run went back
    to a checkpoint, ``attempts`` how often since the last one; ``usual_loss`` is a running mean (0 before the first).
    """

    network: Network
    optimizers: list[Optimizer]
    pace: Pace
    started_from: str = ""
    step: int = 0
    seconds: float = 0.0
    samples: int = 0
    detours: int = 0
    usual_loss: float = 0.0
    attempts: int = 0
    ema: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """The exponential average of the network's state; a copy of the state when not given."""
    _current: list[Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        state = self.network.state_dict()
        self.ema = self.ema or {name: tensor.detach().clone() for name, tensor in state.items()}
        # The parameters themselves, which are always updated in place. A batch norm's count is not averaged.
        self._current = [tensor for tensor in state.values() if tensor.is_floating_point()]

    @torch.no_grad()
    def update_ema(self, decay: float) -> None:
        """Move the average towards the network; a young average forgets faster: it should not keep the beginning."""
        averaged = [tensor for tensor in self.ema.values() if tensor.is_floating_point()]
        get_ema_multi_avg_fn(min(decay, (1 + self.step) / (10 + self.step)))(averaged, self._current, 0)

    def finite(self) -> bool:
        """Whether all weights are finite, the averaged ones too."""
        return all(bool(t.isfinite().all()) for t in (*self.network.state_dict().values(), *self.ema.values()))

    def checkpoint(self) -> Checkpoint:
        """The state as it is now; its tensors are the live ones, so write it before the next step."""
        return Checkpoint(
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

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from ``checkpoint``; raises :class:`ConfigError` when it is of another network or optimizer."""
        try:
            self.network.load_state_dict(checkpoint.network)
        except RuntimeError:
            raise ConfigError("the run was begun with another network; choose another run.folder") from None
        # Copies: what was read lies in the file, which a later checkpoint removes.
        self.ema = {name: checkpoint.ema[name].to(tensor.device, copy=True) for name, tensor in self.ema.items()}
        restore_optimizers(self.optimizers, self.network, checkpoint.optimizer)
        self.step, self.seconds, self.samples = checkpoint.step, checkpoint.seconds, checkpoint.samples
        self.detours, self.usual_loss = checkpoint.detours, checkpoint.usual_loss
        self.started_from = checkpoint.started_from
