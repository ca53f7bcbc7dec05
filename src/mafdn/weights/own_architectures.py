"""Find architectures outside of this package, by name and without torch.

An architecture is named by an entry point of the group `mafdn.architectures`, or as `module:Class`. The module is
imported, which runs its code. Names in configurations, in run folders and on the command line come from the user and
are imported. A weights file may come from anybody: the name in its header is only imported if it is an entry point, is
listed in the environment variable `MAFDN_ARCHITECTURES`, or if the module has been imported already.
"""

import importlib
import importlib.util
import os
import re
import secrets
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from mafdn._support.atomic import sha256
from mafdn.errors import ConfigError, WeightsError
from mafdn.weights.header import read_header

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
        ConfigError: The module or the class does not exist, importing it failed, or another module of its name was
            imported before.
    """
    entry = _entry(name)
    source_digest(name, folder=folder)  # of the code as it is imported
    with _importable_from(folder, Path.cwd()):
        try:
            importlib.import_module(entry.module)
            if entry.name == entry.value:  # otherwise it is that of an installed package
                _check_file(entry.module, [folder, Path.cwd()])
            return entry.load()
        except ConfigError:
            raise
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


def source_digest(name: str, *, folder: Path | None = None) -> str:
    """The SHA-256 of the source file of an architecture, which is found without importing anything.

    Args:
        name: As for `import_architecture`.
        folder: As for `import_architecture`.

    Returns:
        64 hexadecimal digits: those of the first call in this process, as code that was imported does not change
        either. Random ones if there is no such file, as the code may be any.
    """
    module = _entry(name).module
    try:
        with _importable_from(folder, Path.cwd()):
            file = _file_of(module, importlib.util.find_spec(module.partition(".")[0]))
        if file:
            return first_digest(file)
    except (ImportError, ValueError, OSError):
        pass
    return secrets.token_hex(32)


def _file_of(module: str, package: ModuleSpec | None) -> Path | None:
    """The source file of a module, given the spec of its outermost package, if it has one; nothing is imported."""
    top, *rest = module.split(".")
    for number in range(len(rest)):  # `find_spec` would import the packages around a module
        places = package.submodule_search_locations if package else None
        package = PathFinder.find_spec(".".join((top, *rest[: number + 1])), places) if places else None
    return Path(package.origin) if package and package.has_location and package.origin else None


def _check_file(module: str, folders: Sequence[Path | None]) -> None:
    """Check that an imported module is the one in the first of `folders` that has a module of its name.

    Raises:
        ConfigError: It is not, and the files differ.
    """
    places = [str(folder) for folder in folders if folder]
    file = _file_of(module, PathFinder.find_spec(module.partition(".")[0], places))
    imported = getattr(sys.modules[module], "__file__", None)
    if file is None or imported is None or not Path(imported).is_file():
        return
    if file.samefile(imported) or sha256(file) == first_digest(Path(imported)):
        return
    raise ConfigError(
        f"{file} cannot be imported: another module called {module} was, from {imported}; rename one of them, or use "
        "them in separate commands"
    )


@cache
def first_digest(file: Path) -> str:
    """The SHA-256 that a file has when it is first read by this process."""
    return sha256(file)


def code_digest(weights: Path) -> str:
    """The `source_digest` of the network in a weights file or checkpoint; empty if its code is in this package."""
    if weights.suffix != ".safetensors":
        return ""
    try:
        header, _ = read_header(weights)
    except WeightsError:
        return ""
    name, folder = str(header.get("architecture")), header.get("folder")
    return source_digest(name, folder=Path(str(folder)) if folder else None) if is_own_architecture(name) else ""


def _entry(name: str) -> EntryPoint:
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    return found[0] if found else EntryPoint(name, name, GROUP)


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
