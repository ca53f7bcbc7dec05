"""Usage reporting of the packages this one stands on, switched off: nothing is sent and no device is given an id.

Public names: :func:`disable_telemetry`, :func:`hidden`.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

VARIABLES = {"ORT_DISABLE_TELEMETRY": "1"}
"""onnxruntime (since 1.29, outside Windows) reads its variable once, when it is imported: by then it has written an id
and opened a database, whatever ``disable_telemetry_events()`` is told afterwards."""


def disable_telemetry() -> None:
    """Set :data:`VARIABLES` for this process and its children; a value that the user has set stays.

    Called when ``mafdn`` is imported, which comes before every import of onnxruntime that is ours: engines import it,
    and so do onnxslim, onnxscript and nncf.
    """
    for name, value in VARIABLES.items():
        if not os.environ.get(name):
            os.environ[name] = value


@contextmanager
def hidden(name: str) -> Generator[None]:
    """Within this context the module ``name`` cannot be imported, unless it was before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast(ModuleType, None)  # to Python, a module that is not there
    try:
        yield
    finally:
        sys.modules.pop(name, None)
