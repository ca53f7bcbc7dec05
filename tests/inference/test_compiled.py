"""The cache on disk and the compiled graphs in it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn._support.cache import DIGEST, cache_folder, keep, load_kept
from mafdn.inference import open_engine
from mafdn.inference.engines import registry
from mafdn.inference.engines.model_files import network_digest
from mafdn.inference.engines.openvino import OpenVINOEngine

AGREED = 1e-4


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.fixture
def small(exported: Path) -> Path:
    return exported


@given(content=st.binary(min_size=1, max_size=200), place=st.integers(0, 10_000), flip=st.integers(1, 255))
@settings(deadline=None, max_examples=40)
def test_only_intact_entries_are_read(
    content: bytes, place: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("kept") / "a.blob"
    assert load_kept(path) is None
    assert keep(path, content, limit=10**6)
    assert load_kept(path) == content
    damaged = bytearray(path.read_bytes())
    damaged[place % len(damaged)] ^= flip
    path.write_bytes(damaged)
    assert load_kept(path) is None
    assert not path.exists()


def test_the_least_recently_used_entries_are_removed(tmp_path: Path) -> None:
    for number in range(6):
        path = tmp_path / f"{number}.blob"
        keep(path, bytes(100 - DIGEST), limit=300)
        os.utime(path, (1000 + number, 1000 + number))
        if number == 2:
            load_kept(tmp_path / "0.blob")  # now the most recently used
    assert {path.name for path in tmp_path.iterdir()} == {"0.blob", "4.blob", "5.blob"}
    (tmp_path / "old.partial").touch()
    os.utime(tmp_path / "old.partial", (0, 0))
    (tmp_path / "new.partial").touch()
    keep(tmp_path / "6.blob", b"", limit=300)
    assert not (tmp_path / "old.partial").exists()
    assert (tmp_path / "new.partial").exists()


def test_concurrent_writers_are_safe(tmp_path: Path) -> None:
    path = tmp_path / "a.blob"
    contents = [bytes([n]) * 100_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda c: keep(path, c, limit=10**9), contents * 4))
    assert load_kept(path) in contents
    assert list(tmp_path.iterdir()) == [path]


def blobs() -> list[Path]:
    return sorted(cache_folder("compiled").glob("*.blob"))


def test_a_second_process_compiles_nothing(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(1, 3, 18, 20)
    first = OpenVINOEngine(small)
    result = first.run(x)
    assert first.stencil
    given = first.stencil.run(x, first.stencil.gates(x))
    assert len(blobs()) == 3
    monkeypatch.setattr("mafdn.inference.engines.openvino.read_onnx", None)  # the file itself is not read again
    again = OpenVINOEngine(small)
    assert again.run(x).tobytes() == result.tobytes()
    assert again.stencil
    assert again.stencil.run(x, again.stencil.gates(x)).tobytes() == given.tobytes()


def test_graphs_of_other_weights_and_threads_are_not_reused(small: Path, tmp_path: Path) -> None:
    x = noise(1, 3, 18, 20)
    path = tmp_path / "net.onnx"
    path.write_bytes(small.read_bytes())
    before = OpenVINOEngine(path).run(x)
    model = onnx.load(small)
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weights.raw_data = (2 * np.frombuffer(weights.raw_data, np.float32)).tobytes()
    onnx.save(model, path)  # other weights in a file of the same name
    assert np.abs(OpenVINOEngine(path).run(x) - before).max() > AGREED
    count = len(blobs())
    OpenVINOEngine(path, threads=1).run(x)
    assert len(blobs()) == count + 1


def test_a_stencil_of_any_size_is_compiled_once(small: Path) -> None:
    engine, sizes = OpenVINOEngine(small, threads=1), [(18, 20), (20, 18), (9, 64), (18, 20)]
    results = [engine.run(noise(1, 3, *size)) for size in sizes]
    assert len(blobs()) == 1
    for size, result in zip(sizes, results, strict=True):
        x = noise(1, 3, *size)
        alone = OpenVINOEngine(small, threads=1).run(x)
        assert result.tobytes() == alone.tobytes(), "the sizes before it do not matter"
        fixed = engine.compiled(x.shape)(x)[0]
        assert np.abs(result - fixed).max() < AGREED


def test_int8_has_a_graph_for_each_size(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OpenVINOEngine(small, threads=1)
    monkeypatch.setattr(engine, "precision", "int8")
    for size, count in [((18, 20), 1), ((20, 18), 2), ((18, 20), 2)]:
        engine.run(noise(1, 3, *size))
        assert len(blobs()) == count


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_sizes(small: Path) -> None:
    program = """
import os
import sys
from pathlib import Path
import numpy as np
from mafdn.inference.engines.openvino import OpenVINOEngine
engine = OpenVINOEngine(Path(sys.argv[1]), threads=1)
for number in range(2_000):
    engine.run(np.zeros((1, 3, 40 + number // 50, 40 + number % 50), np.float32))
    if number in (499, 1_999):
        print(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
"""
    output = subprocess.run([sys.executable, "-c", program, str(small)], capture_output=True, text=True, check=True)
    quarter, whole = map(float, output.stdout.split())
    assert whole - quarter < 30


def test_external_weights_are_part_of_the_digest(small: Path, tmp_path: Path) -> None:
    model = onnx.load(small)
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    digest = network_digest(tmp_path / "net.onnx")
    data = bytearray((tmp_path / "net.data").read_bytes())
    data[100] ^= 1
    (tmp_path / "net.data").write_bytes(data)
    assert network_digest(tmp_path / "net.onnx") != digest


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "whole, and no graph"])
def test_a_damaged_graph_is_compiled_again_silently(
    damage: str, small: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    x = noise(1, 3, 18, 20)
    result = OpenVINOEngine(small).run(x)
    (path,) = blobs()
    content = path.read_bytes()
    middle = len(content) // 2
    if damage.startswith("whole"):
        keep(path, b"no graph" * 1000, limit=10**9)
    else:
        flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        path.write_bytes({"empty": b"", "half": content[:middle], "flipped": flipped}[damage])
    assert np.array_equal(OpenVINOEngine(small).run(x), result)
    assert capfd.readouterr() == ("", "")
    assert load_kept(path)


def test_an_unusable_cache_is_not_an_error(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAFDN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(registry, "shipped_scales", lambda: ())
    x = noise(1, 3, 18, 20)
    assert open_engine(small).run(x).shape == (1, 3, 36, 40)  # measured and compiled, but not cached
    assert not keep(tmp_path / "file" / "a.blob", b"", limit=1)
