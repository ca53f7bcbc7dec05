"""The machine of a stored measurement, as texts name it."""

from typing import Any


def machine_text(machine: dict[str, Any]) -> str:
    """Return, for example, `2 cores of AMD EPYC (avx2)`: times depend on the instruction sets most of all.

    Args:
        machine: The fields of `mafdn._support.machine.Machine`.
    """
    return f"{machine['cores']} cores of {machine['processor']} ({', '.join(machine['features'])})"
