"""The header of Matroska files, completed in place, as FFmpeg reads it."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from mafdn.film.output.matroska import PLACEHOLDER, complete_header, displayed_size
from mafdn.film.source.info import Light
from mafdn.film.source.metadata import chroma_location_in, light_of
from mafdn.film.source.opening import description, open_container
from mafdn.pictures.limits import Limits
from tests.film.films import Film, Sound, make

LIGHT = Light(
    primaries=tuple(Fraction(n, 50_000) for n in (35_400, 14_600, 8_500, 39_850, 6_550, 2_300, 15_635, 16_450)),
    luminance=(Fraction(1, 200), Fraction(1000)),
    max_cll=900,
    max_fall=300,
)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """FFV1, which says nothing about itself; the first track is sound."""
    pictures = Film(codec="ffv1", settings={}, frames=3, sounds=(Sound(codec="flac"),), title="Whole")
    source = make(tmp_path / "source.mkv", pictures)
    path = tmp_path / "film.mkv"
    with open_container(source, Limits()) as read, av.open(str(path), "w") as written:
        sound = written.add_stream_from_template(read.streams.audio[0], opaque=True)
        video = written.add_stream_from_template(read.streams.video[0], opaque=True)
        video.metadata["title"] = PLACEHOLDER
        written.metadata["title"] = "Whole"
        for packet in read.demux():
            if packet.size:
                packet.stream = video if packet.stream.type == "video" else sound
                written.mux(packet)
    return path


@pytest.mark.parametrize("place", ["left", "topleft", "center", "top"])
@pytest.mark.parametrize("title", ["The title", None, "日本語"])
def test_everything_is_read_again_and_nothing_else_changes(film: Path, place: str, title: str | None) -> None:
    with av.open(str(film)) as container:
        before = [(p.stream_index, p.pts, bytes(p)) for p in container.demux() if p.size]
    size = film.stat().st_size
    assert complete_header(
        film,
        size=(64, 48),
        sample_aspect_ratio=Fraction(32, 27),
        chroma_location=place,
        light=LIGHT,
        title=title,
    )
    assert film.stat().st_size == size
    with open_container(film, Limits()) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == Fraction(32, 27)
        assert stream.metadata.get("title") == title
        assert container.metadata["title"] == "Whole"
        assert chroma_location_in(description(container), stream.index) == place
        light = light_of(next(container.decode(stream)))
        got = [float(value) for value in (*(light.primaries or ()), *(light.luminance or ()))]
        assert got == pytest.approx([float(value) for value in (*(LIGHT.primaries or ()), *(LIGHT.luminance or ()))])
        assert (light.max_cll, light.max_fall) == (900, 300)
    with av.open(str(film)) as container:
        assert [(p.stream_index, p.pts, bytes(p)) for p in container.demux() if p.size] == before


def test_files_built_otherwise_are_left_alone(film: Path, tmp_path: Path) -> None:
    def completed(path: Path) -> bool:
        return complete_header(
            path, size=(64, 48), sample_aspect_ratio=Fraction(1), chroma_location=None, light=Light(), title=None
        )

    assert completed(film)
    content = film.read_bytes()
    assert not completed(film)  # there is no placeholder any more
    assert film.read_bytes() == content
    for name, data in {"empty": b"", "cut": content[:100], "other": b"\0" * 500, "short": content[:48]}.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert not completed(path)
        assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((640, 480), Fraction(1), (640, 480)),
        ((640, 480), Fraction(32, 27), (768, 486)),
        ((720, 576), Fraction(16, 15), (768, 576)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((1, 1), Fraction(1), (1, 1)),
    ],
)
def test_displayed_size_has_exactly_the_aspect_ratio(
    size: tuple[int, int], ratio: Fraction, expected: tuple[int, int]
) -> None:
    width, height = displayed_size(size, ratio)
    assert (width, height) == expected
    assert Fraction(width, height) == Fraction(*size) * ratio
    assert width >= size[0]
    assert height >= size[1]
