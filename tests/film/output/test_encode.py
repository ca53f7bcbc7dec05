"""Segments: exact time stamps, the same bytes each time, and colors and light levels in the stream."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mafdn.errors import EncodeError
from mafdn.film.frame import FilmFrame
from mafdn.film.options import FilmOptions
from mafdn.film.output.encode import BEGIN, SegmentEncoder
from mafdn.film.output.plan import FilmPlan, plan_film
from mafdn.film.source.info import FilmInfo
from mafdn.film.source.metadata import light_of
from mafdn.film.source.reader import open_film
from tests.film.chain import doubled
from tests.film.films import BT2020_PQ, TEN_BITS, VFR, Film, make

MASTERING = "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50):max-cll=900,300"


def opened(path: Path, codec: str, *, preset: str | None = "ultrafast") -> tuple[FilmInfo, FilmPlan, list[FilmFrame]]:
    options = FilmOptions(codec=codec, preset=None if codec == "ffv1" else preset)
    with open_film(path, options) as film:
        return film.info, plan_film(film.info, options, scale=2), list(film.frames())


def encode(path: Path, info: FilmInfo, plan: FilmPlan, frames: list[FilmFrame]) -> list[int]:
    """Write a segment; returns the time stamps of its frames as they are decoded."""
    with SegmentEncoder(path, info, plan) as encoder:
        for frame in frames:
            encoder.write(frame, doubled(frame.pixels))
    with av.open(str(path)) as segment:
        begin = int(segment.metadata[BEGIN])
        stream = segment.streams.video[0]
        unit = (stream.time_base or Fraction(1)) / info.time_base
        times = [(frame.pts or 0) * unit for frame in segment.decode(stream)]
    assert all(time.denominator == 1 for time in times)
    return [begin + int(time) for time in times]


@pytest.mark.parametrize("codec", ["x264", "x265", "av1", "ffv1"])
def test_time_stamps_are_kept_exactly(codec: str, tmp_path: Path) -> None:
    path = make(tmp_path / "film.mkv", Film(frames=12, moments=VFR, time_base=Fraction(1, 1000)))
    info, plan, frames = opened(path, codec)
    moved = [FilmFrame(f.number, f.pts - 5000, f.duration, f.pixels) for f in frames]
    assert encode(tmp_path / "a.nut", info, plan, frames) == list(VFR)
    assert encode(tmp_path / "b.nut", info, plan, moved) == [pts - 5000 for pts in VFR]


@pytest.mark.parametrize("codec", ["x264", "av1"])
@pytest.mark.parametrize("rate", [Fraction(1000), Fraction(1, 5)])
def test_very_high_and_very_low_rates(rate: Fraction, codec: str, tmp_path: Path) -> None:
    info, plan, frames = opened(make(tmp_path / "film.mkv", Film(rate=rate, frames=5)), codec)
    assert encode(tmp_path / "a.nut", info, plan, frames) == [number * 1000 / rate for number in range(5)]


@pytest.mark.parametrize("codec", ["x264", "x265", "av1", "ffv1"])
def test_equal_frames_give_equal_files(codec: str, tmp_path: Path) -> None:
    info, plan, frames = opened(make(tmp_path / "film.mkv", Film(frames=20, size=(160, 96))), codec, preset=None)
    encode(tmp_path / "a.nut", info, plan, frames)
    encode(tmp_path / "b.nut", info, plan, frames)
    assert (tmp_path / "a.nut").read_bytes() == (tmp_path / "b.nut").read_bytes()


def test_lossless_means_lossless(tmp_path: Path) -> None:
    film = Film(frames=3, codec="ffv1", pixel_format="bgr0", settings={})
    info, plan, frames = opened(make(tmp_path / "film.mkv", film), "ffv1")
    encode(tmp_path / "a.nut", info, plan, frames)
    with av.open(str(tmp_path / "a.nut")) as segment:
        for frame, source in zip(segment.decode(video=0), frames, strict=True):
            assert np.array_equal(frame.to_ndarray(format="rgb24"), doubled(source.pixels))


@pytest.mark.parametrize("codec", ["x264", "x265", "av1"])
def test_light_levels_and_colors_are_in_the_stream(codec: str, tmp_path: Path) -> None:
    settings = {"crf": "10", "preset": "ultrafast", "x265-params": f"log-level=error:hdr10=1:{MASTERING}"}
    film = replace(Film(frames=3, colors=BT2020_PQ, **TEN_BITS), settings=settings)
    path = make(tmp_path / "film.mp4", film)
    info, plan, frames = opened(path, codec)
    assert info.color.light.luminance == (Fraction(1, 200), Fraction(1000))
    encode(tmp_path / "a.nut", info, plan, frames)
    with av.open(str(tmp_path / "a.nut")) as segment:
        frame = next(segment.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == BT2020_PQ
    assert frame.format.name == "yuv420p10le"
    light, given = light_of(frame), info.color.light
    assert (light.max_cll, light.max_fall) == (900, 300)
    assert [float(v) for v in light.primaries or ()] == pytest.approx(
        [float(v) for v in given.primaries or ()], abs=2e-5
    )
    assert [float(v) for v in light.luminance or ()] == pytest.approx([0.005, 1000], abs=1e-4)


def test_a_repeated_result_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, plan, frames = opened(make(tmp_path / "film.mkv", Film(frames=6)), "ffv1")
    large = doubled(frames[0].pixels)
    converted: list[int] = []
    with SegmentEncoder(tmp_path / "a.nut", info, plan) as encoder:
        convert = encoder._convert
        monkeypatch.setattr(encoder, "_convert", lambda pixels: (converted.append(1), convert(pixels))[1])
        for frame in frames:
            encoder.write(frame, large)
    assert len(converted) == 1
    with av.open(str(tmp_path / "a.nut")) as segment:
        pictures = [frame.to_ndarray() for frame in segment.decode(video=0)]
    assert len(pictures) == 6
    assert all(np.array_equal(picture, pictures[0]) for picture in pictures)


@pytest.mark.parametrize("codec", ["x264", "x265", "av1", "ffv1"])
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("undefined", [-(2**45), 2**45])
def test_decoding_times_that_the_encoder_leaves_undefined_do_not_matter(
    codec: str, frames: int, undefined: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, plan, read = opened(make(tmp_path / "film.mkv", Film(frames=frames)), codec)
    encode(tmp_path / "expected.nut", info, plan, read)
    with SegmentEncoder(tmp_path / "a.nut", info, plan) as encoder:
        monkeypatch.setattr(encoder, "_stream", Undefined(encoder._stream, undefined))
        write_all(encoder, read, doubled(read[0].pixels))
    with av.open(str(tmp_path / "a.nut")) as segment, av.open(str(tmp_path / "expected.nut")) as expected:
        times = [[packet.pts for packet in file.demux(video=0) if packet.size] for file in (segment, expected)]
    assert times[0] == times[1]
    assert len(times[0]) == frames


class Undefined:
    """A stream whose encoder counts decoding times of what it still holds from a value never written, as x265 may."""

    def __init__(self, stream: Any, value: int) -> None:
        self.stream, self.value = stream, value

    def encode(self, picture: Any) -> list[Any]:
        packets = self.stream.encode(picture)
        if picture is None:
            for packet in packets:
                packet.dts += self.value
        return packets


def test_nothing_remains_after_an_error(tmp_path: Path) -> None:
    info, plan, frames = opened(make(tmp_path / "film.mkv", Film(frames=2)), "x264")
    path = tmp_path / "a.nut"
    encoder = SegmentEncoder(path, info, plan)
    encoder.write(frames[0], doubled(frames[0].pixels))
    encoder.__exit__(KeyboardInterrupt, None, None)
    assert not path.exists()
    encoder = SegmentEncoder(tmp_path / "nowhere" / "a.nut", info, plan)
    with pytest.raises(EncodeError, match=r"cannot write .*nowhere/a\.nut: No such file or directory"):
        write_all(encoder, frames, doubled(frames[0].pixels))


@pytest.mark.parametrize("codec", ["x264", "ffv1"])
def test_a_full_disk_is_said(codec: str, tmp_path: Path) -> None:
    info, plan, frames = opened(make(tmp_path / "film.mkv", Film(frames=4, size=(320, 240))), codec)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    full = tmp_path / "full.nut"
    full.symlink_to("/dev/full")
    encoder = SegmentEncoder(full, info, plan)
    with pytest.raises(EncodeError, match=r"cannot write .*full\.nut: No space left on device") as caught:
        write_all(encoder, frames, noise)
    assert caught.value.errno == 28


def write_all(
    encoder: SegmentEncoder, frames: list[FilmFrame], noise: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    for frame in frames:
        encoder.write(frame, noise)
    encoder.close()


def test_sizes_that_an_encoder_refuses_are_said(tmp_path: Path) -> None:
    info, plan, _ = opened(make(tmp_path / "film.mkv", Film(frames=1, size=(2, 2), codec="ffv1", settings={})), "x265")
    with pytest.raises(EncodeError, match=r"cannot encode .*film\.mkv with x265 \(4x4 pixels, yuv420p\): .*ffv1"):
        SegmentEncoder(tmp_path / "a.nut", info, plan)
    assert not (tmp_path / "a.nut").exists()
