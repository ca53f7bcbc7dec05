"""The settings of a training run: dataclasses, TOML files, and overrides of the command line."""

from mafdn.training.config.overrides import Overrides, apply_overrides, data_overrides, parse_override
from mafdn.training.config.reading import build_settings, read_config, relative
from mafdn.training.config.settings import (
    OPEN_END,
    PATHS,
    DataSettings,
    LossSettings,
    OptimizerSettings,
    RunSettings,
    ScheduleSettings,
    TrainSettings,
)
from mafdn.training.config.toml import attribute_docstrings, example_config, to_toml, toml_value

__all__ = [
    "OPEN_END",
    "PATHS",
    "DataSettings",
    "LossSettings",
    "OptimizerSettings",
    "Overrides",
    "RunSettings",
    "ScheduleSettings",
    "TrainSettings",
    "apply_overrides",
    "attribute_docstrings",
    "build_settings",
    "data_overrides",
    "example_config",
    "parse_override",
    "read_config",
    "relative",
    "to_toml",
    "toml_value",
]
