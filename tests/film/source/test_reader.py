"""Films are read as FFmpeg's own program reads them, and every part from `start` on is the same each time."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mafdn.errors import DamagedError, PictureError, UnsupportedError, UsageError
from mafdn.film.frame import FilmFrame
from mafdn.film.options import FilmOptions
from mafdn.film.source.reader import open_film
from mafdn.pictures.limits import Limits
from mafdn.upscaling.options import UpscaleOptions
from tests.film import oracle
from tests.film.films import BT601, CASES, FIELDS, FULL, Film, Sound, broken, case, decoded, interlaced, make, shown_by


def frames_of(path: Path, options: FilmOptions | None = None, start: int = 0) -> list[FilmFrame]:
    with open_film(path, options) as film:
        return list(film.frames(start))


@oracle.needs_ffprobe
@pytest.mark.parametrize(
    "name", ["29.97", "vfr", "vfr in mkv", "b-frames", "open gop", "one frame", "start offset", "transport stream"]
)
def test_time_stamps_are_those_of_the_film(name: str, tmp_path: Path) -> None:
    path = case(tmp_path, name)
    with open_film(path) as film:
        got = list(film.frames())
        unit = film.info.time_base
        assert not film.notes
    shown = oracle.frames(path)
    assert [frame.number for frame in got] == list(range(len(shown)))
    assert [frame.pts * unit for frame in got] == [one.begin for one in shown]
    for frame, one in zip(got, shown, strict=True):
        assert frame.duration is None or one.duration is None or frame.duration * unit == one.duration


@pytest.mark.parametrize("start", [1, 13, 39])
@pytest.mark.parametrize("name", ["open gop", "b-frames"])
def test_a_later_start_gives_the_same_frames(name: str, start: int, tmp_path: Path) -> None:
    path = case(tmp_path, name)
    whole, rest = frames_of(path), frames_of(path, start=start)
    assert [frame.number for frame in rest] == list(range(start, len(whole)))
    for one, other in zip(whole[start:], rest, strict=True):
        assert (one.pts, one.duration) == (other.pts, other.duration)
        assert np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(("start", "end"), [(0.5, 1.1), (None, 0.3), (1.2, None), (0.0, 0.04)])
def test_a_part_has_the_frames_that_begin_in_it(
    ending: str, start: float | None, end: float | None, tmp_path: Path
) -> None:
    film = Film(frames=40, settings={"bf": "3", "g": "10", "x264-params": "open-gop=1"}, colors=BT601)
    path = make(tmp_path / f"film.{ending}", film)
    whole = frames_of(path)
    with open_film(path, FilmOptions(start=start, end=end)) as source:
        part = list(source.frames())
        begin, unit = source.info.start_pts * source.info.time_base, source.info.time_base
        count = source.info.frame_count
    inside = [
        frame
        for frame in whole
        if (start is None or frame.pts * unit >= begin + Fraction(str(start)))
        and (end is None or frame.pts * unit < begin + Fraction(str(end)))
    ]
    assert inside
    assert [frame.pts for frame in part] == [frame.pts for frame in inside]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(part, inside, strict=True))
    assert count is not None
    assert abs(count - len(part)) <= 1


def test_all_that_is_known_about_a_film(tmp_path: Path) -> None:
    with open_film(case(tmp_path, "everything")) as film:
        info = film.info
    assert (info.size, info.codec, info.frame_count, info.chapters) == ((64, 48), "h264", 25, 2)
    kinds = [(stream.kind, stream.codec, stream.language, stream.title) for stream in info.streams]
    assert kinds == [
        ("video", "h264", "fra", None),
        ("audio", "aac", "eng", "Stereo"),
        ("audio", "aac", "jpn", "Commentary"),
        ("subtitle", "subrip", "deu", None),
        ("subtitle", "subrip", "spa", None),
        ("attachment", "notes.txt", None, None),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bt601", {"matrix": 6, "primaries": 6, "transfer": 6, "bits": 8, "full_range": False}),
        ("bt709", {"matrix": 1, "primaries": 1, "transfer": 1, "chroma_location": "left"}),
        ("bt2020 pq", {"matrix": 9, "primaries": 9, "transfer": 16, "bits": 10, "subsampling": (1, 1)}),
        ("full range", {"matrix": 1, "full_range": True}),
        ("untagged", {"matrix": 6, "matrix_tag": 2}),
        ("4:2:2", {"subsampling": (1, 0)}),
        ("grey", {"kind": "gray", "bits": 8}),
        ("rgb", {"kind": "rgb", "matrix": 0, "full_range": True}),
        ("raw", {"chroma_location": "center"}),
        ("prores", {"bits": 10, "subsampling": (1, 0)}),
    ],
)
def test_colors_are_those_that_the_film_states(name: str, expected: dict[str, object], tmp_path: Path) -> None:
    with open_film(case(tmp_path, name)) as film:
        color = film.info.color
    assert {key: getattr(color, key) for key in expected} == expected


@pytest.mark.parametrize(("lines", "matrix"), [(718, 6), (720, 1)])
def test_untagged_colors_go_by_the_number_of_lines(lines: int, matrix: int, tmp_path: Path) -> None:
    path = make(tmp_path / "film.mkv", Film(size=(64, lines), frames=1, codec="mpeg4", settings={}))
    with open_film(path) as film:
        assert film.info.color.matrix == matrix
        standard = "BT.601" if matrix == 6 else "BT.709"
        assert film.info.notes == (f"{path} does not say its color matrix; {standard} is assumed for {lines} lines",)


def test_rotation_and_shape_of_pixels(tmp_path: Path) -> None:
    with open_film(make(tmp_path / "a.mp4", Film(rotation=-90, aspect=Fraction(32, 27), size=(72, 48)))) as film:
        assert (film.info.rotation, film.info.sample_aspect_ratio) == (-90, Fraction(32, 27))
        assert film.info.size == (72, 48)
        assert film.info.display_matrix is not None
        assert film.info.display_matrix[1] == 65_536


def test_interlaced_films_are_refused_or_deinterlaced(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "film.mkv")
    with pytest.raises(UnsupportedError, match=r"film\.mkv is interlaced: .*deinterlace them"):
        open_film(path)
    plain = decoded(path, form="rgb24")
    got = frames_of(path, FilmOptions(deinterlace=True))
    assert len(got) == len(plain)
    for frame, woven in zip(got[1:-1], plain[1:-1], strict=True):
        rows = woven.astype(np.int32)
        combed = np.abs(rows[2:-2:2] - (rows[1:-3:2] + rows[3:-1:2]) // 2).mean()
        smooth = frame.pixels.astype(np.int32)
        rest = np.abs(smooth[2:-2:2] - (smooth[1:-3:2] + smooth[3:-1:2]) // 2).mean()
        assert rest < combed
    with av.open(str(path)) as container:
        times = [frame.pts for frame in container.decode(video=0)]
    assert [frame.pts for frame in got] == times


UNEVEN = tuple(sum(40 + 10 * (number % 4) for number in range(end)) for end in range(24))
"""Time stamps of a film of variable frame rate, in milliseconds."""


def ranks_of_moments(frames: list[FilmFrame]) -> list[int]:
    """For each frame, the number of the moment that it is most alike."""
    moments = np.stack(shown_by(FIELDS)).astype(np.float32)
    return [int(np.abs(moments - frame.pixels).mean((1, 2, 3)).argmin()) for frame in frames]


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("moments", [None, UNEVEN], ids=["constant", "variable"])
def test_each_field_becomes_a_frame(top_first: bool, moments: tuple[int, ...] | None, tmp_path: Path) -> None:
    unit = None if moments is None else Fraction(1, 1000)
    path = interlaced(tmp_path / "film.mkv", top_first=top_first, moments=moments, time_base=unit)
    options = FilmOptions(deinterlace="fields")
    with open_film(path, options) as film:
        info, frames, part = film.info, list(film.frames()), list(film.frames(17))
    plain = frames_of(path, FilmOptions(deinterlace=True))
    assert len(frames) == 2 * len(plain) == 48
    assert info.frame_count == pytest.approx(48, rel=0.4)
    assert info.time_base == Fraction(1, 2000)
    ends = [2 * frame.pts for frame in plain[1:]] + [2 * plain[-1].pts + 2 * (plain[-1].duration or 0)]
    for number, (whole, end) in enumerate(zip(plain, ends, strict=True)):
        first, second = frames[2 * number : 2 * number + 2]
        assert (first.pts, second.pts) == (2 * whole.pts, whole.pts + end // 2)
        assert abs(first.seconds - whole.seconds) < 1e-9
    assert ranks_of_moments(frames[2:-2]) == list(range(2, 46))
    assert [frame.pts for frame in part] == [frame.pts for frame in frames[17:]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(part, frames[17:], strict=True))
    with open_film(path, FilmOptions(deinterlace="fields", start=0.1, end=0.3)) as film:
        selected = [frame.seconds for frame in film.frames()]
    assert selected == [frame.seconds for frame in frames if 0.1 <= frame.seconds < 0.3]


def test_rates_of_fields_are_twice_those_of_frames(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "film.mkv")
    with open_film(path, FilmOptions(deinterlace="fields")) as film:
        assert (film.info.average_rate, film.info.nominal_rate, film.info.frame_count) == (50, 50, 48)
    with open_film(case(tmp_path, "bt709"), FilmOptions(deinterlace="fields")) as film:
        assert (film.info.average_rate, film.info.nominal_rate, film.info.frame_count) == (25, 25, 24)


@pytest.mark.parametrize(("order", "top_first"), [("tt", True), ("bb", False), ("tb", False), ("bt", True)])
def test_the_order_of_fields_is_that_of_the_container_if_frames_state_none(
    order: str, top_first: bool, tmp_path: Path
) -> None:
    path = tmp_path / "film.mkv"
    coding: dict[str, Any] = {"codec": "ffv1", "settings": {"field_order": order}, "colors": BT601, "order": ""}
    frames = frames_of(interlaced(path, top_first=top_first, **coding), FilmOptions(deinterlace="fields"))
    assert ranks_of_moments(frames[2:-2]) == list(range(2, 46))


@pytest.mark.parametrize(("way", "count"), [(True, 74), ("fields", 98)])
def test_frames_that_are_interlaced_later_are_deinterlaced(way: Any, count: int, tmp_path: Path) -> None:
    early, late = make(tmp_path / "a.ts", Film(frames=50, size=(96, 64))), interlaced(tmp_path / "b.ts")
    path = tmp_path / "film.ts"
    path.write_bytes(early.read_bytes() + late.read_bytes())
    with open_film(path) as film:
        assert len(list(film.frames())) == 74
        assert any("24 interlaced frames in between; the option deinterlace" in note for note in film.notes)
    with open_film(path, FilmOptions(deinterlace=way)) as film:
        frames = list(film.frames())
        assert not any("interlaced" in note for note in film.notes)
    assert len(frames) == count
    assert all(b.pts > a.pts for a, b in pairwise(frames))
    if way == "fields":
        assert ranks_of_moments(frames[52:-2]) == list(range(2, 46))


def test_progressive_films_are_not_changed_by_deinterlacing(tmp_path: Path) -> None:
    path = case(tmp_path, "bt709")
    plain = frames_of(path)
    for way in (True, "fields"):
        asked = frames_of(path, FilmOptions(deinterlace=way))
        assert [frame.seconds for frame in asked] == [frame.seconds for frame in plain]
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(plain, asked, strict=True))


def test_damaged_parts_are_skipped_and_said_and_the_rest_is_the_same_each_time(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mkv", replace(FULL, frames=80, size=(160, 120)))
    broken(path, length=3000)
    with open_film(path) as film:
        first = list(film.frames())
        assert any("is damaged" in note for note in film.notes)
        again = list(film.frames(20))
    assert 60 <= len(first) <= 80
    assert [frame.pts for frame in first] == sorted({frame.pts for frame in first})
    assert [(f.number, f.pts) for f in again] == [(f.number, f.pts) for f in first[20:]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(again, first[20:], strict=True))


def test_a_film_that_ends_early_is_used_up_to_there_and_said(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mkv", Film(frames=60, sounds=(Sound(seconds=Fraction(2)),)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_film(path) as film:
        count = len(list(film.frames()))
        assert 10 < count < 50
        expected = f"{path} ends {(60 - count) / 25:.1f} s earlier than it says; it is incomplete"
        assert [note for note in film.notes if "incomplete" in note] == [expected]


def test_only_the_first_of_joined_flv_files_is_read_with_a_note(tmp_path: Path) -> None:
    one = make(tmp_path / "one.flv", Film(frames=6, sounds=(Sound(),)))
    joined = tmp_path / "joined.flv"
    joined.write_bytes(one.read_bytes() * 2)
    note = f"{joined} is several FLV files one after the other; only the first one is upscaled"
    for path, notes in ((one, []), (joined, [note])):
        with open_film(path) as film:
            assert len(list(film.frames())) == 6
            assert film.notes == notes


def test_files_that_are_not_films(tmp_path: Path) -> None:
    film = make(tmp_path / "real.mp4")
    sound = tmp_path / "sound.mkv"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("flac", rate=48_000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
        silence.sample_rate = 48_000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(UnsupportedError, match=r"sound\.mkv has no video; give a film"):
        open_film(sound)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(PictureError, match=r"folder\.mp4 is not a regular file"):
        open_film(tmp_path / "folder.mp4")
    with pytest.raises(PictureError, match=r"none\.mp4 is missing"):
        open_film(tmp_path / "none.mp4")
    contents = {
        "empty": b"",
        "text": b"not a film\n" * 100,
        "cut": film.read_bytes()[:1000],
        "list": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{film}\n#EXT-X-ENDLIST\n".encode(),
        "concat": f"ffconcat version 1.0\nfile '{film}'\n".encode(),
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=f"{name}.mp4") as caught:
            open_film(path)
        assert "\n" not in str(caught.value)


def test_frames_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4")
    options = FilmOptions(upscale=UpscaleOptions(limits=Limits(pixels=64 * 48 - 1)))
    with pytest.raises(PictureError, match=r"film\.mp4"):
        open_film(path, options)


def test_names_are_not_taken_for_addresses(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4").rename(tmp_path / "http:0.0.0.0%d?x.mp4")
    assert len(frames_of(path)) == 24


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    with open_film(make(tmp_path / "film.mp4")) as film:
        running = film.frames()
        next(running)
    with pytest.raises(StopIteration):
        next(running)


def test_every_case_is_read(tmp_path: Path) -> None:
    for name in CASES:
        path = case(tmp_path, name)
        for frame, expected in zip(frames_of(path), decoded(path, form="rgb24"), strict=True):
            assert frame.pixels.shape == expected.shape
            white = 255 if frame.pixels.dtype == np.uint8 else 65_535
            assert abs(float(frame.pixels.mean()) / white - float(expected.mean()) / 255) < 0.06, name


def test_a_part_after_the_end_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4")
    with open_film(path, FilmOptions(start=50)) as film:
        frames = film.frames()
        with pytest.raises(UsageError, match=r"film\.mp4 has no frame in the selected part; choose an earlier start"):
            next(frames)


@pytest.mark.parametrize(
    ("start", "end", "other"), [(None, 3, "a later end"), (1, 3, "another part"), (7, None, "an earlier start")]
)
def test_a_part_without_a_frame_is_refused_though_the_film_is_intact(
    start: float | None, end: float | None, other: str, tmp_path: Path
) -> None:
    """The sound begins at 0 s, the video at 5 s."""
    path = make(tmp_path / "film.mkv", Film(moments=tuple(range(125, 149)), sounds=(Sound(),)))
    with open_film(path, FilmOptions(start=start, end=end)) as film:
        frames = film.frames()
        with pytest.raises(UsageError, match=rf"film\.mkv has no frame in the selected part; choose {other}$"):
            next(frames)
