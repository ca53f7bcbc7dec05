"""What figures are measured on.

Public names: :func:`peak_mib`, :func:`available_mib`, :func:`machine`, :class:`Machine`, :func:`installed_version`.
"""

import importlib.metadata
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

INT8_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})
"""Instruction sets that sum products of 8-bit integers in 32 bits: VNNI, AMX, and ARM's dot product."""
X86 = frozenset({"x86_64", "amd64"})


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The kind of machine, for figures that depend on it."""

    processor: str
    features: tuple[str, ...]
    """Of the instruction sets that matter to networks, those it has."""
    cores: int
    """As many as this process may use."""
    memory_gib: int | None
    system: str

    @property
    def has_int8_dot_product(self) -> bool:
        """Whether it is known to have one of :data:`INT8_DOT_PRODUCTS`; only Linux tells."""
        return not INT8_DOT_PRODUCTS.isdisjoint(self.features)

    @property
    def may_saturate_int8(self) -> bool:
        """Whether it may sum products of 8-bit integers in 16 bits: an x86 processor not known to have VNNI."""
        return self.system.rpartition(" ")[2].lower() in X86 and not self.has_int8_dot_product


FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
    "bf16",
)


def machine() -> Machine:
    """This machine."""
    known = _cpuinfo()
    flags = (known.get("flags") or known.get("Features") or "").split()
    try:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):  # not on this system
        memory = None
    return Machine(
        processor=known.get("model name") or platform.processor() or platform.machine(),
        features=tuple(f for f in FEATURES if f in flags),
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        memory_gib=memory,
        system=f"{platform.system()} {platform.machine()}",
    )


def peak_mib() -> float | None:
    """Most memory this process has held so far, in MiB; ``None`` where the system does not tell."""
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":  # what getrusage tells of a process begins with what its parent held
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def available_mib() -> float | None:
    """Memory that can be had without swapping, in MiB, a container's limit included; ``None`` where none is told."""
    rooms: list[float] = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        rooms.extend(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            used = int((group / "memory.current").read_text())
            cache = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
            rooms.append((int(limit) - used + (int(cache[1]) if cache else 0)) / 2**20)
    except (OSError, ValueError):
        pass
    return min(rooms, default=None)


def installed_version(package: str) -> str | None:
    """The version of an installed package, which is not imported for that; ``None`` when there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
