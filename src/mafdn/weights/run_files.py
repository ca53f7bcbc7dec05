"""The network in the folder of a training run, found without torch.

A run folder holds `settings.json`, whose table `network` describes the network, and checkpoints,
`step-NNNNNNNN.safetensors`, in which the averaged weights are the tensors `ema/NAME`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open

from mafdn.errors import WeightsError

SETTINGS = "settings.json"
LOG = "log.jsonl"
CHECKPOINTS = "step-*.safetensors"
CHECKPOINT_ENTRY = "checkpoint"
"""The metadata entry that only checkpoints have."""
AVERAGED_PREFIX = "ema/"


def is_run(folder: Path) -> bool:
    """Whether `folder` is the folder of a training run."""
    return (folder / SETTINGS).is_file()


def newest_checkpoint_file(run: Path) -> Path:
    """The newest checkpoint of a run that is complete.

    Raises:
        WeightsError: The run has no complete checkpoint.
    """
    for path in sorted(run.glob(CHECKPOINTS), reverse=True):
        try:
            with safe_open(path, "np"):  # compares the file's length with its header
                return path
        except (SafetensorError, OSError):
            continue
    raise WeightsError(f"{run} is a training run without a complete checkpoint")


@dataclass(frozen=True)
class RunNetwork:
    """The network that a run trains."""

    architecture: str
    settings: dict[str, Any]
    base: Path
    """The folder of the run's configuration."""


def read_run_network(run: Path) -> RunNetwork:
    """Read the network that a run trains.

    Raises:
        WeightsError: `settings.json` is missing or damaged.
    """
    file = run / SETTINGS
    try:
        table = json.loads(file.read_text("utf-8"))
        network = cast(dict[str, Any], table["network"])
        settings = {key: value for key, value in network.items() if key != "architecture"}
        return RunNetwork(str(network.get("architecture", "mafdn")), settings, Path(str(table.get("base", ""))))
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {file}", error) from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise WeightsError(f"{file} does not contain the settings of a training run") from None
