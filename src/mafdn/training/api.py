"""Training from Python; torch is imported when a run starts."""

from __future__ import annotations  # so that `help` shows the names of types instead of their definitions

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mafdn._support.extras import pip_install
from mafdn._support.validate import as_path
from mafdn.errors import MissingPackageError
from mafdn.training.record.progress import TrainingProgress


def train(
    config: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    seconds: float | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Path:
    """Train a network, or resume its run, as `mafdn train` does.

    Example:
        run = mafdn.train("configs/mafdn-x4.toml", {"run.batch": 4}, data="photos")
        network = mafdn.load_network(run)

    Args:
        config: A TOML file, or the folder of a run.
        overrides: Settings that replace those of `config`, by table and key, such as `{"optimizer.lr": 0.005}`. Paths
            are relative to the current folder.
        data: A folder of pictures, or a bank, to train on instead of the pictures of `config`.
        seconds: Train for this time, decay included, instead of the steps of `config`.
        on_progress: Called with every report.
        on_note: Called with messages, such as the step that the run resumes from.

    Returns:
        The folder of the run; with `seconds`, that of the fork whose learning rate decayed.

    Raises:
        ConfigError: If the settings are invalid, or do not match the run in its folder.
        PictureError: If a training picture cannot be read.
        MafdnError: If going back to the last checkpoint did not help against a diverging loss.
        TrainingStopped: If Ctrl-C, SIGTERM or SIGHUP stopped the run, which is saved.
        MissingPackageError: If torch is not installed.
    """
    path = as_path("config", config, wanted="a path")
    try:
        from mafdn.training.fork import train_for
        from mafdn.training.loop import train as train_run
        from mafdn.training.record.run_folder import with_data
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"train needs {error.name}: {pip_install('train')}") from None
    given = dict(overrides or {})
    if data is not None:
        given = with_data(path, given, as_path("data", data, wanted="a path"))
    if seconds is None:
        return train_run(path, overrides=given, on_progress=on_progress, on_note=on_note)
    return train_for(path, seconds, overrides=given, on_progress=on_progress, on_note=on_note)[1]
