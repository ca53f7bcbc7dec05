"""The folder of a run and what lies in it.

Public names: :class:`RunFolder`, :class:`SavedRun`, :func:`load_config`, :func:`described`.

- ``settings.json`` - what the run was last started with, and ``base``, the folder its paths are relative to
- ``parent.json`` - the card of the weights the run started from, where it started from any
- ``step-NNNNNNNN.safetensors`` - the last two checkpoints (:mod:`mafdn.training.checkpoint`)
- ``log.jsonl``, ``tensorboard/`` - its curves (:mod:`mafdn.training.journal`)
- ``fork-NNNNNNNN/`` - runs that decay from the checkpoint of that step (:mod:`mafdn.training.fork`)
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from mafdn._support.atomic import replacing
from mafdn.errors import ConfigError, MafdnError
from mafdn.networks import architecture
from mafdn.training.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from mafdn.training.config import TrainSettings, build_settings, read_config
from mafdn.weights.header import Card
from mafdn.weights.run_files import SETTINGS

PARENT = "parent.json"
LOG = "log.jsonl"
TENSORBOARD = "tensorboard"


@dataclass(frozen=True, kw_only=True)
class SavedRun:
    """What ``settings.json`` holds."""

    settings: TrainSettings
    base: Path
    """The folder that paths in the settings are relative to."""

    @property
    def bank(self) -> Path:
        return self.base / self.settings.data.bank

    @property
    def bench_sets(self) -> list[Path]:
        """The folders that were kept out of the bank."""
        return [self.base / folder for folder in self.settings.data.exclude]


@dataclass(frozen=True)
class RunFolder:
    """The files of one run below ``path``."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def tensorboard(self) -> Path:
        return self.path / TENSORBOARD

    def saved(self) -> SavedRun:
        """What the run was last started with; raises :class:`ConfigError` when ``path`` holds no readable settings."""
        file = self.path / SETTINGS
        try:
            table = cast(dict[str, Any], json.loads(file.read_text("utf-8")))
            base = Path(table.pop("base", ""))
        except OSError as error:
            raise ConfigError(f"{self.path} is not the folder of a run: cannot read {file}: {error.strerror}") from None
        except (ValueError, AttributeError, TypeError) as error:
            raise ConfigError(f"{file} does not hold the settings of a run: {error}") from None
        return SavedRun(settings=build_settings(table, path=file), base=base)

    def save_settings(self, settings: TrainSettings, base: Path) -> None:
        with replacing(self.path / SETTINGS) as temporary:
            temporary.write_text(json.dumps(described(settings) | {"base": str(base)}, indent=1), "utf-8")

    @property
    def parent(self) -> Card | None:
        """The card of the weights that the run started from."""
        try:
            return json.loads((self.path / PARENT).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.path / PARENT} cannot be read: {error}") from None

    def save_parent(self, card: Card) -> None:
        with replacing(self.path / PARENT) as temporary:
            temporary.write_text(json.dumps(card, indent=1), "utf-8")

    def newest(self) -> Checkpoint | None:
        """As :func:`mafdn.training.checkpoint.newest_checkpoint`."""
        return newest_checkpoint(self.path)

    def save(self, checkpoint: Checkpoint) -> Path:
        """As :func:`mafdn.training.checkpoint.save_checkpoint`."""
        return save_checkpoint(self.path, checkpoint)

    def fork(self, step: int) -> "RunFolder":
        """Where a fork of the checkpoint of ``step`` lies by default."""
        return RunFolder(self.path / f"fork-{step:08d}")

    def copy_log(self, target: "RunFolder") -> None:
        """Give ``target`` the log so far, so that its curves begin where the run began."""
        if self.log.exists():
            try:
                with replacing(target.log) as temporary:
                    shutil.copyfile(self.log, temporary)
            except OSError as error:
                raise MafdnError(f"cannot write {target.log}: {error.strerror or error}") from None


def load_config(path: Path) -> tuple[TrainSettings, Path]:
    """The settings of a TOML file, or those of the run in a folder, and the folder that their paths are relative to.

    Raises :class:`ConfigError` as :func:`mafdn.training.config.read_config` and :meth:`RunFolder.saved`.
    """
    if path.is_dir():
        saved = RunFolder(path).saved()
        return saved.settings, saved.base
    return read_config(path), path.resolve().parent


def described(settings: TrainSettings) -> dict[str, Any]:
    """``settings`` as JSON holds them."""
    table = json.loads(json.dumps(asdict(settings)))
    table["network"] = {"architecture": architecture(settings.network), **table["network"]}
    return table
