"""What is hidden in raw bytes and in descriptions: cropping by the container, and what results do not have."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mafdn.film.output import matroska
from mafdn.film.source import probe as module
from mafdn.film.source.info import Light
from mafdn.film.source.metadata import chroma_location_in, cropping_in
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
