from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from mafdn.errors import PictureError, UsageError
from mafdn.film.options import FilmOptions
from mafdn.film.output import plan as module
from mafdn.film.output.plan import FilmPlan, plan_film
from mafdn.film.source.reader import open_film
from mafdn.pictures.limits import Limits
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.size import Size
from tests.film.chain import convert
from tests.film.films import CASES, FULL, Film, Sound, case, make


def planned(path: Path, options: FilmOptions | None = None, *, target: str | None = None) -> FilmPlan:
    options = options or FilmOptions()
    with open_film(path, options) as film:
        return plan_film(film.info, options, scale=2, target=None if target is None else path.with_name(target))


@pytest.mark.parametrize(
    ("name", "container", "encoder", "pixel_format"),
    [
        ("plain", "mp4", "x264", "yuv420p"),
        ("rotated in mov", "mov", "x264", "yuv420p"),
        ("vfr in mkv", "mkv", "x264", "yuv420p"),
        ("webm", "webm", "av1", "yuv420p"),
        ("transport stream", "ts", "x264", "yuv420p"),
        ("avi", "mkv", "x264", "yuv420p"),
        ("mpeg-2", "mkv", "x264", "yuv420p"),
        ("bt2020 pq", "mp4", "x265", "yuv420p10le"),
        ("4:2:2", "mkv", "x264", "yuv422p"),
        ("prores", "mov", "x265", "yuv422p10le"),
        ("odd size", "mkv", "x264", "yuv444p"),
        ("grey", "mkv", "x264", "yuv420p"),
        ("rgb", "mkv", "x264", "yuv444p"),
    ],
)
def test_container_encoder_and_format_follow_the_film(
    name: str, container: str, encoder: str, pixel_format: str, tmp_path: Path
) -> None:
    plan = planned(case(tmp_path, name))
    assert (plan.container, plan.encoder.name, plan.encoder.pixel_format) == (container, encoder, pixel_format)
    told = f"the result is written as mkv, because the format of {tmp_path}"
    assert any(note.startswith(told) for note in plan.notes) == (name in ("avi", "mpeg-2"))


@pytest.mark.parametrize(
    ("name", "pixel_format"), [("grey", "gray"), ("rgb", "bgr0"), ("prores", "yuv422p10le"), ("plain", "yuv420p")]
)
def test_ffv1_stores_what_the_film_has(name: str, pixel_format: str, tmp_path: Path) -> None:
    plan = planned(case(tmp_path, name), FilmOptions(codec="ffv1"))
    assert plan.encoder.pixel_format == pixel_format
    assert plan.container == ("mov" if name == "prores" else "mkv")
    assert not any("bits" in note or "RGB" in note for note in plan.notes)


def test_what_an_encoder_cannot_store_is_said(tmp_path: Path) -> None:
    notes = planned(case(tmp_path, "rgb"), FilmOptions(codec="av1")).notes
    assert any("RGB colors, which are stored as YCbCr" in note for note in notes)
    assert any("half the resolution" in note for note in notes)
    notes = planned(case(tmp_path, "rgb"), FilmOptions(codec="x264")).notes
    assert any(note.startswith("not all players show colors at full resolution") for note in notes)
    notes = planned(case(tmp_path, "4:2:2"), FilmOptions(codec="av1")).notes
    assert any("half the resolution" in note for note in notes)


def test_a_name_decides_the_container(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4", Film(frames=2))
    for name, container in (("a.MKV", "mkv"), ("a.m4v", "mp4"), ("a.qt", "mov"), ("a.m2ts", "ts"), ("a.webm", "webm")):
        assert planned(path, target=name).container == container
    assert planned(path, FilmOptions(container="mkv")).container == "mkv"
    with pytest.raises(UsageError, match=r"a\.avi is not a name for a film; let it end in \.m2ts, "):
        planned(path, target="a.avi")
    with pytest.raises(UsageError, match=r"a\.mkv is a name for mkv, not for mp4"):
        planned(path, FilmOptions(container="mp4"), target="a.mkv")
    with pytest.raises(UsageError, match="webm cannot hold x264; choose av1, or mkv"):
        planned(path, FilmOptions(codec="x264"), target="a.webm")
    with pytest.raises(UsageError, match="crf must be between 0 and 51 for x264, not 60"):
        planned(path, FilmOptions(crf=60))


def test_sound_is_never_lost_to_a_container_that_was_asked_for(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4", Film(frames=2, sounds=(Sound(),)))
    with pytest.raises(UsageError, match=r"webm cannot hold stream 1 of .*film\.mp4 \(audio aac\); choose mkv"):
        planned(path, target="a.webm")


def test_what_is_converted_or_left_out_is_said_before(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mkv", FULL)
    plan = planned(path, target="a.mp4")
    assert dict(plan.ways) == {1: "copy", 2: "copy", 3: "convert", 4: "convert"}
    assert [note for note in plan.notes if "stream" in note] == [
        f"stream 3 of {path} (subtitle subrip) will be converted, because mp4 cannot hold it as it is",
        f"stream 4 of {path} (subtitle subrip) will be converted, because mp4 cannot hold it as it is",
        f"stream 5 of {path} (attachment notes.txt) is left out, because mp4 cannot hold it",
    ]


@pytest.mark.parametrize(
    ("size", "codec", "expected"),
    [
        (Size(scale=2), "x264", (132, 100)),
        (Size(scale=2.5), "x264", (164, 124)),
        (Size(scale=2.5), "ffv1", (163, 123)),
        (Size(width=131), "x264", (130, 98)),
        (Size(height=98), "x265", (128, 98)),
    ],
)
def test_sizes_are_even_where_the_format_needs_it(
    size: Size, codec: str, expected: tuple[int, int], tmp_path: Path
) -> None:
    path = make(tmp_path / "film.mkv", Film(frames=1, size=(66, 50), codec="ffv1", settings={}))
    if size.scale == 2.5:
        path = make(tmp_path / "odd.mkv", Film(frames=1, size=(65, 49), codec="ffv1", settings={}))
    plan = planned(path, FilmOptions(codec=codec, upscale=UpscaleOptions(size=size)))
    assert plan.size == expected
    changed = any("its format needs even sizes" in note for note in plan.notes)
    assert changed == (expected not in ((132, 100), (163, 123)))


def test_widths_are_meant_as_displayed(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4", Film(frames=1, rotation=90, size=(64, 48)))
    plan = planned(path, FilmOptions(upscale=UpscaleOptions(size=Size(width=96))))
    assert plan.size == (128, 96)


def test_display_matrices_keep_within_what_can_be_stored() -> None:
    matrix = (65536, 0, 0, 0, 65536, 0, 1_500_000_000, -1_500_000_000, 2**30)
    moved = module._moved(matrix, Fraction(2))
    assert moved == (*matrix[:6], 2**31 - 1, -(2**31 - 1), 2**30)
    assert module._moved((0, 65536, 0, -65536, 0, 0, 48, 0, 2**30), Fraction(2)) == (
        *(0, 65536, 0, -65536, 0, 0, 96, 0),
        2**30,
    )


def test_results_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4", Film(frames=1))
    options = FilmOptions(upscale=UpscaleOptions(limits=Limits(pixels=10_000)))
    with pytest.raises(PictureError, match=r"would become 128x96 pixels"):
        planned(path, options)


@pytest.mark.parametrize(
    ("codec", "size", "rotation", "told"),
    [
        ("x264", (2050, 100), 0, "few players show H.264 of 4100x200 pixels; use the codec x265, or fit 3840x2160"),
        ("x264", (2050, 100), 90, "few players show H.264 of 200x4100 pixels; use the codec x265, or fit 2160x3840"),
        ("x265", (2050, 100), 0, None),
        ("x264", (2048, 100), 0, None),
    ],
)
def test_sizes_that_few_players_show_are_noted(
    codec: str, size: tuple[int, int], rotation: int, told: str | None, tmp_path: Path
) -> None:
    path = make(tmp_path / "film.mp4", Film(frames=1, size=size, rotation=rotation))
    notes = [note for note in planned(path, FilmOptions(codec=codec)).notes if "players" in note]
    assert notes == ([] if told is None else [told])


@pytest.mark.parametrize(
    ("lines", "primaries", "matrix"), [(576, 5, 6), (480, 6, 6), (360, 1, 6), (720, 1, 1), (1080, 1, 1)]
)
def test_assumed_colors_are_tagged_because_the_result_has_more_lines(
    lines: int, primaries: int, matrix: int, tmp_path: Path
) -> None:
    path = make(tmp_path / "film.mkv", Film(size=(32, lines), frames=1, codec="mpeg4", settings={}))
    color = planned(path).color
    assert (color.matrix_tag, color.primaries, color.full_range) == (matrix, primaries, False)


def test_plans_of_equal_films_are_equal(tmp_path: Path) -> None:
    path = case(tmp_path, "everything")
    assert repr(planned(path)) == repr(planned(path))
    assert planned(path).sample_aspect_ratio == Fraction(1)


@pytest.mark.parametrize("options", [{"codec": "x264", "crf": 23.5, "preset": "slow"}, {"codec": "av1", "crf": 30}])
def test_quality_and_preset_reach_the_encoder(options: dict[str, Any], tmp_path: Path) -> None:
    settings = dict(planned(make(tmp_path / "film.mkv", Film(frames=1)), FilmOptions(**options)).encoder.settings)
    assert settings["crf"] == f"{options['crf']:g}"
    assert settings["preset"] == {"x264": "slow", "av1": "8"}[options["codec"]]


def test_every_case_has_a_plan(tmp_path: Path) -> None:
    for name in CASES:
        plan = planned(case(tmp_path, name))
        assert plan.width % 2 == plan.height % 2 == 0


def test_streams_without_a_decoder_are_said_to_be_left_out(tmp_path: Path) -> None:
    """Teletext, as transport streams of television have it."""
    source = make(tmp_path / "source.ts", Film(frames=5))
    path = tmp_path / "film.ts"
    with av.open(str(source)) as read, av.open(str(path), "w") as written:
        video = written.add_stream_from_template(read.streams.video[0], opaque=True)
        text = written.add_mux_stream("dvb_teletext")
        text.time_base = Fraction(1, 90_000)
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                page = av.Packet(b"\x10" + bytes(46))
                page.stream, page.time_base, page.pts, page.dts = text, packet.time_base, packet.pts, packet.pts
                packet.stream = video
                written.mux(packet)
                written.mux(page)
    note = f"stream 1 of {path} (subtitle of an unknown kind) is left out, because its codec is not supported"
    assert note in planned(path).notes
    target, _, _ = convert(path, tmp_path)
    assert target.suffix == ".ts"
