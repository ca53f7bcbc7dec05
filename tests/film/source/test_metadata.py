"""What is hidden in raw bytes and in descriptions: cropping by the container, and what results do not have."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest

from mafdn.film.options import FilmOptions
from mafdn.film.output import matroska
from mafdn.film.source import probe as module
from mafdn.film.source.info import Light
from mafdn.film.source.metadata import chroma_location_in, cropping_in, lost_features
from mafdn.film.source.reader import open_film
from tests.film.films import BT709, Film, make

TOP, BOTTOM, LEFT, RIGHT = 0x54BB, 0x54AA, 0x54CC, 0x54DD
"""Matroska's numbers of what is hidden at the sides of a frame."""


def cropped(folder: Path, sides: dict[int, int], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film of which the container hides something."""
    source = make(folder / "source.mkv", Film(codec="ffv1", settings={}, frames=3, colors=BT709))
    path = folder / "film.mkv"
    with av.open(str(source)) as read, av.open(str(path), "w") as written:
        video = written.add_stream_from_template(read.streams.video[0], opaque=True)
        video.metadata["title"] = matroska.PLACEHOLDER
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                packet.stream = video
                written.mux(packet)
    changed = matroska._changed_video

    def with_sides(*arguments: Any) -> bytes:
        whole = changed(*arguments)
        head = matroska._elements(whole)[0].head
        added = b"".join(matroska._number(number, pixels) for number, pixels in sides.items())
        return matroska._element(matroska.VIDEO, whole[head:] + added)

    monkeypatch.setattr(matroska, "_changed_video", with_sides)
    across, down = sides[LEFT] + sides[RIGHT], sides[TOP] + sides[BOTTOM]
    assert matroska.complete_header(
        path,
        size=(64 - across, 48 - down),
        sample_aspect_ratio=Fraction(1),
        chroma_location=None,
        light=Light(),
        title=None,
    )
    return path


def test_what_the_container_hides_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cropped(tmp_path, {TOP: 2, BOTTOM: 6, LEFT: 4, RIGHT: 8}, monkeypatch)
    with open_film(path) as film, open_film(tmp_path / "source.mkv") as whole:
        assert film.info.crop == (4, 2, 8, 6)
        assert film.info.size == (52, 40)
        for frame, full in zip(film.frames(), whole.frames(), strict=True):
            assert np.array_equal(frame.pixels, full.pixels[2:42, 4:56])


def test_cropping_that_leaves_nothing_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cropped(tmp_path, {TOP: 0, BOTTOM: 0, LEFT: 30, RIGHT: 33}, monkeypatch)
    with open_film(path) as film:
        assert film.info.size == (1, 48)


TEXT = """Input #0, matroska,webm, from 'x':
  Stream #0:0(eng): Audio: aac (LC), 48000 Hz, stereo, fltp (default)
  Stream #0:1: Video: h264 (High), 1 reference frame, yuv420p(tv, bt709, progressive, topleft), 64x48
    Side data:
      Frame Cropping: 4/8/2/6
  Stream #0:11: Video: h264 (High), yuv420p(tv, left), 64x48 (default)
"""


@pytest.mark.parametrize(
    ("index", "place", "crop"),
    [(0, None, (0, 0, 0, 0)), (1, "topleft", (4, 2, 8, 6)), (11, "left", (0, 0, 0, 0)), (2, None, (0, 0, 0, 0))],
)
def test_descriptions_of_several_streams(index: int, place: str | None, crop: tuple[int, int, int, int]) -> None:
    assert chroma_location_in(TEXT, index) == place
    assert cropping_in(TEXT, index) == crop


WORDS = """Input #0, matroska,webm, from 'x':
  Metadata:
    title           : a
                    : Stream #0:0: Video: none, x(bottom)
    comment         : Stream #0:0 Side data: cropping: 1/1/1/1
  Stream #0:0(top): Video: h264 (High) (avc1 / 0x31637661), 1 reference frame, yuv420p(tv, left), 64x48 (default)
    Metadata:
      title           : Frame Cropping: 8/0/4/0
                      : Side data:
      spherical       : spherical: DOVI configuration record
  Stream #0:1(bottom): Video: vp9 (Profile 0), yuv420p, 64x48, 25 fps (default)
    Side data:
      Display Matrix: rotation of 90.00 degrees
      Frame Cropping: 0/2/0/4
"""


def test_the_words_of_a_film_are_not_taken_for_what_ffmpeg_says() -> None:
    assert [chroma_location_in(WORDS, index) for index in (0, 1)] == ["left", None]
    assert [cropping_in(WORDS, index) for index in (0, 1)] == [(0, 0, 0, 0), (0, 0, 2, 4)]
    frame = av.VideoFrame(64, 48, "yuv420p")
    assert lost_features(frame, WORDS) == []
    assert lost_features(frame, WORDS + "      spherical: equirectangular\n") == ["a spherical projection"]


@pytest.mark.parametrize("title", ["cropping: 8/0/4/0", "Side data:\n  cropping: 8/0/4/0", "spherical: no"])
def test_titles_do_not_crop(title: str, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with (
        av.open(str(make(tmp_path / "source.mkv", Film(frames=3, colors=BT709)))) as read,
        av.open(str(path), "w") as written,
    ):
        video = written.add_stream_from_template(read.streams.video[0], opaque=True)
        video.metadata.update({"title": title, "language": "top"})
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                packet.stream = video
                written.mux(packet)
    with open_film(path) as film:
        assert (film.info.crop, film.info.size, film.info.notes) == ((0, 0, 0, 0), (64, 48), ())
        assert film.info.color.chroma_location == "left"
        assert film.info.streams[0].language == "top"


@pytest.mark.parametrize(
    ("tags", "count", "ends"),
    [
        ({"NUMBER_OF_FRAMES": "9" * 5000}, 3, 120),
        ({"NUMBER_OF_FRAMES": "9" * 400}, 3, 120),
        ({"DURATION": "9" * 5000 + ":00:00"}, 3, None),
        ({"DURATION": "00:00:00." + "9" * 5000}, 3, None),
        ({"DURATION": "00:00:01.500000000", "NUMBER_OF_FRAMES": "40"}, 40, 1500),
    ],
)
def test_tags_state_numbers_only_within_reason(
    tags: dict[str, str], count: int, ends: int | None, tmp_path: Path
) -> None:
    path = make(tmp_path / "film.mkv", Film(frames=3, colors=BT709))
    with av.open(str(path)) as container:
        stream = SimpleNamespace(duration=None, start_time=0, frames=0, average_rate=Fraction(25), metadata=tags)
        if "DURATION" not in tags:
            stream.metadata["DURATION"] = "00:00:00.120000000"
        unit = Fraction(1, 1000)
        assert module._ends(cast(Any, stream), unit) == ends
        whole = (container.duration or 0) / 1e6 if ends is None else float(ends * unit)
        assert module._selected(cast(Any, stream), whole, FilmOptions())[1] == count


def test_closed_captions_are_said_to_be_lost(tmp_path: Path) -> None:
    """Captions of CTA-708 in the user data of H.264."""
    caption = bytes.fromhex("b50031474139340341fffc9420ff")
    sei = bytes([4, len(caption)]) + caption + b"\x80"
    path = make(tmp_path / "film.mkv", Film(frames=6, settings={"bf": "0"}, colors=BT709))
    captioned = tmp_path / "captioned.mkv"
    with av.open(str(path)) as read, av.open(str(captioned), "w") as written:
        copy = written.add_stream_from_template(read.streams.video[0], opaque=True)
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                added = av.Packet((len(sei) + 1).to_bytes(4, "big") + b"\x06" + sei + bytes(packet))
                added.pts, added.dts, added.time_base = packet.pts, packet.dts, packet.time_base
                added.is_keyframe = packet.is_keyframe
                added.stream = copy
                written.mux(added)
    with open_film(path) as film:
        assert film.info.notes == ()
    with open_film(captioned) as film:
        assert film.info.notes == (f"{captioned} has closed captions in its video; its result will not",)


def test_tags_that_mean_nothing_are_passed_over() -> None:
    assert module._tag(248, 16, known={1, 16}) == 16
    assert module._tag(248, 99, known={1, 16}) == module.UNTAGGED
    assert module._tag(1, 16, known={1, 16}) == 1
    assert module._tag(module.UNTAGGED, 16, known={1, 2, 16}) == 16
