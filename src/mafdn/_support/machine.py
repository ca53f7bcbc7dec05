"""Host information: CPU, memory, package versions."""

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
"""Names of the x86-64 architecture, in lower case."""
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
"""Instruction sets that matter for running networks."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The hardware and system that measurements depend on."""

    processor: str
    features: tuple[str, ...]
    """The instruction sets of `FEATURES` that the processor supports."""
    cores: int
    """Cores available to this process."""
    memory_gib: int | None
    """Installed memory; `None` if unknown."""
    system: str
    """Operating system and architecture."""

    @property
    def has_int8_dot_product(self) -> bool:
        """Whether the processor is known to support one of `INT8_DOT_PRODUCTS`; only detected on Linux."""
        return not INT8_DOT_PRODUCTS.isdisjoint(self.features)

    @property
    def may_saturate_int8(self) -> bool:
        """Whether products of 8-bit integers may be summed in 16 bits: on x86 without (known) VNNI."""
        return self.system.rpartition(" ")[2].lower() in X86 and not self.has_int8_dot_product


def machine() -> Machine:
    """Describe this machine."""
    known = _cpuinfo()
    flags = (known.get("flags") or known.get("Features") or "").split()
    try:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):  # not available on this system
        memory = None
    return Machine(
        processor=known.get("model name") or platform.processor() or platform.machine(),
        features=tuple(f for f in FEATURES if f in flags),
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        memory_gib=memory,
        system=f"{platform.system()} {platform.machine()}",
    )


def peak_mib() -> float | None:
    """Peak memory of this process so far, in MiB; `None` if unknown."""
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":  # getrusage includes the memory of the parent before the fork
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def available_mib() -> float | None:
    """Memory available without swapping, in MiB, within the container's limit; `None` if unknown."""
    amounts: list[float] = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        amounts.extend(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            used = int((group / "memory.current").read_text())
            cache = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
            amounts.append((int(limit) - used + (int(cache[1]) if cache else 0)) / 2**20)
    except (OSError, ValueError):
        pass
    return min(amounts, default=None)


def installed_version(package: str) -> str | None:
    """The version of a package, without importing it; `None` if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpuinfo() -> dict[str, str]:
    """The first processor in `/proc/cpuinfo`, empty on systems other than Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
