"""Fixtures: shared data, small pictures, and the command line run in this process."""

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from mafdn._support.machine import usable_cores
from mafdn.cli import run
from mafdn.training.data.bank import Bank
from mafdn.training.data.build import build_bank
from tests.support import draw_photos, use_cache
from tools.screenshots.browser import chromium, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Tests run in as many processes as there are cores, so torch, which reads this variable on import, must use one core in
# each of them and in the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts programs in the background with SIGINT ignored, also for those that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The time that an example takes depends on the load of the machine. Every run has the same examples, so that one that
# fails concerns the change that is tested; `--hypothesis-profile random` looks for others.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False)
settings.register_profile("same", settings.get_profile("random"), derandomize=True, database=None, print_blob=True)
settings.load_profile("same")

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MAFDN_SHARED", ROOT.parent / "shared"))


def pytest_xdist_auto_num_workers() -> int:
    """Return the processes of `-n auto`; xdist, where psutil is installed, counts all physical cores of the machine."""
    return usable_cores()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the data that are not in the repository; any part of it may be absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the shared data in {SHARED} (or MAFDN_SHARED)")
    return SHARED


def _data(shared: Path, name: str, what: str) -> Path:
    folder = shared / name
    if not folder.is_dir():
        pytest.skip(f"needs {what} in {folder} (docs/data.md)")
    return folder


@pytest.fixture(scope="session")
def datasets(shared: Path) -> Path:
    """The folder of the benchmark datasets."""
    for name in ("Set5", "Set14", "B100"):
        _data(shared, f"data/bench/{name}", f"the dataset {name}")
    return shared / "data" / "bench"


@pytest.fixture(scope="session")
def icc(shared: Path) -> Path:
    """The folder of small color profiles."""
    return _data(shared, "data/icc", "the color profiles")


@pytest.fixture(scope="session")
def corpora(shared: Path) -> Path:
    """The folder of unusual, damaged and hostile picture files."""
    return _data(shared, "corpora", "the unusual and damaged picture files")


@pytest.fixture(scope="session")
def peers(shared: Path) -> Path:
    """The folder of weights released by other authors."""
    return _data(shared, "peers", "the released weights")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium, started once."""
    pytest.importorskip("playwright", reason="Playwright is not installed (dev extra)")
    if find_chromium() is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def _new_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which OpenVINO is recorded as the fastest engine; recording takes longer than copying."""
    folder = tmp_path_factory.mktemp("new-cache")
    with pytest.MonkeyPatch.context() as patch:
        use_cache(folder, patch)
    return folder


@pytest.fixture(autouse=True)
def _own_cache(_new_cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test its own cache folder, in which OpenVINO is recorded as the fastest engine."""
    folder = tmp_path_factory.mktemp("cache")
    shutil.copytree(_new_cache, folder, dirs_exist_ok=True)
    monkeypatch.setenv("MAFDN_CACHE", str(folder))


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Give every test the same random numbers, whatever ran before it; torch is only seeded if it is in use."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def _same_signal_handlers() -> Iterator[None]:
    """Fail a test that leaves another handler of Ctrl-C or SIGTERM to those after it."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Describe long `bytes` that differ in one line: a line-by-line difference of files takes minutes."""
    if op != "==" or not (isinstance(left, bytes) and isinstance(right, bytes)) or max(len(left), len(right)) < 1_000:
        return None
    first = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    return [f"{len(left):,} bytes == {len(right):,} bytes", f"first difference at byte {first:,}"]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small x2 network as ONNX with its weights file beside it; its blocks have a large effect (weights times three).

    It is created once for all test processes.
    """
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    path = folder / "exported" / "small.onnx"
    with filelock.FileLock(folder / "exported.lock"):
        if not path.with_suffix(".safetensors").is_file():
            path.parent.mkdir(exist_ok=True)
            _export(path)
    return path


def _export(path: Path) -> None:
    import torch

    from mafdn.export.onnx import export_onnx
    from mafdn.networks import MAFDNSettings, build, save_network

    torch.manual_seed(0)
    network = build(MAFDNSettings(scale=2, width=8, blocks=2))
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if name.startswith("blocks"):
                tensor.mul_(3)
    export_onnx(network, path)
    save_network(network, path.with_suffix(".safetensors"), card={})


@pytest.fixture
def ready_graph(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exports write the graph of `exported`, whatever the network, so that only their check takes time."""
    import onnx

    monkeypatch.setattr("mafdn.export.onnx._graph", lambda *_: onnx.load(exported))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export without the check of each file by every engine in a process of its own, which has its own tests."""
    for name in ("mafdn.export.onnx", "mafdn.export.plain"):
        monkeypatch.setattr(f"{name}.differences", lambda *_: [0.0])


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """A smooth (24, 32, 3) picture with an edge."""
    y, x = np.mgrid[:24, :32]
    return np.stack([x * 7, y * 10, 255 * (x > y)], axis=2).astype(np.uint8)


@pytest.fixture
def png(tmp_path: Path, picture: NDArray[np.uint8]) -> Path:
    path = tmp_path / "small.png"
    pyvips.Image.new_from_array(picture, interpretation="srgb").pngsave(str(path))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three pictures, one in a subfolder; resizing them clips no values."""
    return draw_photos(tmp_path / "photos")


@pytest.fixture
def bank(photos: Path, tmp_path: Path) -> Bank:
    """The bank of `photos` for x2 and x3."""
    return build_bank([photos], tmp_path / "bank", scales=(2, 3), workers=1)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with two training pictures and a validation picture in photos/."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, name in enumerate(("a.png", "b.png", "held.png")):
        rng = np.random.default_rng(i)
        stripes = np.repeat(np.repeat(rng.integers(0, 256, (16, 12, 3), np.uint8), 4, 0), 5, 1)
        pyvips.Image.new_from_array(stripes).pngsave(str(folder / name))
    return tmp_path
