"""The description of the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mafdn._support import machine as module
from mafdn._support.machine import available_mib, machine, thread_count, usable_cores


def test_the_machine_is_described() -> None:
    here = machine()
    assert here.processor
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    program = (
        "import numpy as np; from mafdn._support.machine import peak_mib; before = peak_mib() or 0; "
        "ballast = np.ones(round((before + 50) * 2**20 / 8)); print((peak_mib() or 0) - before)"
    )  # more than the process has used so far; this one may have used much
    more = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(more) > 40


def group(root: Path, lines: str, **files: str) -> None:
    """Write a file of control groups, and files of the groups, `__` for `/` and `_DOT_` for `.` in their names."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(lines)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("lines", "files", "quota"),
    [
        ("0::/\n", {"cpu_DOT_max": "200000 100000\n"}, 2.0),  # as in Docker with a private namespace
        ("0::/\n", {"cpu_DOT_max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu_DOT_max": "nonsense"}, None),
        ("0::/a/b\n", {"a__b__cpu_DOT_max": "max 100000\n", "a__cpu_DOT_max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a__b__cpu_DOT_max": "50000 100000\n", "a__cpu_DOT_max": "150000 100000\n"}, 0.5),
        (
            "4:memory:/x\n3:cpu,cpuacct:/docker/1\n0::/\n",  # the path is that on the host
            {"cpu,cpuacct__cpu_DOT_cfs_quota_us": "300000\n", "cpu,cpuacct__cpu_DOT_cfs_period_us": "100000\n"},
            3.0,
        ),
        ("1:cpu:/\n", {"cpu__cpu_DOT_cfs_quota_us": "-1\n", "cpu__cpu_DOT_cfs_period_us": "100000\n"}, None),
        ("a line\n\n", {"cpu_DOT_max": "200000 100000\n"}, None),
    ],
)
def test_quotas_of_control_groups_are_read(
    tmp_path: Path, lines: str, files: dict[str, str], quota: float | None
) -> None:
    group(tmp_path, lines, **files)
    assert module._cpu_quota(tmp_path) == quota


@pytest.mark.skipif(sys.platform != "linux", reason="control groups of Linux")
@pytest.mark.parametrize(
    ("lines", "files", "mib"),
    [
        ("0::/\n", {}, 4096),
        ("0::/\n", {"memory_DOT_max": "max\n"}, 4096),
        (
            "0::/slurm/job/step\n",  # the limit is that of a group above
            {
                "slurm__job__step__memory_DOT_max": "max\n",
                "slurm__job__memory_DOT_max": f"{1024 * 2**20}\n",
                "slurm__job__memory_DOT_current": f"{512 * 2**20}\n",
                "slurm__job__memory_DOT_stat": f"anon 1\ninactive_file {100 * 2**20}\n",
            },
            612,
        ),
        (
            "4:memory:/docker/1\n0::/\n",  # version 1; the path is that on the host
            {
                "memory__memory_DOT_limit_in_bytes": f"{300 * 2**20}\n",
                "memory__memory_DOT_usage_in_bytes": f"{200 * 2**20}\n",
                "memory__memory_DOT_stat": f"inactive_file 5\ntotal_inactive_file {50 * 2**20}\n",
            },
            150,
        ),
        (
            "4:memory:/\n",
            {
                "memory__memory_DOT_limit_in_bytes": "9223372036854771712\n",
                "memory__memory_DOT_usage_in_bytes": "1\n",
                "memory__memory_DOT_stat": "total_inactive_file 0\n",
            },
            4096,
        ),
        ("0::/\n", {"memory_DOT_max": "nonsense"}, 4096),
    ],
)
def test_limits_on_memory_are_those_of_all_groups(tmp_path: Path, lines: str, files: dict[str, str], mib: int) -> None:
    group(tmp_path, lines, **files)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:    {4096 * 1024} kB\n")
    assert available_mib(tmp_path) == mib


def test_half_of_the_memory_of_a_mac_is_taken_for_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "platform", "darwin")
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 2**14, "SC_PHYS_PAGES": 2**20}.__getitem__, raising=False)
    assert available_mib() == 8192


def test_systems_without_control_groups_have_no_quota(tmp_path: Path) -> None:
    assert module._cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "cores"), [(2.0, 2), (1.5, 2), (0.2, 1), (64.0, 8), (None, 8)])
def test_cores_are_those_of_mask_and_quota(monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int) -> None:
    monkeypatch.setattr(module, "_cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert usable_cores() == cores
    assert thread_count() == (None if cores == 8 else cores)
    assert thread_count(3) == 3
    assert machine().cores == cores


@pytest.mark.skipif(sys.platform != "linux", reason="affinity masks of Linux")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_engines_and_libvips_start_no_more_threads_than_the_mask_allows() -> None:
    script = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import mafdn, pyvips
from mafdn.inference import EngineOptions
openvino = mafdn.load("x2", engine=EngineOptions(engine="openvino")).engine
onnxruntime = mafdn.load("x2", engine=EngineOptions(engine="onnxruntime")).engine
import mafdn.pictures.libvips
print(openvino._options["INFERENCE_NUM_THREADS"], onnxruntime._session.get_session_options().intra_op_num_threads,
      pyvips.concurrency_get())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["1", "1", "1"]


@pytest.mark.skipif(sys.platform != "linux", reason="affinity masks of Linux")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_do_not_tie_threads_to_cores(engine: str) -> None:
    script = f"""
import os
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import mafdn
from mafdn.inference import EngineOptions
upscaler = mafdn.load("x2", engine=EngineOptions(engine={engine!r}, threads=1))
whole, seen = os.sched_getaffinity(0), set()
with ThreadPoolExecutor(1) as pool:
    working = pool.submit(upscaler.upscale, np.zeros((150, 200, 3), np.uint8))
    while not working.done():
        for thread in os.listdir("/proc/self/task"):
            try:
                seen.add(frozenset(os.sched_getaffinity(int(thread))))
            except OSError:  # it has ended
                continue
print(seen == {{frozenset(whole)}})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["True"]
