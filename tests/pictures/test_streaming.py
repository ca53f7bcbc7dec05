"""Large pictures: rows streamed from file to file."""

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn import load
from mafdn.errors import PictureError
from mafdn.inference import EngineOptions, open_engine, upscale, upscale_rows
from mafdn.pictures import reading
from mafdn.pictures.encoding import Encoder, save_picture
from mafdn.pictures.feed import Feed
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import open_picture, read_header
from mafdn.pictures.spill import FileRows
from mafdn.pixels.enlarge import enlarge
from mafdn.pixels.rows import SlidingRows, pieces
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import prepare, run
from mafdn.weights.shipped import shipped


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def bands_of(array: np.ndarray, height: int) -> Iterator[np.ndarray]:
    for top in range(0, len(array), height):
        yield array[top : top + height]


@pytest.fixture
def spilling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture is a large one."""
    monkeypatch.setattr(reading, "LARGE", 0)


# --- rows


@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_sliding_rows_are_those_of_the_array(height: int, step: int, data: st.DataObject) -> None:
    array = noise(height, 3, 2, seed=height)
    rows, start = SlidingRows(bands_of(array, step), array.shape, np.uint8), 0
    while start < height:
        stop = data.draw(st.integers(start, height))
        assert np.array_equal(rows[start:stop], array[start:stop])
        start = data.draw(st.integers(start, max(start, stop))) if stop > start else start + 1
    if height > 1:
        _ = rows[height - 1 : height]
        with pytest.raises(IndexError):
            _ = rows[0:1]


def test_pieces_are_all_of_the_rows() -> None:
    array = noise(3000, 2500, 3)
    starts, parts = zip(*pieces(array, multiple=16), strict=True)
    assert len(parts) > 1
    assert all(start % 16 == 0 for start in starts)
    assert np.array_equal(np.concatenate(parts), array)


@pytest.mark.parametrize("stored", ["u1", "<u2", ">u2"])
def test_rows_in_a_file(tmp_path: Path, stored: str) -> None:
    array = noise(7, 5, 3, dtype=np.dtype(stored).newbyteorder("=").type)
    path = tmp_path / "rows"
    path.write_bytes(b"head" + array.astype(stored).tobytes())
    rows = FileRows(path.open("rb"), (7, 5, 3), np.dtype(stored), start=4)
    assert np.array_equal(rows[2:6], array[2:6])
    assert np.array_equal(rows[:], array)
    assert rows[3:3].shape == (0, 5, 3)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PictureError, match="was truncated"):
        _ = rows[5:7]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("tile", [96, 128])
@pytest.mark.parametrize("network", ["small", pytest.param("shipped", marks=pytest.mark.slow)])
def test_bands_join_into_what_an_array_gives(channels: int, tile: int, network: str, exported: Path) -> None:
    engine = open_engine(exported if network == "small" else shipped(2, ".onnx"), EngineOptions(threads=1))
    array = noise(150, 130, channels)
    bands = list(upscale_rows(engine, array, tile=tile))
    assert len(bands) > 1
    assert np.array_equal(np.concatenate(bands), upscale(engine, array, tile=tile))


# --- encoding


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 4), st.sampled_from([np.uint8, np.uint16]))
@settings(deadline=None, max_examples=40)
def test_libvips_sees_the_bands_as_one_image(height: int, width: int, channels: int, dtype: type) -> None:
    array = noise(height, width, channels, dtype=dtype, seed=width)
    feed = Feed(bands_of(array, 1 + height // 3), array.shape, array.dtype)
    assert np.array_equal(feed.image.numpy().reshape(array.shape), array)


def test_a_feed_of_many_strips() -> None:
    array = noise(4000, 700, 3)
    feed = Feed(bands_of(array, 900), array.shape, array.dtype)
    assert np.array_equal(feed.image.numpy(), array)


def test_a_feed_that_ends_too_early_is_an_error() -> None:
    array = noise(4000, 700, 3)
    feed = Feed(bands_of(array[:2500], 900), array.shape, array.dtype)
    with pytest.raises(pyvips.Error):
        feed.image.numpy()


def encoder(path: Path, height: int, width: int) -> Encoder:
    like = Picture(planes=noise(2, 2, 3), format=FORMATS["PNG"])
    return Encoder(like, path, FORMATS["PNG"], width=width, height=height)


def encode(writer: Encoder, array: np.ndarray) -> None:
    for band in bands_of(array, 1000):
        writer.write(band)
    writer.finish()


def test_an_encoder_that_is_cancelled_ends(tmp_path: Path) -> None:
    for count in (0, 1, 2):
        writer = encoder(tmp_path / "out.png", 4000, 700)
        for band in bands_of(noise(count * 1000, 700, 3), 1000):
            writer.write(band)
        writer.cancel()
        writer.cancel()
    assert not [thread for thread in threading.enumerate() if thread.name == "encoder"]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_waits_for_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not write on after its file was removed, nor while the interpreter exits."""
    main, ended = threading.main_thread().ident, threading.Event()
    assert main is not None

    def slow(self: Encoder) -> tuple[str, ...]:
        for _ in self._received():
            pass
        time.sleep(0.3)  # until the other thread waits
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.5)
        ended.set()
        return ()

    monkeypatch.setattr(Encoder, "_encode", slow)
    with pytest.raises(KeyboardInterrupt):
        save_picture(Picture(planes=noise(4, 4, 3), format=FORMATS["PNG"]), tmp_path / "out.png", FORMATS["PNG"])
    assert ended.is_set()


def test_an_encoder_holds_nothing_when_it_is_done(tmp_path: Path) -> None:
    """libvips's callbacks and what they are of hold each other; pixels must not wait for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        planes = noise(40, 30, 3)
        freed = weakref.ref(planes)
        save_picture(Picture(planes=planes, format=FORMATS["PNG"]), tmp_path / "out.png", FORMATS["PNG"])
        del planes
        assert freed() is None
    finally:
        gc.enable()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("ending", ["png", "ppm", "tiff", "jpeg"])
def test_a_full_disk_is_reported_while_rows_are_written(tmp_path: Path, ending: str) -> None:
    (tmp_path / "out").symlink_to("/dev/full")
    like = Picture(planes=noise(2, 2, 3), format=FORMATS["PNG"])
    writer = Encoder(like, tmp_path / "out", FORMATS[ending.upper()], width=700, height=40_000)
    with pytest.raises(PictureError, match=r"(cannot be written|cannot write).*No space left") as caught:
        encode(writer, noise(40_000, 700, 3))
    assert caught.value.errno == errno.ENOSPC
    writer.cancel()


# --- files


class Counted:
    """Rows that know the most of them that were asked for at once."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype, self.most = array, array.shape, array.dtype, 0

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        result = self.array[rows]
        self.most = max(self.most, len(result))
        return result


def test_a_strong_reduction_takes_few_rows_at_a_time() -> None:
    rows = Counted(noise(20_000, 8, 3))
    picture = Picture(planes=rows, format=FORMATS["PNG"])
    bands = list(enlarge(picture.planes, (4, 100), network=lambda _: iter([]), scale=2))
    assert sum(map(len, bands)) == 100
    assert rows.most < 2000


def test_a_disk_too_full_to_spill_pixels_is_not_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise pyvips.Error("write error")

    monkeypatch.setattr(reading, "LARGE", 0)
    monkeypatch.setattr(pyvips.Image, "rawsave_target", fails, raising=False)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0})())
    path = tmp_path / "in.png"
    pyvips.Image.new_from_array(noise(30, 20, 3)).write_to_file(os.fspath(path))
    with pytest.raises(PictureError, match="No space left"):
        open_picture(path, scratch=tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_disk_that_fills_while_pixels_are_spilled_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Path("/dev/full").open("wb"))  # noqa: SIM115
    path = tmp_path / "in.png"
    pyvips.Image.new_from_array(noise(300, 200, 3)).write_to_file(os.fspath(path))
    with pytest.raises(PictureError, match="No space left") as caught:
        open_picture(path, scratch=tmp_path)
    assert (type(caught.value), caught.value.errno) == (PictureError, errno.ENOSPC)


@pytest.mark.usefixtures("spilling")
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".webp"])
def test_spilled_pixels_are_the_same(tmp_path: Path, ending: str, orientation: int) -> None:
    image = pyvips.Image.new_from_array(noise(70, 50, 3)).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    path = tmp_path / f"in{ending}"
    image.write_to_file(os.fspath(path))
    waiting, memory = open_picture(path, scratch=tmp_path), open_picture(path)
    assert isinstance(waiting.planes, FileRows)
    assert waiting.planes.shape == memory.planes.shape == ((70, 50, 3) if orientation == 1 else (50, 70, 3))
    assert np.array_equal(waiting.color, memory.color)
    assert list(tmp_path.iterdir()) == [path], "the file has no name"


@pytest.mark.usefixtures("spilling")
@pytest.mark.parametrize("size", [1, 0.5])
def test_a_damaged_large_picture_is_one_line(tmp_path: Path, size: float) -> None:
    path = tmp_path / "in.png"
    pyvips.Image.new_from_array(noise(300, 200, 3)).write_to_file(os.fspath(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data[: int(len(data) * size)])
    with pytest.raises(PictureError, match="damaged or incomplete"):
        prepare(read_header(path), scale=2)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("spilling")
@pytest.mark.parametrize("ending", [".png", ".ppm", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_streamed_file_is_what_the_array_gives(tmp_path: Path, ending: str, channels: int) -> None:
    if ending == ".ppm" and channels == 4:
        return
    array = noise(90, 100, channels)
    if channels == 4:
        array[:30, :, 3], array[60:, :, 3] = 0, 255
    source = tmp_path / f"in{ending}"
    upscaler = load("x2")
    if ending == ".ppm":
        source.write_bytes(b"P6\n100 90\n255\n" + array.tobytes())
    else:
        pyvips.Image.new_from_array(array).copy(interpretation="srgb").write_to_file(os.fspath(source))
    report = upscaler.upscale_file(source, options=UpscaleOptions(tile=96))
    result = open_picture(report.target).planes[:]
    assert result.shape == (180, 200, channels)
    if channels == 3:
        assert np.array_equal(result, upscaler.upscale(array, tile=96))
    else:
        assert (result[:56, :, 3] == 0).all()
        assert (result[124:, :, 3] == 255).all()


def test_one_picture_is_prepared_while_another_is_encoded(png: Path, tmp_path: Path) -> None:
    engine = open_engine(shipped(2, ".onnx"), EngineOptions(threads=1))
    first, second = (prepare(read_header(png), tmp_path / name, scale=2) for name in ("a.png", "b.png"))
    one, two = run(first, engine), run(second, engine)
    assert not (tmp_path / "a.png").exists()
    assert two.finish().target == tmp_path / "b.png"
    one.cancel()
    assert sorted(path.name for path in tmp_path.iterdir() if path != png) == ["b.png"]


def test_the_time_limit_ends_an_encoder(tmp_path: Path) -> None:
    like = Picture(planes=noise(2, 2, 3), format=FORMATS["PNG"])
    writer = Encoder(like, tmp_path / "out.png", FORMATS["PNG"], width=700, height=4000, limits=Limits(seconds=0.0))
    with pytest.raises(PictureError, match="the limit of 0 seconds"):
        encode(writer, noise(4000, 700, 3))
    writer.cancel()


GIGAPIXEL = """
import sys
from pathlib import Path
import pyvips
from mafdn._support.machine import peak_mib
sys.path.insert(0, sys.argv[1])
from tests.support import Repeat, upscale_file
folder = Path(sys.argv[2])
source, target = folder / "in.png", folder / sys.argv[3]
pyvips.Image.gaussnoise(8000, 7812, sigma=20, mean=128).cast("uchar").bandjoin([90, 160]).copy(
    interpretation="srgb"
).pngsave(str(source), compression=1)
report = upscale_file(source, target, engine=Repeat(4))
result = pyvips.Image.new_from_file(str(target), access="sequential", fail_on="error")
assert (result.width, result.height) == report.new_size == (32000, 31248)
assert abs(result.avg() - pyvips.Image.new_from_file(str(source)).avg()) < 0.5
print(report.peak_mib)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["out.png", "out.tif"])
def test_a_gigapixel_is_written_in_little_memory(tmp_path: Path, name: str) -> None:
    """Decoding, joining and encoding alone: the network repeats pixels, and fades tiles, whose rows are float."""
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", GIGAPIXEL, root, str(tmp_path), name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(done.stdout) < 1500
