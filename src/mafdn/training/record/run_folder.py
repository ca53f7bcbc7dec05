"""The folder of a run.

- `settings.json` - the settings of the last start; `base`, the folder that their paths are relative to; `overrides`,
  the settings that were given on the command line; `banks`, the fingerprints of the training pictures; and `starts`,
  what each start was computed with (`mafdn.training.record.starts`)
- `parent.json` - the card of the weights that the run started from, if any
- `step-NNNNNNNN.safetensors` - the last two checkpoints (`mafdn.training.record.checkpoint`)
- `log.jsonl`, `tensorboard/` - curves (`mafdn.training.record.journal`)
- `fork-NNNNNNNN/` - runs that decay from the checkpoint of that step (`mafdn.training.fork`)
"""

import json
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from errno import ENOSPC
from pathlib import Path
from typing import Any, cast

from mafdn._support.atomic import replacing
from mafdn.errors import ConfigError, MafdnError
from mafdn.networks import architecture, find_architecture
from mafdn.training.config import Overrides, TrainSettings, apply_overrides, build_settings, data_overrides, read_config
from mafdn.training.record.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from mafdn.weights.header import Card
from mafdn.weights.run_files import LOG, SETTINGS

PARENT = "parent.json"
TENSORBOARD = "tensorboard"


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turn an `OSError` within the context, such as that of a full disk, into a `MafdnError` that names the file."""
    try:
        yield
    except OSError as error:
        advice = "free some space and run the same command to resume" if error.errno == ENOSPC else ""
        raise MafdnError.from_os_error(f"cannot write {path}", error, advice) from None


@dataclass(frozen=True, kw_only=True)
class SavedRun:
    """The contents of `settings.json`."""

    settings: TrainSettings
    base: Path
    """The folder that the paths in the settings are relative to."""
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The settings that were given on the command line, by table and key; `settings` includes them."""
    banks: Mapping[str, str] = field(default_factory=dict[str, str])
    """The fingerprints of the banks by setting (`data.bank`, `data.zoomed`); empty before the first start, and for runs
    of earlier versions."""
    starts: tuple[dict[str, Any], ...] = ()
    """What each start was computed with; runs of earlier versions have no records."""

    @property
    def bank(self) -> Path:
        return self.base / self.settings.data.bank

    @property
    def bench_sets(self) -> list[Path]:
        """The folders of the benchmark datasets whose pictures are kept out of the bank."""
        return [self.base / folder for folder in self.settings.data.exclude]


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def tensorboard(self) -> Path:
        return self.path / TENSORBOARD

    def saved(self) -> SavedRun:
        """Read the settings of the last start.

        Raises:
            ConfigError: The folder has no readable settings.
        """
        file = self.path / SETTINGS
        try:
            table = cast(dict[str, Any], json.loads(file.read_text("utf-8")))
            base = Path(table.pop("base", ""))
            overrides = dict(table.pop("overrides", {}))
            banks = dict(table.pop("banks", {}))
            starts = tuple(dict(start) for start in table.pop("starts", ()))
        except OSError as error:
            what = f"{self.path} is not the folder of a run: cannot read {file}"
            raise ConfigError.from_os_error(what, error) from None
        except (ValueError, AttributeError, TypeError) as error:
            raise ConfigError(f"{file} does not contain the settings of a run: {error}") from None
        network = table.get("network")
        if isinstance(network, dict) and "architecture" in network:  # imports its module, which is beside the TOML file
            find_architecture(str(cast(dict[str, Any], network)["architecture"]), folder=base)
        settings = build_settings(table, path=file)
        return SavedRun(settings=settings, base=base, overrides=overrides, banks=banks, starts=starts)

    def save_settings(
        self,
        settings: TrainSettings,
        base: Path,
        overrides: Overrides | None = None,
        *,
        banks: Mapping[str, str] | None = None,
        starts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Write `settings.json`; raises `MafdnError`."""
        table = to_json(settings) | {"base": str(base)}
        table |= {key: dict(value) for key, value in (("overrides", overrides), ("banks", banks)) if value}
        table |= {"starts": list(starts)} if starts else {}
        with writing(self.path / SETTINGS), replacing(self.path / SETTINGS) as temporary:
            temporary.write_text(json.dumps(table, indent=1, default=str), "utf-8")

    @property
    def parent(self) -> Card | None:
        """The card of the weights that the run started from; `None` for random ones.

        Raises:
            ConfigError: The card cannot be read.
        """
        try:
            return json.loads((self.path / PARENT).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError.from_os_error(f"cannot read {self.path / PARENT}", error) from None

    def save_parent(self, card: Card) -> None:
        """Write `parent.json`; raises `MafdnError`."""
        with writing(self.path / PARENT), replacing(self.path / PARENT) as temporary:
            temporary.write_text(json.dumps(card, indent=1), "utf-8")

    def newest(self) -> Checkpoint | None:
        """Read the newest checkpoint, as `newest_checkpoint`."""
        return newest_checkpoint(self.path)

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, as `save_checkpoint`."""
        return save_checkpoint(self.path, checkpoint)

    def is_begun(self) -> bool:
        """Whether the folder is empty, or its creation was interrupted before there was a checkpoint."""
        names = {path.name for path in self.path.iterdir() if not path.name.endswith(".partial")}
        return names <= {LOG, SETTINGS, PARENT, TENSORBOARD}

    def fork(self, step: int) -> "RunFolder":
        """Return the default folder for a fork of the checkpoint of `step`."""
        return RunFolder(self.path / f"fork-{step:08d}")

    def copy_log(self, target: "RunFolder") -> None:
        """Copy the log to `target`, so that the curves of a fork include those of its run.

        Raises:
            MafdnError: The copy cannot be written.
        """
        if self.log.exists():
            with writing(target.log), replacing(target.log) as temporary:
                shutil.copyfile(self.log, temporary)


def load_config(
    path: Path, overrides: Overrides | None = None, *, on_note: Callable[[str], None] | None = None
) -> SavedRun:
    """Read the settings of a run from a TOML file or from the folder of a run.

    Args:
        path: The TOML file or the folder.
        overrides: Settings that replace those of the file.
        on_note: As for `mafdn.training.config.read_config`.

    Returns:
        The settings, the folder that their paths are relative to, and all overrides: those of the folder too.

    Raises:
        ConfigError: The file cannot be read or has an unknown key or an invalid value, or the folder has no settings.
    """
    overrides = overrides or {}
    if not path.is_dir():
        settings = read_config(path, overrides, on_note=on_note)
        return SavedRun(settings=settings, base=path.resolve().parent, overrides=overrides)
    saved = RunFolder(path).saved()
    if not overrides:
        return saved
    table = apply_overrides(to_json(saved.settings), overrides, base=saved.base)
    settings = build_settings(table, path=path / SETTINGS)
    return SavedRun(settings=settings, base=saved.base, overrides={**saved.overrides, **overrides})


def with_data(config: Path, overrides: Overrides, data: Path) -> dict[str, Any]:
    """Add the overrides that train on the pictures in `data`, as `--data` does; `overrides` has priority.

    Args:
        config: A TOML file or the folder of a run.
        overrides: Other overrides.
        data: A folder of pictures, or a bank.

    Raises:
        ConfigError: As `load_config`.
        UsageError: The folder does not exist.
    """
    loaded = load_config(config, overrides)
    run = (loaded.base / loaded.settings.run.folder).resolve()
    return data_overrides(data, run_folder=run, held_out=loaded.settings.data.held_out) | dict(overrides)


def to_json(settings: TrainSettings) -> dict[str, Any]:
    """Convert settings to the contents of `settings.json`."""
    table = json.loads(json.dumps(asdict(settings)))
    table["network"] = {"architecture": architecture(settings.network), **table["network"]}
    return table
