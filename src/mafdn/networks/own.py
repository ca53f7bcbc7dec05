"""Architectures that are defined outside of this package.

An architecture is a class derived from `torch.nn.Module`. It maps (B, 3, H, W) float32 RGB in [0, 1] to
(B, 3, scale*H, scale*W). The parameters of its constructor are its settings: each has a default value that TOML can
express, and one of them is `scale`.

    class Tiny(nn.Module):
        def __init__(self, scale: int = 4, width: int = 32) -> None:
            super().__init__()
            self.head = nn.Conv2d(3, width, 3, padding=1)
            self.tail = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
            self.shuffle = nn.PixelShuffle(scale)

        def forward(self, x):
            return self.shuffle(self.tail(torch.relu(self.head(x))))

A method `fold()` is optional: it returns a new module in inference form, with the same names for its main parts.
"""

import copy
import inspect
import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, make_dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from mafdn._support.memory import is_out_of_memory
from mafdn._support.text import first_line
from mafdn.errors import ConfigError
from mafdn.weights.header import SCALES
from mafdn.weights.own_architectures import import_architecture

PLAIN = (bool, int, float, str)
"""Types of settings, and of the elements of a list."""
OUTSIDE = "_mafdn_outside_class"
"""Attribute of an adapted class: the class from outside that it is derived from."""
DEBUG = "(set MAFDN_DEBUG=1 to see the traceback)"


@dataclass(frozen=True, kw_only=True)
class OwnSettings:
    """Settings of an architecture from outside; a subclass with a field for each parameter is made for each."""

    scale: int = 4


class OwnNetwork(nn.Module):
    """What a module from outside has after `adapt`; for type annotations only, it is never instantiated."""

    settings: OwnSettings = OwnSettings()

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def fold(self) -> "OwnNetwork":
        raise NotImplementedError


@dataclass(frozen=True)
class OwnArchitecture:
    """An architecture from outside, ready to be built from settings."""

    name: str
    """Entry point or `module:Class`."""
    kind: type[nn.Module]
    settings: type[OwnSettings]
    left_out: tuple[str, ...] = ()
    """Parameters whose defaults TOML cannot express."""

    def build(self, settings: OwnSettings) -> OwnNetwork:
        """Build the network with random parameters.

        Raises:
            ConfigError: The constructor failed, or rejected the settings.
        """
        try:
            module = self.kind(**asdict(settings))
        except Exception as error:  # the class may raise anything
            if is_out_of_memory(error):
                raise
            reason = first_line(error)
            raise ConfigError(f"the network {self.name} cannot be built: {reason} {DEBUG}") from error
        return adapt(module, settings)


def find_own(name: str, folder: Path | None = None) -> OwnArchitecture:
    """Import an architecture by its entry point or `module:Class` and derive its settings.

    Args:
        name: The name.
        folder: A folder in which the module is searched too.

    Raises:
        ConfigError: It cannot be imported, is no module class, or its constructor has unsuitable parameters.
    """
    kind = import_architecture(name, folder=folder)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ConfigError(f"architecture {name} must be a class derived from torch.nn.Module, not {kind!r}")
    return _derived(name, kind)


@cache
def _derived(name: str, kind: type[nn.Module]) -> OwnArchitecture:
    settings, left_out = settings_of(name, kind)
    return OwnArchitecture(name, kind, settings, left_out)


def settings_of(name: str, kind: type[nn.Module]) -> tuple[type[OwnSettings], tuple[str, ...]]:
    """Derive the settings of an architecture from the parameters of its constructor.

    Returns:
        A frozen dataclass, and the names of the parameters that are left out and keep their defaults.

    Raises:
        ConfigError: A parameter has no default, or there is no whole number `scale`.
    """
    hints = _hints(kind)
    entries: list[tuple[str, Any, Any]] = []
    left_out: list[str] = []
    for parameter in list(inspect.signature(kind).parameters.values()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        key, default = parameter.name, parameter.default
        if default is parameter.empty or parameter.kind is parameter.POSITIONAL_ONLY:
            raise ConfigError(
                f"architecture {name} cannot be used: its parameter {key} needs a default value and a name; derive "
                "a class from it whose constructor sets it"
            )
        found = _plain(default, hints.get(key))
        if found is None:
            left_out.append(key)
        else:
            kind_of_value, value = found
            entries.append((key, kind_of_value, field(default=value)))
    scale = next((entry for entry in entries if entry[0] == "scale"), None)
    if scale is None or scale[1] is not int:
        raise ConfigError(
            f"architecture {name} cannot be used: its constructor needs a parameter scale, such as 'scale: int = 4'"
        )
    made = make_dataclass(f"{kind.__name__}Settings", entries, bases=(OwnSettings,), frozen=True, kw_only=True)
    return cast(type[OwnSettings], made), tuple(left_out)


def adapt(module: nn.Module, settings: OwnSettings, *, folded: bool = False) -> OwnNetwork:
    """Give a module the attribute `settings` and the method `fold` that all networks have; returns the same object."""
    kind = type(module)
    module.__class__ = _adapted(getattr(kind, OUTSIDE, kind), folded)
    network = cast(OwnNetwork, module)
    network.settings = settings
    return network


def check_output(network: OwnNetwork, name: str, *, side: int) -> None:
    """Run a network from outside once, and check what it returns.

    Args:
        network: The network, on any device; its mode is restored.
        name: Its name, for the message.
        side: Side of the input in pixels.

    Raises:
        ConfigError: It fails, or its result has another shape than (1, 3, scale*side, scale*side).
    """
    scale, training = network.settings.scale, network.training
    if scale not in SCALES:
        raise ConfigError(f"network.scale must be 2, 3 or 4, not {scale}")
    parameters = list(network.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        raise ConfigError(f"the network {name} has no parameters to train")
    try:
        with torch.no_grad():
            result: Any = network.eval()(torch.zeros(1, 3, side, side, device=parameters[0].device))
    except Exception as error:  # the class may raise anything
        if is_out_of_memory(error):
            raise
        reason = first_line(error)
        raise ConfigError(f"the network {name} failed on an input of 1x3x{side}x{side}: {reason} {DEBUG}") from error
    finally:
        network.train(training)
    expected = (1, 3, scale * side, scale * side)
    if not isinstance(result, Tensor) or tuple(result.shape) != expected:
        what = "x".join(map(str, result.shape)) if isinstance(result, Tensor) else f"a {type(result).__name__}"
        raise ConfigError(
            f"the network {name} maps 1x3x{side}x{side} to {what}, but scale = {scale} needs "
            f"{'x'.join(map(str, expected))}"
        )


@cache
def _adapted(kind: type[nn.Module], folded: bool) -> type[nn.Module]:
    """A subclass of a class from outside with the method `fold` of networks; a folded network is only copied."""
    own_fold = None if folded else cast(Callable[[nn.Module], object] | None, getattr(kind, "fold", None))

    def fold(self: OwnNetwork) -> OwnNetwork:
        """The inference form: a new network without gradients, in evaluation mode."""
        result = own_fold(self) if own_fold else copy.deepcopy(self)
        if not isinstance(result, nn.Module) or result is self:
            raise ConfigError(f"the method fold of {kind.__name__} must return a new module")
        return adapt(result, self.settings, folded=True).requires_grad_(False).eval()

    return type(kind.__name__, (kind,), {"fold": fold, OUTSIDE: kind, "__module__": kind.__module__})


def _plain(default: Any, hint: Any) -> tuple[Any, Any] | None:
    """The type of a setting and its default; `None` if TOML cannot express them."""
    if type(default) in PLAIN:
        wider = float if hint is float and type(default) is int else type(default)
        literal = typing.get_origin(hint) is typing.Literal
        return (hint if literal else wider), wider(default)
    if isinstance(default, list | tuple):
        values = cast("list[Any] | tuple[Any, ...]", default)
        kinds = {type(value) for value in values}
        if len(kinds) == 1 and kinds <= set(PLAIN):
            return tuple[kinds.pop(), ...], tuple(values)
    return None


def _hints(kind: type[nn.Module]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind.__init__)
    except Exception:  # annotations that only exist for type checkers
        return {}
