"""Read the log of a run, without torch."""

import json
import math
from pathlib import Path
from typing import Any

from mafdn.errors import ConfigError
from mafdn.weights.run_files import LOG


def read_log(run: Path) -> list[dict[str, Any]]:
    """Read the entries of a run's log.

    Args:
        run: The run's folder, or a log file.

    Raises:
        ConfigError: The log does not exist or is invalid.
    """
    path = run / LOG if run.is_dir() else run
    try:
        entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        if not entries or not all(math.isfinite(e["step"]) and math.isfinite(e["seconds"]) for e in entries):
            raise ValueError("no entries")
    except OSError as error:
        raise ConfigError.from_os_error(f"cannot read the log {path}", error, "choose the folder of a run") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not the log of a run: {error}") from None
    return entries
