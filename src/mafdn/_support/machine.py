"""Host information: CPU, memory, package versions."""

import math
import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
NO_LIMIT = 2**60
"""Limits on memory from this many bytes on are none: version 1 of control groups has no other word for that."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The hardware and system that measurements depend on."""

    processor: str
    features: tuple[str, ...]
    """The instruction sets of `FEATURES` that the processor supports."""
    cores: int
    """Cores available to this process, as `usable_cores` counts them."""
    memory_gib: int | None
    """Installed memory; `None` if unknown."""
    system: str
    """Operating system and architecture."""

    @property
    def has_int8_dot_product(self) -> bool:
        """Whether the processor is known to support one of `INT8_DOT_PRODUCTS`; only detected on Linux."""
        return not INT8_DOT_PRODUCTS.isdisjoint(self.features)

    @property
    def is_x86(self) -> bool:
        """Whether the processor is an x86-64 one."""
        return self.system.rpartition(" ")[2].lower() in X86

    @property
    def may_saturate_int8(self) -> bool:
        """Whether products of 8-bit integers may be summed in 16 bits: on x86 without (known) VNNI."""
        return self.is_x86 and not self.has_int8_dot_product


def machine() -> Machine:
    """Describe this machine."""
    known = _cpuinfo()
    flags = (known.get("flags") or known.get("Features") or "").split()
    memory = _installed_bytes()
    return Machine(
        processor=known.get("model name") or platform.processor() or platform.machine(),
        features=tuple(f for f in FEATURES if f in flags),
        cores=usable_cores(),
        memory_gib=None if memory is None else round(memory / 2**30),
        system=f"{platform.system()} {platform.machine()}",
    )


def machine_text(stored: Mapping[str, Any]) -> str:
    """Return, for example, `2 cores of AMD EPYC (avx2)`: times depend on the instruction sets most of all.

    Args:
        stored: The fields of a `Machine`.
    """
    return f"{stored['cores']} cores of {stored['processor']} ({', '.join(stored['features'])})"


def usable_cores() -> int:
    """The cores that this process may use: by its affinity mask and, on Linux, by the CPU quota of its container.

    A quota of part of a core counts as a whole one: `docker run --cpus=1.5` gives 2.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = _cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def thread_count(requested: int | None = None) -> int | None:
    """The threads for a library that would start one per core: those requested, else `usable_cores`.

    It is `None`, for the library's default, if none are requested and all cores may be used. Libraries do not know
    about quotas, and not all of them about affinity masks.
    """
    if requested is not None:
        return requested
    cores = usable_cores()
    return cores if cores < (os.cpu_count() or 1) else None


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


def available_mib(root: Path = Path("/")) -> float | None:
    """Memory available without swapping, in MiB, within the limits of control groups; `None` if unknown."""
    if sys.platform == "win32":
        return _free_mib_of_windows()
    if sys.platform == "darwin":  # which does not say how much of its cache it would give up
        installed = _installed_bytes()
        return None if installed is None else installed / 2 / 2**20
    amounts: list[float] = []
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        amounts.extend(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError):
        pass
    amounts += [free / 2**20 for group in _groups_with("memory", root) for free in _memory_left_in(group)]
    return min(amounts, default=None)


def installed_version(package: str) -> str | None:
    """The version of a package, without importing it; `None` if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # takes as long to import as all of `mafdn.cli`

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _installed_bytes() -> int | None:
    """Installed memory; `None` on systems that do not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _free_mib_of_windows() -> float | None:
    """Physical memory that is free on Windows, in MiB; `None` if it does not tell."""
    if sys.platform != "win32":
        return None
    import ctypes
    import struct

    layout = "LL7Q"  # MEMORYSTATUSEX: its length, load in percent, installed and free physical memory, and others
    status = ctypes.create_string_buffer(struct.pack(layout, struct.calcsize(layout), *[0] * 8))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(status):
        return None
    return struct.unpack_from(layout, status)[3] / 2**20


def _cpu_quota(root: Path = Path("/")) -> float | None:
    """The least CPU quota, in cores, of this process's control group and those above; `None` if there is none."""
    return min((quota for group in _groups_with("cpu", root) for quota in _quota_of(group)), default=None)


def _groups_with(controller: str, root: Path) -> list[Path]:
    """The folders of this process's control group (version 1 or 2) for a controller, and of those above.

    Args:
        controller: `cpu` or `memory`.
        root: The root of the file system.
    """
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:  # not Linux
        return []
    found: list[Path] = []
    for number, controllers, path in (group for group in groups if len(group) == 3):
        if number == "0":
            mounts = (root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified")
        elif controller in controllers.split(","):
            mounts = (root / "sys/fs/cgroup" / controllers, root / "sys/fs/cgroup" / controller)
        else:
            continue
        for mount in mounts:  # in a container, the path may be that on the host, and the mount the group itself
            group = mount / path.lstrip("/")
            found += [at for at in (group, *group.parents) if at.is_relative_to(mount)]
    return found


def _memory_left_in(group: Path) -> list[int]:
    """The bytes that a control group may still take, as a list of one; empty if it has no limit.

    Cached files that are not in use count as free.
    """
    if (group / "memory.max").is_file():
        limit_file, used_file, cached = "memory.max", "memory.current", "inactive_file"
    else:
        limit_file, used_file, cached = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    try:
        limit = (group / limit_file).read_text().strip()
        if limit == "max" or int(limit) >= NO_LIMIT:
            return []
        used = int((group / used_file).read_text())
        cache = re.search(rf"^{cached} (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return []
    return [max(0, int(limit) - used + (int(cache[1]) if cache else 0))]


def _quota_of(group: Path) -> list[float]:
    """The CPU quota of one control group, in cores, as a list of one; empty if it has none."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return [int(quota) / int(period)] if quota not in ("max", "-1") and int(period) > 0 else []
    except (OSError, ValueError):
        return []


def _cpuinfo() -> dict[str, str]:
    """The first processor in `/proc/cpuinfo`, empty on systems other than Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
