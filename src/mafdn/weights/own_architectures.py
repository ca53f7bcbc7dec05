"""Find architectures outside of this package, by name and without torch.

An architecture is named by an entry point of the group `mafdn.architectures`, or as `module:Class`. The module is
imported, which runs its code. Names in configurations, in run folders and on the command line come from the user and
are imported. A weights file may come from anybody: the name in its header is only imported if it is an entry point, is
listed in the environment variable `MAFDN_ARCHITECTURES`, or if the module has been imported already.
"""

import importlib
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from mafdn.errors import ConfigError

GROUP = "mafdn.architectures"
ALLOWED = "MAFDN_ARCHITECTURES"
"""Environment variable: the names `module:Class` that weights files may import, separated by commas."""
PATTERN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_own_architecture(name: str) -> bool:
    """Whether `name` has the form `module:Class` or is an installed entry point; nothing is imported."""
    return bool(PATTERN.fullmatch(name)) or name in own_names()


def own_names() -> tuple[str, ...]:
    """The names of the installed entry points, sorted."""
    return tuple(sorted(entry_points(group=GROUP).names))


def may_import(name: str) -> bool:
    """Whether a weights file may name this architecture; see the top of this module."""
    allowed = {part.strip() for part in os.environ.get(ALLOWED, "").split(",")}
    return name in allowed or name in own_names() or name.partition(":")[0] in sys.modules


def import_architecture(name: str, *, folder: Path | None = None) -> Any:
    """Import the object that `name` stands for.

    Args:
        name: An entry point, or `module:Class`.
        folder: A folder in which the module is searched too, before the current one.

    Raises:
        ConfigError: The module or the class does not exist, or importing it failed.
    """
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    entry = found[0] if found else EntryPoint(name, name, GROUP)
    with _importable_from(folder, Path.cwd()):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if entry.module != missing and not entry.module.startswith(f"{missing}."):
                raise ConfigError(f"architecture {name} needs the package {missing}, which is missing") from error
            places = " or ".join(str(place) for place in dict.fromkeys(filter(None, (folder, Path.cwd()))))
            raise ConfigError(
                f"architecture {name} was not found: there is no module {missing} in {places} or on PYTHONPATH"
            ) from error
        except AttributeError as error:
            raise ConfigError(f"architecture {name} was not found: {entry.module} has no {entry.attr}") from error
        except Exception as error:  # the module may raise anything
            reason = (str(error).strip().splitlines() or [""])[0]
            raise ConfigError(
                f"architecture {name} cannot be imported: {type(error).__name__}: {reason} "
                "(set MAFDN_DEBUG=1 to see the traceback)"
            ) from error


@contextmanager
def _importable_from(*folders: Path | None) -> Generator[None]:
    """Search modules in `folders` too, after the installed ones, within the context."""
    before = list(sys.path)
    sys.path += [str(folder) for folder in folders if folder]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
