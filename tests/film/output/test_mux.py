"""The result of a film compared with the film, by an independent program where there is one."""

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from mafdn.errors import DamagedError, EncodeError
from mafdn.film.frame import turned
from mafdn.film.options import FilmOptions
from mafdn.film.output.mux import join
from mafdn.film.output.plan import plan_film
from mafdn.film.source.reader import open_film
from tests.film import oracle
from tests.film.chain import convert, doubled, segments_of
from tests.film.films import BT601, FULL, VFR, Film, Sound, Text, chart, make

LONG = Film(
    frames=60,
    settings={"bf": "3", "g": "12"},
    colors=BT601,
    sounds=(Sound(seconds=Fraction(3)), Sound(language="jpn", title="Commentary", seconds=Fraction(2))),
)


def shown(path: Path, stream: str) -> list[oracle.Shown]:
    return oracle.packets(path, stream)[0]


def hashes(path: Path, stream: str) -> list[str]:
    return oracle.packets(path, stream)[1]


def shifted(path: Path, stream: str) -> Fraction:
    """When the first frame or packet of a stream is shown."""
    return min(one.begin for one in (oracle.frames(path) if stream == "v:0" else shown(path, stream)))


def sound_of(path: Path, number: int) -> list[bytes]:
    """The packets of a track of AAC, without the headers that they have in transport streams."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(container.streams.audio[number]) if packet.size]
    return [packet[7:] if packet[:2] == b"\xff\xf1" else packet for packet in packets]


def check_sound_and_times(source: Path, target: Path, *, sounds: int = 1) -> None:
    """Sound has the same bytes and is as far from the picture as before, to a millisecond, from begin to end."""
    offset = shifted(target, "v:0") - shifted(source, "v:0")
    pictures = [(a.begin + offset, b.begin) for a, b in zip(oracle.frames(source), oracle.frames(target), strict=True)]
    assert max(abs(a - b) for a, b in pictures) <= Fraction(1, 1000)
    for number in range(sounds):
        stream = f"a:{number}"
        assert sound_of(source, number) == sound_of(target, number)
        times = zip(shown(source, stream), shown(target, stream), strict=True)
        assert max(abs(a.begin + offset - b.begin) for a, b in times) <= Fraction(3, 2000)


ALL = [(start, end) for start in ("mp4", "mkv", "ts") for end in ("mp4", "mov", "mkv", "ts")]
FAST = [("mp4", "mp4"), ("mp4", "mkv"), ("ts", "ts")]


@oracle.needs_ffprobe
@pytest.mark.parametrize(
    ("source_ending", "ending"),
    [pytest.param(*pair, marks=[] if pair in FAST else pytest.mark.slow) for pair in ALL],
)
def test_sound_stays_in_sync_in_every_container(source_ending: str, ending: str, tmp_path: Path) -> None:
    source = make(tmp_path / f"film.{source_ending}", LONG)
    target, _, _ = convert(source, tmp_path, target=tmp_path / f"result.{ending}")
    check_sound_and_times(source, target, sounds=2)
    before, after = oracle.probe(source), oracle.probe(target)
    assert after.kinds() == before.kinds()
    ends = [one.duration + one.start * (one.format == "mpegts") for one in (before, after)]
    offset = shifted(target, "v:0") - shifted(source, "v:0")
    assert abs(ends[0] + offset - ends[1]) < 0.05
    languages = [stream.tags.get("language") for stream in after.streams if stream.kind == "audio"]
    assert languages == ["eng", "jpn"]


@oracle.needs_ffprobe
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_films_that_begin_late_and_vary_in_rate(ending: str, tmp_path: Path) -> None:
    moments = tuple(700 + moment for moment in VFR)
    film = Film(frames=12, moments=moments, time_base=Fraction(1, 1000), sounds=(Sound(seconds=Fraction(3)),))
    source = make(tmp_path / f"film.{ending}", film)
    target, _, info = convert(source, tmp_path, length=5)
    check_sound_and_times(source, target)
    assert shifted(target, "v:0") == shifted(source, "v:0")
    assert info.path == source


@oracle.needs_ffprobe
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_edit_lists_are_respected(ending: str, tmp_path: Path) -> None:
    """A film cut without encoding again: its first key frame and the sound before the cut are hidden."""
    whole = make(tmp_path / "whole.mp4", replace(LONG, sounds=LONG.sounds[:1], settings={"g": "50"}))
    source = tmp_path / "film.mp4"
    with av.open(str(whole)) as read, av.open(str(source), "w") as written:
        copies = {s.index: written.add_stream_from_template(s, opaque=True) for s in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                cut = round(Fraction(1) / packet.time_base)
                packet.pts, packet.dts = (packet.pts or 0) - cut, packet.dts - cut
                packet.stream = copies[packet.stream_index]
                written.mux(packet)
    target, _, _ = convert(source, tmp_path, target=tmp_path / f"result.{ending}")
    frames = oracle.frames(source)
    assert len(frames) == 35
    assert frames[0].begin == 0
    assert len(oracle.frames(target)) == 35
    # What is heard when the first frame is shown is the same.
    sounds = [p for p in shown(source, "a:0") if p.begin >= 0]
    with_times = dict(zip(hashes(source, "a:0"), shown(source, "a:0"), strict=True))
    result = dict(zip(hashes(target, "a:0"), shown(target, "a:0"), strict=True))
    assert len(result) >= len(sounds)
    offset = shifted(target, "v:0")
    assert max(abs(with_times[name].begin + offset - one.begin) for name, one in result.items()) < Fraction(2, 1000)


@oracle.needs_ffprobe
def test_everything_else_is_as_it_was(tmp_path: Path) -> None:
    source = make(tmp_path / "film.mkv", FULL)
    target, plan, _ = convert(source, tmp_path)
    assert plan.container == "mkv"
    before, after = oracle.probe(source), oracle.probe(target)
    assert after.kinds() == before.kinds()
    assert [s.tags for s in after.streams] == [s.tags for s in before.streams]
    assert [s.disposition for s in after.streams] == [s.disposition for s in before.streams]
    assert after.chapters == before.chapters
    assert after.tags["title"] == "A test"
    for stream in ("s:0", "s:1"):
        assert hashes(target, stream) == hashes(source, stream)
        assert shown(target, stream) == shown(source, stream)
    with av.open(str(target)) as container:
        attached: Any = next(s for s in container.streams if s.type == "attachment")
        assert attached.data == b"kept as it is"


@oracle.needs_ffprobe
def test_a_part_begins_at_zero_with_its_sound_subtitles_and_chapters(tmp_path: Path) -> None:
    texts = (Text(lines=((0.1, 0.4, "early"), (0.9, 1.5, "into"), (1.6, 2.0, "within"), (2.4, 2.8, "late"))),)
    chapters = ((0, 1.2, "One"), (1.2, 1.8, "Two"), (1.8, 3, "Three"))
    source = make(tmp_path / "film.mkv", replace(LONG, texts=texts, chapters=chapters))
    target, _, _ = convert(source, tmp_path, FilmOptions(start=1, end=2.2))
    frames = oracle.frames(target)
    assert len(frames) == 30
    assert frames[0].begin < Fraction(1, 25)
    found = oracle.probe(target)
    assert found.chapters == ((0, 0.2, "One"), (0.2, 0.8, "Two"), (0.8, 1.2, "Three"))
    said = [(float(one.begin), float(one.duration or 0)) for one in shown(target, "s:0")]
    assert [begin for begin, _ in said] == pytest.approx([0, 0.6], abs=0.002)
    assert [length for _, length in said] == pytest.approx([0.5, 0.4], abs=0.002)
    wanted = [
        (name, one.begin)
        for name, one in zip(hashes(source, "a:0"), shown(source, "a:0"), strict=True)
        if 1 <= one.begin < Fraction(11, 5)
    ]
    got = list(zip(hashes(target, "a:0"), shown(target, "a:0"), strict=True))
    assert [name for name, _ in got] == [name for name, _ in wanted]
    assert max(abs(one.begin + 1 - begin) for (_, one), (_, begin) in zip(got, wanted, strict=True)) < Fraction(1, 500)


@pytest.mark.parametrize(("start", "end"), [("mp4", "mkv"), ("mkv", "mp4"), ("mkv", "webm")])
def test_text_subtitles_are_converted_to_what_a_container_holds(start: str, end: str, tmp_path: Path) -> None:
    text = Text(lines=((0.1, 0.4, "One"), (0.5, 0.9, "Zwei\nZeilen")), codec="mov_text" if start == "mp4" else "subrip")
    source = make(tmp_path / f"film.{start}", Film(texts=(text,), frames=25))
    options = FilmOptions(codec="av1") if end == "webm" else None
    target, _, _ = convert(source, tmp_path, options, target=tmp_path / f"result.{end}")
    with av.open(str(target)) as container:
        stream = container.streams.subtitles[0]
        assert stream.metadata["language"] == "deu"
        assert stream.codec_context.name == {"mkv": "srt", "mp4": "mov_text", "webm": "webvtt"}[end]
        said: list[tuple[float, str]] = []
        for packet in container.demux(stream):
            lines: list[Any] = list(stream.decode(packet)) if packet.size else []
            for line in lines:
                assert packet.pts is not None
                text = line.dialogue.decode()  # codespell:ignore dialogue
                said.append((round(float(packet.pts * packet.time_base), 2), text))
    assert said == [(0.1, "One"), (0.5, "Zwei\nZeilen")]


@pytest.mark.parametrize("start", ["mp4", "mkv"])
@pytest.mark.parametrize("end", ["mp4", "mkv"])
def test_covers_are_kept(start: str, end: str, tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.mp4", Film(frames=5))
    file = io.BytesIO()
    Image.fromarray(chart((32, 24))).save(file, "png")
    cover = file.getvalue()
    source = tmp_path / f"film.{start}"
    with av.open(str(plain)) as read, av.open(str(source), "w") as written:
        video = written.add_stream_from_template(read.streams.video[0], opaque=True)
        if start == "mkv":
            written.add_attachment("cover.png", "image/png", cover)
        else:
            picture = written.add_stream("png", rate=1, width=32, height=24)
            picture.pix_fmt = "rgb24"
            picture.disposition = Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(chart((32, 24)), format="rgb24")
            cover = bytes(picture.encode(frame)[0])
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts = picture, 0, 0
            written.mux(packet)
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                packet.stream = video
                written.mux(packet)
    target, _, info = convert(source, tmp_path, target=tmp_path / f"result.{end}")
    assert info.size == (64, 48)
    with av.open(str(target)) as container:
        pictures = [s for s in container.streams if s.disposition & Disposition.attached_pic]
        assert len(pictures) == 1
        assert bytes(next(container.demux(pictures[0]))) == cover


def test_an_existing_result_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    source = make(tmp_path / "film.mp4", Film(frames=4))
    options = FilmOptions()
    with open_film(source) as film:
        plan = plan_film(film.info, options, scale=2)
        segments = segments_of(list(film.frames()), film.info, plan, tmp_path)
        info = film.info
    target = tmp_path / "result.mp4"
    target.write_bytes(b"old")
    missing = tmp_path / "missing.nut"
    missing.write_bytes(b"not a segment")
    with pytest.raises(DamagedError, match=r"cannot read .*missing\.nut: .*; remove it, and start again"):
        join(info, [*segments, missing], target, plan=plan, options=options)
    assert target.read_bytes() == b"old"
    with pytest.raises(EncodeError, match=r"cannot write .*/none/x\.mp4: No such file or directory"):
        join(info, segments, tmp_path / "none" / "x.mp4", plan=plan, options=options)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".mp4", ".mp4", ".nut", ".nut"]
    progress: list[tuple[int, int]] = []
    assert join(info, segments, target, plan=plan, options=options, on_progress=lambda *p: progress.append(p)) == 4
    assert progress[-1][0] == progress[-1][1] == sum(path.stat().st_size for path in segments)
    assert target.stat().st_size > 100


@pytest.mark.parametrize("codec", ["x264", "x265", "av1", "ffv1"])
def test_where_segments_end_does_not_show(codec: str, tmp_path: Path) -> None:
    """Times of decoding increase over the borders, and a player sees every frame once."""
    source = make(tmp_path / "film.mkv", Film(frames=33, colors=BT601))
    target, _, _ = convert(source, tmp_path, FilmOptions(codec=codec), length=8)
    with av.open(str(target)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
        assert len(packets) == 33
        assert sum(packet.is_keyframe for packet in packets) >= 5
    with av.open(str(target)) as container, av.open(str(source)) as film:
        times = [frame.pts for frame in container.decode(video=0)]
        assert times == [frame.pts for frame in film.decode(video=0)]


def with_timecode(folder: Path, timecode: str, ending: str = "mov") -> Path:
    """Make a film with a time code."""
    plain, source = make(folder / f"plain.{ending}", Film(frames=30, colors=BT601)), folder / f"film.{ending}"
    with av.open(str(plain)) as read, av.open(str(source), "w") as written:
        video = written.add_stream_from_template(read.streams.video[0], opaque=True)
        video.metadata["timecode"] = timecode
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                packet.stream = video
                written.mux(packet)
    return source


@pytest.mark.parametrize(("start", "end"), [("mov", "mov"), ("mov", "mkv"), ("mkv", "mp4"), ("mkv", "mkv")])
def test_the_time_code_of_a_part_is_that_of_its_first_frame(start: str, end: str, tmp_path: Path) -> None:
    source, target = with_timecode(tmp_path, "01:00:00:20", start), tmp_path / f"result.{end}"
    convert(source, tmp_path, FilmOptions(start=0.3), target=target)
    with av.open(str(target)) as container:
        found = [value for s in container.streams for name, value in s.metadata.items() if name.lower() == "timecode"]
    assert set(found) == {"01:00:01:03"}


def test_a_time_code_that_cannot_be_moved_is_left_out_with_a_note(tmp_path: Path) -> None:
    source, target, options = with_timecode(tmp_path, "reel 3", "mkv"), tmp_path / "part.mkv", FilmOptions(start=0.2)
    notes: list[str] = []
    with open_film(source, options) as film:
        plan = plan_film(film.info, options, scale=2, target=target)
        segments = segments_of(list(film.frames()), film.info, plan, tmp_path, length=100)
        join(film.info, segments, target, plan=plan, options=options, on_note=notes.append)
    assert notes == [f"the time code of {source} is left out: that of the selected part is not known"]
    with open_film(target) as film:
        assert film.info.timecode is None


@pytest.mark.parametrize(
    ("across", "down", "seen"),
    [
        ((0, -1), (1, 0), np.rot90),
        ((-1, 0), (0, -1), lambda frame: np.rot90(frame, 2)),
        ((-1, 0), (0, 1), np.fliplr),
    ],
)
def test_frames_are_turned_for_containers_without_rotation(
    across: tuple[int, int], down: tuple[int, int], seen: Any, tmp_path: Path
) -> None:
    plain = make(tmp_path / "plain.mp4", Film(frames=3, aspect=Fraction(4, 3), chapters=((0, 0.1, "One"),)))
    source = tmp_path / "film.mp4"
    with av.open(str(plain)) as read, av.open(str(source), "w") as written:
        video: Any = written.add_stream_from_template(read.streams.video[0])
        video.set_display_matrix([value << 16 for value in (*across, 0, *down, 0, 0, 0)] + [1 << 30])
        written.set_chapters(read.chapters())
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                packet.stream = video
                written.mux(packet)
    with open_film(source) as film:
        right = seen(doubled(next(film.frames()).pixels))
    for ending in ("ts", "mkv", "mp4"):
        target, plan, _ = convert(source, tmp_path, FilmOptions(crf=1), target=tmp_path / f"result.{ending}")
        with open_film(target) as film:
            info, frame = film.info, next(film.frames())
        shown = turned(frame.pixels, info.display_matrix)
        assert shown.shape == right.shape
        assert np.abs(shown.astype(int) - right).mean() < 4
        swapped = across[0] == 0 and ending == "ts"
        assert info.sample_aspect_ratio == (Fraction(3, 4) if swapped else Fraction(4, 3))
        notes = [note for note in plan.notes if "cannot hold" in note]
        if ending == "ts":
            assert notes == [
                f"ts cannot hold the chapters of {source}",
                "frames are turned before they are encoded, because ts cannot hold a rotation",
            ]
        else:
            assert not notes


@oracle.needs_ffprobe
@pytest.mark.parametrize("ending", ["mov", "mp4"])
def test_time_codes_are_kept_once(ending: str, tmp_path: Path) -> None:
    source = with_timecode(tmp_path, "01:00:00:00")
    assert [s.kind for s in oracle.probe(source).streams] == ["video", "data"]
    target, plan, _ = convert(source, tmp_path, target=tmp_path / f"result.{ending}")
    assert not plan.notes
    streams = oracle.probe(target).streams
    assert [s.kind for s in streams] == ["video", "data"]
    assert [s.about["tags"]["timecode"] for s in streams] == ["01:00:00:00", "01:00:00:00"]


def test_sound_that_a_container_cannot_hold_is_converted_without_a_shift(tmp_path: Path) -> None:
    film = Film(codec="mpeg4", settings={"q": "3"}, frames=25, sounds=(Sound(codec="adpcm_ms"),))
    source = make(tmp_path / "film.avi", film)
    target, plan, _ = convert(source, tmp_path)
    assert plan.container == "mkv"
    assert f"stream 1 of {source} (audio adpcm_ms) will be converted, because mkv cannot hold it as it is" in plan.notes
    sounds: list[tuple[float, np.ndarray[Any, Any]]] = []
    for path in (source, target):
        with av.open(str(path)) as container:
            frames = list(container.decode(audio=0))
            assert frames[0].pts is not None
            assert frames[0].time_base is not None
            resampler = av.AudioResampler(format="s16p", layout="mono")
            parts = [part.to_ndarray() for frame in frames for part in resampler.resample(frame)]
            sounds.append((float(frames[0].pts * frames[0].time_base), np.concatenate(parts, axis=1)[0]))
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).pts in (0, None)
    assert sounds[0][0] == pytest.approx(sounds[1][0], abs=0.001)
    before, after = sounds[0][1].astype(np.int32), sounds[1][1].astype(np.int32)
    assert len(before) == len(after)
    assert np.abs(before - after).max() <= 1
