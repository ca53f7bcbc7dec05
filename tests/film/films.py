"""Films made by FFmpeg through PyAV: everything that films can have, small enough for tests."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.filter import Graph

PATTERN = "testsrc2"
"""The moving test pattern of FFmpeg's filters."""
SOUND_RATE = 48_000
"""Samples per second of sound."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A sine tone.

    Attributes:
        seconds: Its length.
        language: ISO 639-2.
        title: Name of the track.
        codec: FFmpeg's name of the encoder.
        tone: Hertz.
    """

    seconds: Fraction = Fraction(1)
    language: str = "eng"
    title: str = "Stereo"
    codec: str = "aac"
    tone: int = 440


@dataclass(frozen=True, kw_only=True)
class Text:
    """Subtitles: each with start and end in seconds.

    Attributes:
        lines: Start, end and text of each.
        language: ISO 639-2.
        codec: FFmpeg's name of the format.
    """

    lines: tuple[tuple[float, float, str], ...] = ((0.1, 0.4, "One"), (0.5, 0.9, "Two"))
    language: str = "deu"
    codec: str = "subrip"


@dataclass(frozen=True, kw_only=True)
class Film:
    """What a film has.

    Attributes:
        pattern: FFmpeg's filters that make the frames, without size and rate.
        frames: Number of frames.
        size: Width and height.
        rate: Frames per second.
        codec: FFmpeg's name of the encoder.
        pixel_format: FFmpeg's name of the pixel format.
        settings: Options of the encoder.
        moments: Time stamps of the frames in units of `time_base`; one per frame at `rate` if `None`.
        time_base: Unit of the time stamps.
        colors: Matrix, primaries, transfer by H.273, and the range, 1 limited or 2 full; nothing is stated if `None`.
        aspect: Width of a pixel divided by its height.
        rotation: Degrees counterclockwise by which a player turns frames.
        sounds: Tracks of sound.
        texts: Tracks of subtitles.
        chapters: Start and end in seconds, and title.
        attachment: Whether a file is attached.
        title: Title in the metadata.
        muxing: Options of the muxer.
        order: Order of fields that given pictures state: `tff`, `bff`, or nothing.
    """

    pattern: str = PATTERN
    frames: int = 24
    size: tuple[int, int] = (64, 48)
    rate: Fraction = Fraction(25)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    settings: dict[str, str] = field(default_factory=lambda: {"crf": "12", "preset": "veryfast"})
    moments: tuple[int, ...] | None = None
    time_base: Fraction | None = None
    colors: tuple[int, int, int, int] | None = None
    aspect: Fraction = Fraction(1)
    rotation: int = 0
    sounds: tuple[Sound, ...] = ()
    texts: tuple[Text, ...] = ()
    chapters: tuple[tuple[float, float, str], ...] = ()
    attachment: bool = False
    title: str | None = None
    muxing: dict[str, str] = field(default_factory=dict[str, str])
    order: str = ""


def make(path: Path, film: Film | None = None, *, pictures: list[np.ndarray[Any, Any]] | None = None) -> Path:
    """Write a film.

    Args:
        path: The file; its ending decides the container.
        film: What it has.
        pictures: The frames, (H, W, 3) uint8, instead of the pattern.
    """
    film = film or Film()
    frames = list(_frames(film) if pictures is None else _converted(film, pictures))
    with av.open(str(path), "w", container_options=film.muxing) as container:
        video = _add_video(container, film)
        tracks = [(sound, _add_sound(container, sound)) for sound in film.sounds]
        texts = [(text, _add_text(container, text)) for text in film.texts]
        if film.attachment:
            attached = container.add_attachment("notes.txt", "text/plain", b"kept as it is")
            attached.metadata["filename"] = "notes.txt"
        if film.title:
            container.metadata["title"] = film.title
        if film.chapters:
            container.set_chapters(
                [
                    {
                        "id": number,
                        "start": round(start * 1000),
                        "end": round(end * 1000),
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (start, end, title) in enumerate(film.chapters, 1)
                ]
            )
        unit = film.time_base or 1 / film.rate
        packets: list[tuple[Fraction, Any]] = []
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = film.moments[number] if film.moments else number, unit
            packets += _dated(video.encode(frame))
        packets += _dated(video.encode())
        for sound, stream in tracks:
            packets += _dated(_encoded_sound(sound, stream))
        for text, stream in texts:
            packets += _dated(_encoded_text(text, stream))
        for _, packet in sorted(packets, key=lambda dated: dated[0]):
            container.mux(packet)
    return path


def _dated(packets: Any) -> list[tuple[Fraction, Any]]:
    return [(packet.dts * packet.time_base, packet) for packet in packets if packet.dts is not None]


def _frames(film: Film) -> Iterator[Any]:
    """The frames of the pattern."""
    width, height = film.size
    name, _, filters = film.pattern.partition(",")
    name += (":" if "=" in name else "=") + f"size={width}x{height}:rate={film.rate}"
    matrix = {1: "bt709", 6: "smpte170m", 9: "bt2020"}[film.colors[0]] if film.colors else "bt709"
    span = "pc" if film.colors and film.colors[3] == 2 else "tv"
    parts = [
        *([filters] if filters else []),
        "format=rgb24",
        f"scale=out_color_matrix={matrix}:out_range={span}:flags=bicubic+accurate_rnd+full_chroma_int",
        f"format={film.pixel_format}",
    ]
    graph = Graph()
    source, sink = graph.add(*_split(name)), graph.add("buffersink")
    last = source
    for part in ",".join(parts).split(","):
        added = graph.add(*_split(part))
        last.link_to(added)
        last = added
    last.link_to(sink)
    graph.configure()
    for _ in range(film.frames):
        yield _tagged(graph.pull(), film)


def _split(text: str) -> tuple[str, str]:
    name, _, arguments = text.partition("=")
    return name, arguments


def _converted(film: Film, pictures: list[np.ndarray[Any, Any]]) -> Iterator[Any]:
    """The frames of given pictures."""
    matrix = {1: "ITU709", 6: "ITU601", 9: "BT2020"}[film.colors[0]] if film.colors else "ITU709"
    span = "JPEG" if film.colors and film.colors[3] == 2 else "MPEG"
    for pixels in pictures:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(format=film.pixel_format, dst_colorspace=matrix, dst_color_range=span)
        yield _tagged(_in_order(frame, film.order) if film.order else frame, film)


def _in_order(frame: Any, order: str) -> Any:
    """The frame with an order of its fields, which PyAV cannot set; x264 goes by it."""
    graph = Graph()
    form = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/25:pixel_aspect=1/1"
    graph.link_nodes(graph.add("buffer", form), graph.add("setfield", order), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _tagged(frame: Any, film: Film) -> Any:
    if film.colors:
        frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = film.colors
    else:
        frame.colorspace = frame.color_primaries = frame.color_trc = 2
        frame.color_range = 0
    return frame


def _add_video(container: OutputContainer, film: Film) -> Any:
    stream: Any = container.add_stream(film.codec, rate=film.rate, options=dict(film.settings))
    context = stream.codec_context
    stream.width, stream.height = film.size
    stream.pix_fmt = film.pixel_format
    context.time_base = film.time_base or 1 / film.rate
    context.thread_count = 1
    if film.colors:
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = film.colors
    stream.sample_aspect_ratio = film.aspect
    context.sample_aspect_ratio = film.aspect
    if film.rotation:
        stream.set_display_rotation(film.rotation)
    stream.metadata["language"] = "fra"
    return stream


def _add_sound(container: OutputContainer, sound: Sound) -> Any:
    stream: Any = container.add_stream(sound.codec, rate=SOUND_RATE, layout="stereo")
    stream.metadata["language"], stream.metadata["title"] = sound.language, sound.title
    return stream


def _encoded_sound(sound: Sound, stream: Any) -> Iterator[Any]:
    count = round(sound.seconds * SOUND_RATE)
    tone = 0.3 * np.sin(2 * np.pi * sound.tone * np.arange(count) / SOUND_RATE)
    values = np.stack([tone, -tone]).astype(np.float32)
    step = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(format=stream.codec_context.format, layout="stereo", rate=SOUND_RATE)
    for start in range(0, count, step):
        frame: Any = av.AudioFrame.from_ndarray(values[:, start : start + step], format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
        for ready in resampler.resample(frame):
            yield from stream.encode(ready)
    yield from stream.encode()


def _add_text(container: OutputContainer, text: Text) -> Any:
    stream: Any = container.add_mux_stream(text.codec)
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = text.language
    return stream


def _encoded_text(text: Text, stream: Any) -> Iterator[Any]:
    for start, end, words in text.lines:
        data = words.encode()
        if text.codec == "mov_text":
            data = len(data).to_bytes(2, "big") + data
        packet: Any = av.Packet(data)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round(start * 1000)
        packet.duration = round((end - start) * 1000)
        yield packet


def chart(size: tuple[int, int], *, across: int = 8, down: int = 6, seed: int = 3) -> np.ndarray[Any, Any]:
    """A color chart: patches of random colors besides black, white, primaries and levels of gray, (H, W, 3) uint8."""
    width, height = size
    fixed = [[a * 255, b * 255, c * 255] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    fixed += [[level] * 3 for level in (16, 64, 118, 180, 235)]
    others = np.random.default_rng(seed).integers(0, 256, (across * down - len(fixed), 3)).tolist()
    colors = np.array(fixed + others, np.uint8).reshape(down, across, 3)
    return colors.repeat(height // down, 0).repeat(width // across, 1)


def broken(path: Path, *, share: float = 0.5, length: int = 600, seed: int = 1) -> Path:
    """Overwrite bytes in the middle of a film with random ones."""
    content = bytearray(path.read_bytes())
    place = round(share * len(content))
    content[place : place + length] = np.random.default_rng(seed).bytes(length)
    path.write_bytes(content)
    return path


RATE_29_97 = Fraction(30_000, 1001)
VFR = (0, 40, 80, 200, 210, 230, 600, 601, 650, 1000, 1040, 1500)
"""Time stamps of a film of variable frame rate, in milliseconds."""
BT601, BT709, BT2020_PQ = (6, 6, 6, 1), (1, 1, 1, 1), (9, 9, 16, 1)
"""Matrix, primaries, transfer and limited range."""
TEN_BITS: dict[str, Any] = {
    "codec": "libx265",
    "pixel_format": "yuv420p10le",
    "settings": {"crf": "10", "preset": "ultrafast", "x265-params": "log-level=error"},
}
"""H.265 with 10 bits per sample. It needs three frames: x265 leaves the decoding times of fewer undefined."""
FULL = Film(
    frames=25,
    sounds=(Sound(), Sound(language="jpn", title="Commentary", tone=660)),
    texts=(Text(), Text(language="spa", lines=((0.2, 0.8, "Uno"),))),
    chapters=((0, 0.4, "Begin"), (0.4, 1, "Rest")),
    attachment=True,
    title="A test",
)
"""Two tracks of sound, two of subtitles, chapters and an attachment."""
CASES: dict[str, tuple[str, Film]] = {
    "plain": ("mp4", Film()),
    "29.97": ("mp4", Film(rate=RATE_29_97)),
    "vfr": ("mp4", Film(frames=12, moments=VFR, time_base=Fraction(1, 1000))),
    "vfr in mkv": ("mkv", Film(frames=12, moments=VFR, time_base=Fraction(1, 1000))),
    "wide pixels": ("mp4", Film(aspect=Fraction(32, 27), size=(72, 48))),
    "wide pixels in mkv": ("mkv", Film(aspect=Fraction(32, 27), size=(72, 48))),
    "rotated": ("mp4", Film(rotation=-90)),
    "rotated in mov": ("mov", Film(rotation=180)),
    "bt601": ("mp4", Film(colors=BT601)),
    "bt709": ("mkv", Film(colors=BT709)),
    "bt2020 pq": ("mp4", Film(colors=BT2020_PQ, **TEN_BITS)),
    "bt2020 pq in mkv": ("mkv", Film(colors=BT2020_PQ, **TEN_BITS)),
    "full range": ("mp4", Film(colors=(1, 1, 1, 2))),
    "untagged": ("mkv", Film()),
    "10 bits": ("mkv", Film(**TEN_BITS)),
    "everything": ("mkv", FULL),
    "everything in mp4": (
        "mp4",
        replace(FULL, attachment=False, texts=(Text(codec="mov_text"), Text(language="spa", codec="mov_text"))),
    ),
    "long sound": ("mp4", Film(sounds=(Sound(seconds=Fraction(3)),))),
    "sound in mkv": ("mkv", Film(sounds=(Sound(codec="libopus"), Sound(codec="flac", language="ita")))),
    "b-frames": ("mp4", Film(frames=40, settings={"bf": "3", "preset": "medium", "g": "12"})),
    "open gop": ("mp4", Film(frames=40, settings={"bf": "3", "g": "10", "x264-params": "open-gop=1"})),
    "one frame": ("mp4", Film(frames=1)),
    "odd size": ("mkv", Film(size=(65, 49), pixel_format="yuv444p")),
    "4:2:2": ("mkv", Film(pixel_format="yuv422p")),
    "start offset": ("mkv", Film(moments=tuple(range(50, 74)), sounds=(Sound(),))),
    "transport stream": ("ts", Film(sounds=(Sound(),))),
    "avi": ("avi", Film(codec="mpeg4", settings={"q": "3"}, sounds=(Sound(codec="mp3"),))),
    "webm": (
        "webm",
        Film(codec="libvpx-vp9", settings={"cpu-used": "8", "crf": "20"}, sounds=(Sound(codec="libopus"),)),
    ),
    "prores": ("mov", Film(codec="prores_ks", pixel_format="yuv422p10le", settings={}, size=(64, 48))),
    "mpeg-2": ("mpg", Film(codec="mpeg2video", settings={"b": "2000000"})),
    "raw": ("y4m", Film(codec="rawvideo", settings={})),
    "grey": ("mkv", Film(codec="ffv1", pixel_format="gray", settings={})),
    "rgb": ("mkv", Film(codec="ffv1", pixel_format="bgr0", settings={})),
}
"""A film for everything that has to be kept: ending and content, by name."""


def case(folder: Path, name: str) -> Path:
    """Make a film of `CASES`."""
    ending, film = CASES[name]
    return make(folder / f"{name.replace(' ', '-').replace(':', '').replace('.', '')}.{ending}", film)


def static(path: Path, *, count: int = 50, size: tuple[int, int] = (64, 48)) -> Path:
    """A film of one picture that does not change, losslessly."""
    film = Film(codec="ffv1", pixel_format="yuv420p", settings={}, size=size, colors=BT709)
    return make(path, film, pictures=[chart(size)] * count)


def screen_recording(path: Path, *, count: int = 30, size: tuple[int, int] = (96, 64)) -> Path:
    """A film in which a small part changes in every third frame, losslessly."""
    pictures: list[np.ndarray[Any, Any]] = []
    picture = chart(size)
    for number in range(count):
        if number % 3 == 0:
            picture = picture.copy()
            picture[4:10, 4 + number % 40 : 12 + number % 40] = 255 - picture[4:10, 4 + number % 40 : 12 + number % 40]
        pictures.append(picture)
    film = Film(codec="ffv1", pixel_format="yuv444p", settings={}, size=size, colors=BT709)
    return make(path, film, pictures=pictures)


FIELDS = Film(frames=48, size=(96, 64))
"""What the fields of `interlaced` show, one after the other."""


def shown_by(film: Film) -> list[np.ndarray[Any, Any]]:
    """The frames of a film before they are encoded."""
    return [frame.to_ndarray(format="rgb24") for frame in _frames(film)]


def interlaced(path: Path, *, top_first: bool = True, **changes: Any) -> Path:
    """A film of fields: each frame holds two moments, in every other row; `changes` are those to `Film`."""
    moments = shown_by(FIELDS)
    woven: list[np.ndarray[Any, Any]] = []
    for early, late in zip(moments[::2], moments[1::2], strict=True):
        frame = early.copy()
        frame[int(top_first) :: 2] = late[int(top_first) :: 2]
        woven.append(frame)
    order = "tff" if top_first else "bff"
    settings = {"x264-params": f"{order}=1", "crf": "12"}
    return make(path, replace(Film(size=FIELDS.size, settings=settings, order=order), **changes), pictures=woven)


def decoded(path: Path, *, form: str | None = None) -> list[np.ndarray[Any, Any]]:
    """The frames of a film as FFmpeg decodes them, in the format of the file or another one."""
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.video[0])
        return [frame.to_ndarray(format=form) if form else frame.to_ndarray() for frame in frames]


def planes(path: Path) -> list[list[np.ndarray[Any, Any]]]:
    """The planes of each frame as FFmpeg decodes them, as they are stored, in steps of 8 bits."""
    found: list[list[np.ndarray[Any, Any]]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            bits = frame.format.components[0].bits
            dtype = np.uint8 if bits == 8 else np.uint16
            rows = [np.frombuffer(bytes(p), dtype).reshape(p.height, -1)[:, : p.width] for p in frame.planes]
            found.append([plane / 2.0 ** (bits - 8) for plane in rows])
    return found


def patches(plane: np.ndarray[Any, Any], *, across: int = 8, down: int = 6) -> np.ndarray[Any, Any]:
    """Mean values of the inner halves of the patches of `chart`, (down, across)."""
    height, width = plane.shape[0] // down, plane.shape[1] // across
    parts = plane.reshape(down, height, across, width)
    return parts[:, height // 4 : height - height // 4, :, width // 4 : width - width // 4].mean((1, 3))
