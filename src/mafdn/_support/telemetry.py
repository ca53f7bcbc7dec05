"""Disable the telemetry of dependencies: nothing is sent, and no device id is created."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

VARIABLES = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}
"""Environment variables and their values.

onnxruntime (since 1.29, outside Windows) reads its variable once, on import; calling `disable_telemetry_events()` after
that is too late, as it has already stored an id and opened a database.
"""


def disable_telemetry() -> None:
    """Set `VARIABLES` for this process and its children, except where the user has set them.

    Called when `mafdn` is imported, and thus before this package imports onnxruntime, either in an engine or through
    onnxslim, onnxscript or nncf.
    """
    for name, value in VARIABLES.items():
        if not os.environ.get(name):
            os.environ[name] = value


@contextmanager
def hidden(name: str) -> Generator[None]:
    """Make importing the module `name` fail within this context, unless it has been imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast(ModuleType, None)  # which Python treats as a missing module
    try:
        yield
    finally:
        sys.modules.pop(name, None)
