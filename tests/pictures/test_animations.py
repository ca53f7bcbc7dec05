"""Animations: every frame with its timing, composed as other readers do; Pillow is the independent reader."""

import gc
import struct
import tracemalloc
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from mafdn.errors import DamagedError, PictureError
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import PNG_SIGNATURE, PngChunk
from mafdn.pictures.reading import open_picture, read_header
from mafdn.pictures.sequences import join_webp
from mafdn.pictures.sequences.sequence import Timing
from mafdn.upscaling.output import Output
from tests.support import Repeat, upscale_file

Frames = list[NDArray[np.uint8]]
KINDS = ("gif", "png", "webp", "avif")
LOSSY = ("webp", "avif")
"""Formats that are lossless on request only."""
DURATIONS = [0, 10, 20, 130, 70]
"""Milliseconds that all formats store exactly; viewers show the shortest ones longer."""


def moving(count: int = 5, *, clear: bool = True, colors: int = 6) -> Frames:
    """RGBA frames of a block that moves over a few colors, with holes if `clear`."""
    rng = np.random.default_rng(5)
    palette = rng.integers(1, 255, (colors, 3), np.uint8)
    frames: Frames = []
    for number in range(count):
        frame = np.zeros((12, 20, 4), np.uint8)
        if not clear:
            frame[:] = (9, 9, 9, 255)
        frame[2:8, 2 + number : 9 + number, :3] = palette[rng.integers(0, colors, (6, 7))]
        frame[2:8, 2 + number : 9 + number, 3] = 255
        frames.append(frame)
    return frames


def animate(path: Path, frames: Frames, **options: Any) -> Path:
    """Write an animation with Pillow, which stores only what changes."""
    images = [Image.fromarray(frame) for frame in frames]
    settings: dict[str, Any] = {"duration": DURATIONS[: len(frames)], "loop": 0}
    if path.suffix == ".webp":
        settings |= {"lossless": True, "exact": True}
    elif path.suffix == ".avif":
        settings |= {"quality": 100, "subsampling": "4:4:4"}
        settings["duration"] = [duration or 10 for duration in DURATIONS[: len(frames)]]  # libavif makes 0 a unit
    images[0].save(path, save_all=True, append_images=images[1:], **(settings | options))
    return path


def shown(path: Path) -> Frames:
    """The frames as Pillow shows them: RGBA, black where clear."""
    with Image.open(path) as image:
        frames = [np.asarray(frame.convert("RGBA")).copy() for frame in ImageSequence.Iterator(image)]
    for frame in frames:
        frame[frame[..., 3] == 0] = 0
    return frames


def durations(path: Path) -> list[float]:
    """The durations that Pillow reads, in milliseconds."""
    found: list[float] = []
    with Image.open(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            found.append(float(image.info["duration"]))
    return found


def loops(path: Path) -> int | None:
    """The number that Pillow reads; a GIF states repeats, which is one less than what the others state."""
    if path.suffix == ".avif":
        return avif_plays(path)
    with Image.open(path) as image:
        loop = image.info.get("loop")
    if path.suffix == ".gif":
        return 1 if loop is None else loop + 1 if loop else 0
    return loop


def avif_plays(path: Path) -> int:
    """The number of plays by the edit list and the duration of the first track, 0 for without end."""
    data = path.read_bytes()
    edits, track = data.index(b"elst"), data.index(b"tkhd")
    assert data[edits + 4] == data[track + 4] == 1, "numbers of 8 bytes"
    once, whole = int.from_bytes(data[edits + 12 : edits + 20]), int.from_bytes(data[track + 32 : track + 40])
    assert data[edits + 7] == 1, "repeated"
    return 0 if whole == 2**64 - 1 else whole // once


def read(path: Path) -> tuple[Frames, Timing]:
    """The frames as RGBA and the timing as read by this package."""
    pictures = read_header(path).decode_all()
    assert pictures.timing is not None
    frames = [rgba(picture.planes[:]) for picture in pictures]
    return frames, pictures.timing


def rgba(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    colors = np.broadcast_to(planes[..., :1], (*planes.shape[:2], 3)) if planes.shape[2] < 3 else planes[..., :3]
    alpha = planes[..., -1] if planes.shape[2] in (2, 4) else np.full(planes.shape[:2], 255, np.uint8)
    result = np.dstack([colors, alpha])
    result[alpha == 0] = 0
    return result


def larger(frames: Frames) -> Frames:
    return [frame.repeat(2, 0).repeat(2, 1) for frame in frames]


def same(one: Frames, other: Frames, *, near: int = 0) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert np.abs(a.astype(int) - b).max() <= near


def gif(parts: list[tuple[NDArray[np.uint8], int, int, int]], size: tuple[int, int]) -> bytes:
    """A GIF animation by the specification: parts are RGBA, left, top and disposal."""
    data = b"GIF89a" + struct.pack("<HHBBB", *size, 0, 0, 0)
    for pixels, left, top, disposal in parts:
        table, indices = np.unique(pixels[..., :3].reshape(-1, 3), axis=0, return_inverse=True)
        indices = np.where(pixels[..., 3].ravel() > 0, indices, 255).reshape(pixels.shape[:2])
        codes = [code for index in indices.ravel().tolist() for code in (256, index)] + [257]  # 9 bits each
        bits = sum(code << (9 * place) for place, code in enumerate(codes))
        packed = bits.to_bytes(-(-9 * len(codes) // 8), "little")
        blocks = b"".join(bytes([len(packed[i : i + 255])]) + packed[i : i + 255] for i in range(0, len(packed), 255))
        data += b"\x21\xf9\x04" + struct.pack("<BHB", disposal << 2 | 1, 7, 255) + b"\0"
        data += b"\x2c" + struct.pack("<HHHHB", left, top, pixels.shape[1], pixels.shape[0], 0x87)
        data += table.tobytes().ljust(768, b"\0") + b"\x08" + blocks + b"\0"
    return data + b"\x3b"


def composed(parts: list[tuple[NDArray[np.uint8], int, int, int]], size: tuple[int, int]) -> Frames:
    """What a viewer shows: cleared areas are transparent, and so is what was there before the first frame."""
    canvas, frames = np.zeros((size[1], size[0], 4), np.uint8), list[NDArray[np.uint8]]()
    for pixels, left, top, disposal in parts:
        before = canvas.copy()
        area = np.s_[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        canvas[area] = np.where(pixels[..., 3:] > 0, pixels, canvas[area])
        frames.append(canvas.copy())
        if disposal == 2:
            canvas[area] = 0
        elif disposal == 3:
            canvas = before
    return frames


@pytest.mark.parametrize("seed", range(20))
def test_frames_of_gif_with_all_disposals_are_composed(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts: list[tuple[NDArray[np.uint8], int, int, int]] = []
    for number in range(8):
        left, top = (0, 0) if number == 0 else rng.integers(0, (12, 8)).tolist()
        width, height = (16, 10) if number == 0 else rng.integers(1, (17 - left, 11 - top)).tolist()
        pixels = rng.integers(1, 255, (height, width, 4), np.uint8) // 100 * 80 + 1
        pixels[..., 3] = 255 * (rng.random((height, width)) > (0.0 if number == 0 and seed % 2 else 0.3))
        parts.append((pixels, left, top, int(rng.integers(0, 4))))
    path = tmp_path / "a.gif"
    path.write_bytes(gif(parts, (16, 10)))
    frames, timing = read(path)
    same(frames, [np.where(frame[..., 3:] > 0, frame, 0) for frame in composed(parts, (16, 10))])
    assert timing.durations == (Fraction(7, 100),) * 8


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("disposal", [0, 1, 2, [1, 2, 1, 2, 1]], ids=str)
def test_frames_of_gif_are_composed(tmp_path: Path, disposal: object, clear: bool) -> None:
    path = animate(tmp_path / "a.gif", moving(clear=clear), disposal=disposal)
    frames, timing = read(path)
    same(frames, shown(path))
    assert [1000 * d for d in timing.durations] == DURATIONS


@pytest.mark.parametrize(
    ("disposal", "blend"), [(0, 0), (1, 0), (2, 0), ([1, 2, 0, 2, 1], 0), (0, 1), (1, 1), (2, 1)], ids=str
)
def test_frames_of_png_are_composed(tmp_path: Path, disposal: object, blend: int) -> None:
    path = animate(tmp_path / "a.png", moving(), disposal=disposal, blend=blend)
    frames, timing = read(path)
    same(frames, moving() if (disposal, blend) == (2, 1) else shown(path))  # Pillow misreads what it wrote then
    assert [1000 * d for d in timing.durations] == DURATIONS


@pytest.mark.parametrize("settings", [{}, {"minimize_size": True}, {"allow_mixed": True, "kmax": 2}], ids=str)
@pytest.mark.parametrize("clear", [False, True])
def test_frames_of_webp_are_composed(tmp_path: Path, settings: dict[str, object], clear: bool) -> None:
    path = animate(tmp_path / "a.webp", moving(clear=clear), **settings)
    frames, timing = read(path)
    same(frames, shown(path))
    assert [1000 * d for d in timing.durations] == DURATIONS


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("loop", [None, 0, 1, 3])
def test_every_frame_is_written_with_its_timing(tmp_path: Path, source: str, target: str, loop: int | None) -> None:
    if source == "avif" and loop:
        pytest.skip("Pillow writes AVIF without end only")
    path = animate(tmp_path / f"a.{source}", moving(), **({} if loop is None else {"loop": loop}))
    result = tmp_path / f"b.{target}"
    report = upscale_file(path, result, engine=Repeat(), output=Output(lossless=target in LOSSY))
    same(shown(result), larger(shown(path)))
    assert durations(result) == durations(path)
    assert source == "avif" or durations(path) == DURATIONS
    assert loops(result) == loops(path)
    assert (report.frames, report.size, report.new_size) == (5, (20, 12), (40, 24))
    assert not [note for note in report.notes if "frame" in note or "duration" in note]


def test_a_gif_without_a_count_of_loops_is_played_once(tmp_path: Path) -> None:
    path = animate(tmp_path / "a.gif", moving(), loop=None)
    assert b"NETSCAPE" not in path.read_bytes()
    assert read(path)[1].plays == 1
    for kind in KINDS:
        upscale_file(path, tmp_path / f"b.{kind}", engine=Repeat())
        assert loops(tmp_path / f"b.{kind}") == 1


def test_an_animation_too_large_for_webp_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = animate(tmp_path / "a.png", moving())
    report = upscale_file(path, tmp_path / "b.webp", engine=Repeat())
    size = report.target.stat().st_size
    monkeypatch.setattr(join_webp, "LARGEST", size)
    upscale_file(path, tmp_path / "c.webp", engine=Repeat())
    monkeypatch.setattr(join_webp, "LARGEST", size - 1)
    with pytest.raises(
        PictureError, match=r"d\.webp: an animated WebP holds at most 4 GiB; choose the format png or avif"
    ):
        upscale_file(path, tmp_path / "d.webp", engine=Repeat())
    assert not [file for file in tmp_path.iterdir() if file.name not in ("a.png", "b.webp", "c.webp")]


def test_a_round_through_all_formats_changes_nothing(tmp_path: Path) -> None:
    first = path = animate(tmp_path / "0.gif", moving(), loop=2)
    for number, kind in enumerate(("webp", "avif", "png", "gif"), 1):
        target = tmp_path / f"{number}.{kind}"
        upscale_file(path, target, engine=Repeat(), size=1, output=Output(lossless=kind in LOSSY))
        path = target
    same(shown(path), shown(first))
    assert (durations(path), loops(path)) == (DURATIONS, loops(first))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_frames_are_computed_once_and_kept(tmp_path: Path, kind: str) -> None:
    block, other, _ = moving(3)
    path = animate(tmp_path / "a.png", [block, other, other, other, block], duration=50)
    assert read(path)[1].durations == (Fraction(1, 20),) * 5 or read(path)[1].durations[1] == Fraction(3, 20)
    path = tmp_path / "equal.png"
    path.write_bytes(apng([block, other, other, other, block]))
    calls = 0

    class Counting(Repeat):
        def run(self, x: np.ndarray) -> np.ndarray:
            nonlocal calls
            calls += 1
            return super().run(x)

    upscale_file(path, tmp_path / f"b.{kind}", engine=Counting(), output=Output(lossless=kind in LOSSY))
    once = calls
    upscale_file(path, tmp_path / "c.png", engine=Counting(), frame=1)
    assert once == 3 * (calls - once)
    same(shown(tmp_path / f"b.{kind}"), larger([block, other, other, other, block]))


def test_durations_are_rounded_without_changing_the_length(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(apng(moving(6), delays=[(1, 30)] * 6))
    report = upscale_file(path, tmp_path / "b.gif", engine=Repeat())
    assert durations(tmp_path / "b.gif") == [30, 40, 30, 30, 40, 30]
    assert "GIF stores durations in hundredths of a second: they were rounded" in report.notes
    report = upscale_file(path, tmp_path / "b.webp", engine=Repeat())
    assert durations(tmp_path / "b.webp") == [33, 34, 33, 33, 34, 33]
    assert "WebP stores durations in milliseconds: they were rounded" in report.notes
    report = upscale_file(path, tmp_path / "c.png", engine=Repeat())
    assert read(tmp_path / "c.png")[1].durations == (Fraction(1, 30),) * 6
    assert report.notes == ()


@pytest.mark.parametrize("seconds", [Fraction(0), Fraction(99_999, 1000), Fraction(1, 100_000), Fraction(70_000)])
def test_unusual_durations_are_stored_as_near_as_png_can(seconds: Fraction) -> None:
    from mafdn.pictures.sequences.join_png import _fraction  # pyright: ignore[reportPrivateUsage]

    above, below = _fraction(seconds)
    assert above < 65_536
    assert 0 < below < 65_536
    assert abs(Fraction(above, below) - seconds) <= max(Fraction(1, 65_535), seconds / 10_000) or seconds > 65_535


def apng(
    frames: list[NDArray[np.uint8]] | list[NDArray[np.uint16]],
    *,
    delays: list[tuple[int, int]] | None = None,
    operations: list[tuple[int, int]] | None = None,
    still: NDArray[np.uint8] | None = None,
    count: int | None = None,
) -> bytes:
    """An animated PNG of whole frames, by the specification, with a separate still picture if one is given."""

    def packed(frame: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
        rows = frame.astype(frame.dtype.newbyteorder(">")).reshape(len(frame), -1)
        return zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))

    height, width, channels = frames[0].shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [
        PngChunk(kind=b"IHDR", data=struct.pack(">IIBBBBB", width, height, 8 * frames[0].itemsize, color, 0, 0, 0))
    ]
    parts.append(PngChunk(kind=b"acTL", data=struct.pack(">II", count or len(frames), 0)))
    if still is not None:
        parts.append(PngChunk(kind=b"IDAT", data=packed(still)))
    number = 0
    for index, frame in enumerate(frames):
        delay, operation = (delays or [(1, 10)] * len(frames))[index], (operations or [(0, 0)] * len(frames))[index]
        control = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, *delay, *operation)
        number += 1
        parts.append(PngChunk(kind=b"fcTL", data=control))
        if index == 0 and still is None:
            parts.append(PngChunk(kind=b"IDAT", data=packed(frame)))
        else:
            parts.append(PngChunk(kind=b"fdAT", data=struct.pack(">I", number) + packed(frame)))
            number += 1
    return PNG_SIGNATURE + b"".join(part.encoded() for part in [*parts, PngChunk(kind=b"IEND", data=b"")])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_partly_transparent_frames_are_laid_over_each_other(tmp_path: Path, dtype: type[np.integer]) -> None:
    full = int(np.iinfo(dtype).max)
    frames = list(np.random.default_rng(2).integers(0, full + 1, (3, 8, 8, 4)).astype(dtype))
    path = tmp_path / "a.png"
    path.write_bytes(apng(frames, operations=[(0, 0), (0, 1), (0, 1)]))
    below = np.zeros((8, 8, 4))  # premultiplied, in [0, 1]
    for frame, picture in zip(frames, read_header(path).decode_all(), strict=True):
        above = frame / full
        above[..., :3] *= above[..., 3:]
        below = above + below * (1 - above[..., 3:]) if frame is not frames[0] else above
        planes = picture.planes[:]
        assert planes.dtype == dtype
        got = planes / full
        got[..., :3] *= got[..., 3:]
        assert np.abs(got - below).max() < 2 / full * 2


def test_animations_of_16_bits_stay_that(tmp_path: Path) -> None:
    frames = list(np.random.default_rng(3).integers(0, 65_536, (3, 8, 8, 3)).astype(np.uint16))
    path = tmp_path / "a.png"
    path.write_bytes(apng(frames))
    upscale_file(path, tmp_path / "b.png", engine=Repeat())
    result = read_header(tmp_path / "b.png").decode_all()
    for frame, picture in zip(frames, result, strict=True):
        assert np.array_equal(picture.planes[:], frame.repeat(2, 0).repeat(2, 1))


def test_a_still_picture_that_is_no_frame_is_not_one(tmp_path: Path) -> None:
    frames = moving(2)
    path = tmp_path / "a.png"
    path.write_bytes(apng(frames, still=np.full((12, 20, 4), 77, np.uint8)))
    report = upscale_file(path, tmp_path / "b.png", engine=Repeat())
    assert any("viewers without animation" in note for note in report.notes)
    same(shown(tmp_path / "b.png"), larger(frames))
    assert (open_picture(path).planes[:] == 77).all()
    with Image.open(tmp_path / "b.png") as image:
        assert getattr(image, "n_frames", 1) == 2


def test_holes_in_opaque_frames_become_transparent(tmp_path: Path) -> None:
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (50, 100, 150)]
    data = bytearray(apng(frames, operations=[(1, 0), (0, 0), (0, 0)]))
    place = data.index(b"fcTL", data.index(b"fcTL") + 4)
    struct.pack_into(">IIII", data, place + 8, 4, 4, 2, 2)  # the second frame covers a part of the picture
    part = zlib.compress(b"".join(b"\0" + frames[1][0, :4].tobytes() for _ in range(4)))
    start = data.index(b"fdAT") - 4
    size = int.from_bytes(data[start : start + 4])
    data[place - 4 : place + 34] = PngChunk(kind=b"fcTL", data=bytes(data[place + 4 : place + 30])).encoded()
    head = bytes(data[start + 8 : start + 12])
    data[start : start + 12 + size] = PngChunk(kind=b"fdAT", data=head + part).encoded()
    path = tmp_path / "a.png"
    path.write_bytes(data)
    got, _ = read(path)
    assert (got[0][..., 3] == 255).all()
    assert (got[1][2:6, 2:6] == (100, 100, 100, 255)).all()
    assert not got[1][0].any()
    same([frame[..., :3] for frame in got], [frame[..., :3] for frame in shown(path)])  # Pillow adds no transparency


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_one_frame_can_be_chosen(tmp_path: Path, kind: str, number: int) -> None:
    path = animate(tmp_path / f"a.{kind}", moving())
    report = upscale_file(path, tmp_path / "b.png", engine=Repeat(), frame=number)
    same(shown(tmp_path / "b.png"), [larger(shown(path))[number - 1]])
    assert report.frames == 1
    assert not [note for note in report.notes if "frame" in note]
    with pytest.raises(PictureError, match="has no frame or page 6, only 5"):
        upscale_file(path, tmp_path / "c.png", engine=Repeat(), frame=6)
    assert not (tmp_path / "c.png").exists()


def test_only_one_frame_fits_into_other_formats(tmp_path: Path) -> None:
    path = animate(tmp_path / "a.gif", moving())
    for kind in ("jpg", "tif", "jp2"):
        report = upscale_file(path, tmp_path / f"b.{kind}", engine=Repeat())
        assert "only the first of 5 frames was read" in report.notes
        assert report.frames == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_animation_of_one_frame_is_a_picture(tmp_path: Path, kind: str) -> None:
    path = animate(tmp_path / f"a.{kind}", moving(1))
    report = upscale_file(path, tmp_path / f"b.{kind}", engine=Repeat(), output=Output(lossless=kind in LOSSY))
    assert report.frames == 1
    same(shown(tmp_path / f"b.{kind}"), larger(shown(path)), near=kind == "avif")  # libvips decodes pictures


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_animations_that_end_too_early_are_damaged(tmp_path: Path, kind: str, share: float) -> None:
    path = animate(tmp_path / f"a.{kind}", moving(colors=200))
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    with pytest.raises(DamagedError):
        upscale_file(path, tmp_path / f"b.{kind}", engine=Repeat())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("count", [1, 3, 2**31])
def test_a_wrong_count_of_frames_is_damage(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(apng(moving(4), count=count))
    if count == 1:
        assert upscale_file(path, tmp_path / "b.png", engine=Repeat()).frames == 1
        return
    with pytest.raises(PictureError, match="frames"):
        upscale_file(path, tmp_path / "b.png", engine=Repeat())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_limits_are_for_all_frames(tmp_path: Path) -> None:
    path = animate(tmp_path / "a.gif", moving())
    with pytest.raises(PictureError, match=r"would become 5 frames or pages of 4,800 pixels in all; the limit is"):
        upscale_file(path, tmp_path / "b.gif", engine=Repeat(), limits=Limits(pixels=4_799))
    with pytest.raises(PictureError, match=r"the limit of"):
        upscale_file(path, tmp_path / "b.gif", engine=Repeat(), limits=Limits(seconds=1e-6))
    assert upscale_file(path, tmp_path / "b.gif", engine=Repeat(), limits=Limits(pixels=4_800)).frames == 5
    assert upscale_file(path, tmp_path / "b.jpg", engine=Repeat(), limits=Limits(pixels=960)).frames == 1


@pytest.mark.parametrize("kind", KINDS)
def test_progress_rises_over_all_frames(tmp_path: Path, kind: str) -> None:
    path = animate(tmp_path / f"a.{kind}", moving())
    seen: list[tuple[int, int]] = []
    upscale_file(path, tmp_path / "b.gif", engine=Repeat(), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_and_profile_belong_to_the_whole_animation(tmp_path: Path, kind: str) -> None:
    from PIL import ImageCms

    path = tmp_path / "a.webp"
    exif = Image.Exif()
    exif[315] = "someone"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    animate(path, moving(), exif=exif.tobytes(), icc_profile=profile, xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    upscale_file(path, tmp_path / f"b.{kind}", engine=Repeat())
    with Image.open(tmp_path / f"b.{kind}") as image:
        assert getattr(image, "n_frames", 1) == 5
        if kind == "gif":
            return
        assert image.info["icc_profile"] == profile
        assert image.getexif()[315] == "someone"
        assert b"xmpmeta" in (image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode())


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path, kind: str) -> None:
    def peak(count: int) -> int:
        rng = np.random.default_rng(0)
        path = animate(
            tmp_path / f"{count}.{kind}", [rng.integers(0, 256, (8, 8, 4), np.uint8) for _ in range(count)], duration=40
        )
        tracemalloc.start()
        upscale_file(path, tmp_path / f"{count}-b.{kind}", engine=Repeat(), overwrite=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)  # warms up
    few, many = peak(20), peak(100)
    assert many < few + 80 * 8 * 8 * 4 * 8  # of each, the source's pixels and some numbers, but no result
    with Image.open(tmp_path / f"100-b.{kind}") as image:
        assert getattr(image, "n_frames", 1) == 100


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_failure_in_the_middle(tmp_path: Path, kind: str) -> None:
    path = animate(tmp_path / f"a.{kind}", moving())

    class Failing(Repeat):
        calls = 0

        def run(self, x: np.ndarray) -> np.ndarray:
            self.calls += 1
            if self.calls > 4:
                raise RuntimeError("stop")
            return super().run(x)

    with pytest.raises(RuntimeError, match="stop"):
        upscale_file(path, tmp_path / f"b.{kind}", engine=Failing())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_frames_of_a_turned_webp_are_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    frames = moving()
    path = animate(tmp_path / "a.webp", frames, exif=exif.tobytes())
    upscale_file(path, tmp_path / "b.png", engine=Repeat())
    same(shown(tmp_path / "b.png"), larger([np.rot90(frame, -1) for frame in frames]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_leaves_no_operation_of_libvips_to_the_garbage_collector(tmp_path: Path, kind: str) -> None:
    """GLib aborts the process if the encoder of GIF is disposed of, which it logs, while a message is being logged."""

    class Failing(Repeat):
        calls = 0

        def run(self, x: np.ndarray) -> np.ndarray:
            self.calls += 1
            if self.calls > 2:
                raise RuntimeError("stop")
            return super().run(x)

    def operations() -> int:
        return sum(issubclass(type(thing), pyvips.Operation) for thing in gc.get_objects())

    path = animate(tmp_path / f"a.{kind}", moving())
    gc.collect()
    gc.disable()
    try:
        before = operations()
        with pytest.raises(RuntimeError, match="stop"):
            upscale_file(path, tmp_path / f"b.{kind}", engine=Failing())
        assert operations() == before
    finally:
        gc.enable()
