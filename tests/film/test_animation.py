"""Animated pictures as films."""

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import mafdn
from mafdn import EngineOptions
from mafdn.errors import PictureError, UsageError
from mafdn.film.animation import animated_shots
from mafdn.film.assembly import SOURCE, upscale_shots
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmReport
from mafdn.pictures.limits import Limits
from mafdn.upscaling.options import UpscaleOptions
from tests.conftest import Run
from tests.film.support import Fixed
from tests.support import Repeat, draw, failed

DURATIONS = [40, 200, 70, 500]
"""Of the frames of an animation, in milliseconds."""


def animation(path: Path, *, clear: bool = False, durations: list[int] = DURATIONS) -> Path:
    """Write an animation, each frame of one color; with a transparent half if `clear`."""
    frames: list[Image.Image] = []
    for number in range(len(durations)):
        pixels = np.full((24, 32, 4), (40 * number, 255 - 40 * number, 90, 255), np.uint8)
        if clear:
            pixels[:, 16:] = 0
        frames.append(Image.fromarray(pixels if clear else pixels[..., :3]))
    lossless: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        disposal=2 if clear else 0,
        **lossless,
    )
    return path


def as_film(path: Path, target: Path, **options: Any) -> FilmReport:
    shots = animated_shots(path, limits=Limits())
    return upscale_shots(
        shots, target, networks=Fixed(Repeat()), options=FilmOptions(**options), on_progress=lambda _: None
    )


def shown(film: Path) -> list[tuple[Fraction, Fraction, np.ndarray]]:
    """When each frame is shown, for how long, and its pixels."""
    with av.open(str(film)) as container:
        unit = container.streams.video[0].time_base
        assert unit is not None
        return [
            ((frame.pts or 0) * unit, (frame.duration or 0) * unit, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
@pytest.mark.parametrize("target", ["b.mkv", "b.mp4"])
def test_an_animation_becomes_a_film_with_its_times(name: str, target: str, tmp_path: Path) -> None:
    coding = {"codec": "ffv1"} if target == "b.mkv" else {"preset": "ultrafast", "crf": 1}
    report = as_film(animation(tmp_path / name), tmp_path / target, **coding)
    assert (report.frames, report.new_size, report.source) == (4, (64, 48), tmp_path / name)
    frames = shown(tmp_path / target)
    assert [float(begin) for begin, _, _ in frames] == pytest.approx([0, 0.04, 0.24, 0.31])
    assert float(frames[-1][1]) == pytest.approx(0.5, abs=0.01)
    for number, (_, _, pixels) in enumerate(frames):
        near = 2 if target == "b.mkv" else 8
        assert np.abs(pixels.reshape(-1, 3).astype(int) - (40 * number, 255 - 40 * number, 90)).max() <= near
    assert not (tmp_path / SOURCE.format(target)).exists()


def test_transparent_parts_become_white_with_a_note(tmp_path: Path) -> None:
    report = as_film(animation(tmp_path / "a.gif", clear=True), tmp_path / "b.mkv", codec="ffv1")
    assert "films have no transparency: transparent areas became white" in report.notes
    for _, _, pixels in shown(tmp_path / "b.mkv"):
        assert pixels[:, 40:].min() > 250
        assert pixels[:, :24, 2].max() < 120
    assert not as_film(animation(tmp_path / "c.gif"), tmp_path / "d.mkv", codec="ffv1").notes


def test_large_animations_are_decoded_into_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = animation(tmp_path / "a.gif")
    right = [shot.pixels for shot in animated_shots(path, limits=Limits()).read()]
    monkeypatch.setattr("mafdn.pictures.reading.LARGE", 0)
    shots = animated_shots(path, limits=Limits(), scratch=tmp_path)
    assert np.array_equal([shot.pixels for shot in shots.read()], right)
    with pytest.raises(PictureError, match="none"):
        animated_shots(path, limits=Limits(), scratch=tmp_path / "none")
    assert list(tmp_path.iterdir()) == [path]


def test_frames_without_a_duration_are_shown_as_viewers_do(tmp_path: Path) -> None:
    shots = animated_shots(animation(tmp_path / "a.gif", durations=[0, 10, 20, 30]), limits=Limits())
    assert [shot.duration for shot in shots.read()] == [100, 100, 20, 30]
    assert [shot.begin for shot in shots.read()] == [0, 100, 200, 220]


def test_the_command_takes_an_animation_and_the_name_of_a_film(cli: Run, tmp_path: Path) -> None:
    source = animation(tmp_path / "a.gif")
    command = ("upscale", source, tmp_path / "b.mp4", "-s", 2, "--preset", "ultrafast", "--threads", 1)
    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert "4 frames" in out
    assert [float(begin) for begin, _, _ in shown(tmp_path / "b.mp4")] == pytest.approx([0, 0.04, 0.24, 0.31])
    failed(cli(*command), 2, "b.mp4 exists")
    failed(cli("upscale", source, "-o", tmp_path / "c.mp4", "--quality", 80), 2, "--quality is for pictures")


def test_the_time_limit_begins_with_each_film(tmp_path: Path) -> None:
    limits = Limits(seconds=200, began=time.monotonic() - 1000)
    options = FilmOptions(preset="ultrafast", upscale=UpscaleOptions(limits=limits))
    engine = EngineOptions(threads=1)
    report = mafdn.upscale_film(
        animation(tmp_path / "a.gif"), tmp_path / "b.mp4", size=2, options=options, engine=engine
    )
    assert report.frames == 4


def test_an_existing_result_is_refused_before_the_animation_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("mafdn.film.animation.animated_shots", decoded)
    (tmp_path / "b.mp4").touch()
    with pytest.raises(PictureError, match=r"b\.mp4 exists"):
        mafdn.upscale_film(animation(tmp_path / "a.gif"), tmp_path / "b.mp4")


def test_a_single_picture_is_no_animation(cli: Run, tmp_path: Path) -> None:
    picture = draw(tmp_path / "photo.png")
    with pytest.raises(UsageError, match=r"photo.png is no animation; .* such as photo_x4.png"):
        animated_shots(picture, limits=Limits())
    failed(cli("upscale", picture, tmp_path / "film.mp4"), 2, "photo.png is no animation")
