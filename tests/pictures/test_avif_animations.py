"""AVIF animations: depth, transparency, orientation, other writers and readers; the rest is in test_animations.py."""

import base64
import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps, ImageSequence

from mafdn.errors import DamagedError, MafdnError, MissingPackageError
from mafdn.pictures.codecs.boxes import box
from mafdn.pictures.codecs.heif.boxes import boxes
from mafdn.pictures.codecs.heif.colors import _grow_associations
from mafdn.pictures.codecs.heif.items import Edits, edited, shift_items, tree_of
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import open_picture, read_header
from mafdn.pictures.sequences.sequence import Timing
from mafdn.upscaling.output import Output
from tests.support import Repeat, upscale_file
from tools.screenshots.browser import chromium, find_chromium

LOSSLESS = Output(lossless=True)
IN_BROWSER = """async encoded => {
  const bytes = Uint8Array.from(atob(encoded), letter => letter.charCodeAt(0))
  const decoder = new ImageDecoder({data: bytes.buffer, type: 'image/avif'})
  await Promise.all([decoder.tracks.ready, decoder.completed])
  const track = decoder.tracks.selectedTrack, frames = []
  for (let i = 0; i < track.frameCount; i++) {
    const {image} = await decoder.decode({frameIndex: i})
    const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight), context = canvas.getContext('2d')
    context.drawImage(image, 0, 0)
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data
    frames.push({duration: image.duration, width: canvas.width, height: canvas.height, data: Array.from(data)})
  }
  return {repeats: String(track.repetitionCount), frames}
}"""
"""Decodes an animation as Chromium does when it shows one."""


def noise(count: int, channels: int, bits: int = 8, *, height: int = 10, width: int = 16) -> np.ndarray:
    """Frames of random values, (count, height, width, channels)."""
    shape = (count, height, width, channels)
    return np.random.default_rng(bits).integers(0, 2**bits, shape, np.uint8 if bits == 8 else np.uint16)


def twice(frames: np.ndarray) -> np.ndarray:
    return frames.repeat(2, 1).repeat(2, 2)


def write(path: Path, frames: np.ndarray, *, duration: object = 40, **options: Any) -> Path:
    """Write an animation of 8 bits with Pillow."""
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration, **options)
    return path


def decoded(path: Path) -> list[Picture]:
    return list(read_header(path).decode_all())


def timing(path: Path) -> Timing:
    found = read_header(path).decode_all().timing
    assert found is not None
    return found


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_every_value_of_every_depth_is_kept(tmp_path: Path, bits: int, channels: int) -> None:
    frames = noise(4, channels, bits)
    frames[..., 3:] |= 1  # what cannot be seen is not kept
    frames[..., 3:] &= 2 ** (bits - 1) - 1  # and what is nearly opaque is made so
    source = tmp_path / "in.avif"
    source.write_bytes(imagecodecs.avif_encode(frames, level=100, bitspersample=bits))
    assert np.array_equal(imagecodecs.avif_decode(source.read_bytes()), frames)
    report = upscale_file(source, tmp_path / "out.avif", engine=Repeat(), output=LOSSLESS)
    assert (report.frames, report.bits, report.notes) == (4, bits, ())
    assert np.array_equal(imagecodecs.avif_decode(report.target.read_bytes()), twice(frames))
    top, white = 2**bits - 1, 255 if bits == 8 else 65_535
    for frame, picture in zip(frames, decoded(source), strict=True):
        assert picture.bits == bits
        assert np.array_equal(picture.planes[:], np.rint(frame * (white / top)).astype(picture.planes.dtype))


@pytest.mark.parametrize("clear", [False, True])
def test_lossy_frames_are_near_and_their_transparency_is_exact(tmp_path: Path, clear: bool) -> None:
    y, x = np.mgrid[:40, :60]
    frames = np.stack([np.dstack([4 * x, 6 * y, 255 - 4 * x + n, 0 * x + 255]) for n in range(3)]).astype(np.uint8)
    if clear:
        frames[:, 10:20, 10:30, 3] = 0
    path = tmp_path / "in.png"
    Image.fromarray(frames[0]).save(
        path, save_all=True, append_images=[Image.fromarray(f) for f in frames[1:]], duration=40
    )
    upscale_file(path, tmp_path / "out.avif", engine=Repeat())
    for frame, picture in zip(twice(frames), decoded(tmp_path / "out.avif"), strict=True):
        assert np.array_equal(picture.planes[:][..., 3], frame[..., 3])
        assert np.abs(picture.planes[:][..., :3].astype(int) - frame[..., :3])[frame[..., 3] > 0].mean() < 1


def test_without_imagecodecs_animations_of_8_bits_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "deep.avif"
    deep.write_bytes(imagecodecs.avif_encode(noise(2, 3, 10), level=100, bitspersample=10))
    plain = write(tmp_path / "plain.avif", noise(2, 3))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert upscale_file(plain, tmp_path / "out.avif", engine=Repeat()).frames == 2
    with pytest.raises(MissingPackageError, match=r'10 bits, which needs imagecodecs: pip install "mafdn\[formats\]"'):
        upscale_file(deep, tmp_path / "never.avif", engine=Repeat())
    assert upscale_file(deep, tmp_path / "first.jpg", engine=Repeat()).frames == 1, "libvips reads the first"


def turned(content: bytes, added: bytes) -> bytes:
    """An animation by libavif with further properties for its picture and its track; Pillow crashes when it does it."""
    meta, movie = (next(found for found in boxes(content) if found.kind == kind) for kind in (b"meta", b"moov"))
    tree, edits = tree_of(content, meta), Edits()
    count = sum(1 for _ in boxes(content, tree[b"ipco"].content, tree[b"ipco"].end))
    indices = [count + 1 + n for n in range(len(list(boxes(added))))]
    grown = _grow_associations(content, tree, edits, indices)
    edits |= {(start, end): bytes(n | 0x80 for n in new) for (start, end), new in edits.items() if start == end}  # must
    edits[tree[b"ipco"].end, tree[b"ipco"].end] = added
    larger = [(tree[b"ipco"], len(added)), (tree[b"ipma"], grown)]
    larger += [(tree[kind], len(added) + grown) for kind in (b"iprp", b"meta")]
    inner, enclosing = movie, [movie]
    for kind in (b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"av01"):
        start = inner.content + (8 if inner.kind == b"stsd" else 0)
        inside = {found.kind: found for found in boxes(content, start, inner.end)}
        if kind == b"stsd":
            place, growth = inside[b"stco"].content + 8, 2 * len(added) + grown
            edits[place, place + 4] = struct.pack(">I", int.from_bytes(content[place : place + 4]) + growth)
        inner = inside[kind]
        enclosing.append(inner)
    edits[inner.end, inner.end] = added
    larger += [(found, len(added)) for found in enclosing]
    for found, growth in larger:
        edits[found.start, found.start + 4] = struct.pack(">I", found.end - found.start + growth)
    shift_items(content, tree[b"iloc"], movie.end, 2 * len(added) + grown, edits)
    return edited(content, edits)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [None, 0, 1])
def test_frames_are_turned_as_the_file_demands(tmp_path: Path, turns: int, mirrored: int | None) -> None:
    source = write(tmp_path / "in.avif", noise(2, 3), quality=100, subsampling="4:4:4")
    added = box(b"irot", bytes([turns])) + (b"" if mirrored is None else box(b"imir", bytes([mirrored])))
    source.write_bytes(turned(source.read_bytes(), added))
    with Image.open(source) as image:  # which states the orientation and does not apply it
        upright = [np.asarray(ImageOps.exif_transpose(frame)) for frame in ImageSequence.Iterator(image)]
    header = read_header(source)
    assert (header.width, header.height) == (upright[0].shape[1], upright[0].shape[0])
    assert len(header.sizes) == 2
    for expected, picture in zip(upright, decoded(source), strict=True):
        assert np.array_equal(picture.planes[:], expected)
    with Image.open(upscale_file(source, tmp_path / "out.avif", engine=Repeat(), output=LOSSLESS).target) as image:
        assert image.getexif().get(274, 1) == 1
        for expected, frame in zip(upright, ImageSequence.Iterator(image), strict=True):
            assert np.array_equal(np.asarray(frame), expected.repeat(2, 0).repeat(2, 1))


def test_hdr_animations_stay_hdr(tmp_path: Path) -> None:
    frames = noise(3, 3, 10)
    source = tmp_path / "in.avif"
    source.write_bytes(imagecodecs.avif_encode(frames, level=100, bitspersample=10, primaries=9, transfer=16))
    report = upscale_file(source, tmp_path / "out.avif", engine=Repeat(), output=LOSSLESS)
    points = open_picture(report.target).code_points
    assert points is not None
    assert (points.primaries, points.transfer, points.hdr) == (9, 16, "PQ")
    assert report.target.read_bytes().count(b"colrnclx\0\x09\0\x10") == 2, "of the picture and of the track"
    assert np.array_equal(imagecodecs.avif_decode(report.target.read_bytes()), twice(frames))


def test_durations_of_any_fraction_are_exact(tmp_path: Path) -> None:
    from tests.pictures.test_animations import apng

    delays = [(1, 30), (1001, 24_000), (1, 7), (0, 1), (600, 1)]
    path = tmp_path / "in.png"
    path.write_bytes(apng(list(noise(5, 3)), delays=delays))
    report = upscale_file(path, tmp_path / "out.avif", engine=Repeat())
    assert report.notes == ()
    assert timing(report.target).durations == tuple(Fraction(*delay) for delay in delays)


def test_durations_without_a_common_unit_are_rounded_and_noted(tmp_path: Path) -> None:
    from tests.pictures.test_animations import apng

    delays = [(1, 65_521), (1, 65_519), (3, 65_497)]
    path = tmp_path / "in.png"
    path.write_bytes(apng(list(noise(3, 3)), delays=delays))
    report = upscale_file(path, tmp_path / "out.avif", engine=Repeat())
    assert report.notes == ("AVIF stored durations in 1/1,000,000 s: they were rounded",)
    exact, stored = sum(Fraction(*delay) for delay in delays), sum(timing(report.target).durations)
    assert abs(exact - stored) <= Fraction(1, 2_000_000)


def test_an_animation_beside_a_picture_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "in.avif", noise(3, 3))
    content = path.read_bytes()
    path.write_bytes(content[:8] + b"avif" + content[12:])
    report = upscale_file(path, tmp_path / "out.avif", engine=Repeat())
    assert report.frames == 1
    assert "only the first of 3 frames was read" in report.notes


def test_frames_of_another_size_than_the_picture_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "in.avif", noise(3, 3))
    content = bytearray(path.read_bytes())
    place = content.index(b"av01", content.index(b"stsd"))
    struct.pack_into(">H", content, place + 28, 15)
    path.write_bytes(content)
    report = upscale_file(path, tmp_path / "out.avif", engine=Repeat())
    assert (report.frames, report.size) == (1, (16, 10))
    assert "only the first of 3 frames was read" in report.notes


def test_invalid_timing_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "in.avif", noise(3, 3), duration=[10, 20, 30])
    content = bytearray(path.read_bytes())
    place = content.index(b"mdhd")
    struct.pack_into(">I", content, place + (24 if content[place + 4] else 16), 0)
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="timing"):
        upscale_file(path, tmp_path / "out.avif", engine=Repeat())
    assert [file.name for file in tmp_path.iterdir()] == ["in.avif"]


@pytest.mark.parametrize("seed", range(3))
def test_changed_bytes_give_a_result_or_one_line(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path, target = write(tmp_path / "in.avif", noise(3, 4)), tmp_path / "out.png"
    content = path.read_bytes()
    for _ in range(60):
        changed = np.frombuffer(content, np.uint8).copy()
        changed[rng.integers(0, len(content) if rng.random() < 0.5 else 1200, 3)] = rng.integers(0, 256, 3)
        path.write_bytes(changed.tobytes()[: rng.integers(100, len(content)) if rng.random() < 0.3 else None])
        message = str(path)
        try:
            upscale_file(path, target, engine=Repeat(), overwrite=True)
        except MafdnError as error:
            message = str(error)
        assert str(path) in message
        assert "\n" not in message
        assert {file.name for file in tmp_path.iterdir()} <= {"in.avif", "out.png"}


@pytest.mark.slow
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_chromium_shows_every_frame_for_as_long_as_stated(tmp_path: Path, plays: int) -> None:
    if find_chromium() is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    frames = noise(4, 4, height=12)
    frames[..., 3] = np.where(frames[..., 3] > 128, 255, 0)
    source = tmp_path / "in.webp"
    write(source, frames, duration=[10, 250, 33, 1000], loop=plays, lossless=True, exact=True)
    report = upscale_file(source, tmp_path / "out.avif", engine=Repeat(), output=LOSSLESS)
    with chromium() as browser:
        page = browser.new_page()
        page.route("**/*", lambda route: route.fulfill(status=200, content_type="text/html", body="<p>"))
        page.goto("https://animation.test/")  # only pages of secure origins have decoders
        found = page.evaluate(IN_BROWSER, base64.b64encode(report.target.read_bytes()).decode())
    assert found["repeats"] == {0: "Infinity", 1: "0", 3: "2"}[plays]
    assert [frame["duration"] for frame in found["frames"]] == [10_000, 250_000, 33_000, 1_000_000]
    for expected, frame in zip(twice(frames), found["frames"], strict=True):
        shown = np.array(frame["data"], np.uint8).reshape(frame["height"], frame["width"], 4)
        assert np.array_equal(shown, np.where(expected[..., 3:] > 0, expected, 0))
