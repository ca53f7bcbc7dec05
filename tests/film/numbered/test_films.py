"""Numbered pictures as films, and films as numbered pictures."""

from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
import pyvips

from mafdn.errors import MafdnError, PictureError, UsageError
from mafdn.film.assembly import SOURCE, upscale_shots
from mafdn.film.numbered.names import Numbering
from mafdn.film.numbered.reading import numbered_shots
from mafdn.film.numbered.writing import write_pictures
from mafdn.film.options import FilmOptions
from mafdn.film.report import FilmProgress, FilmReport, FilmStopped
from mafdn.film.run import upscaled_frames
from mafdn.film.source.reader import open_film
from mafdn.pictures.limits import Limits
from mafdn.pictures.profiles import to_srgb
from mafdn.pictures.reading import as_rgb8, open_picture
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.output import Output
from mafdn.upscaling.shards import MANIFEST
from tests.film import films, oracle
from tests.film.chain import doubled
from tests.film.support import Fixed
from tests.support import Repeat, draw


def numbering(folder: Path, name: str) -> Numbering:
    found = Numbering.parse(str(folder / name))
    assert found is not None
    return found


def written(film: Path, pictures: Numbering, *, on_progress: Any = lambda _: None, **options: Any) -> FilmReport:
    shared = {name: options.pop(name) for name in ("output", "overwrite") if name in options}
    chosen = FilmOptions(upscale=UpscaleOptions(**shared), **options)
    return write_pictures(film, pictures, networks=Fixed(Repeat()), options=chosen, on_progress=on_progress)


def joined(pictures: Numbering, target: Path, *, on_progress: Any = lambda _: None, **options: Any) -> FilmReport:
    chosen = FilmOptions(**options)
    shots = numbered_shots(pictures, rate=chosen.frame_rate, limits=chosen.upscale.limits)
    return upscale_shots(shots, target, networks=Fixed(Repeat()), options=chosen, on_progress=on_progress)


# --- films as pictures


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return films.make(tmp_path / "film.mp4", films.Film(frames=6))


def test_every_frame_is_a_picture(film: Path, tmp_path: Path) -> None:
    pictures = numbering(tmp_path / "out", "%04d.png")
    report = written(film, pictures)
    assert (report.frames, report.kept_frames, report.encoder) == (6, 0, "PNG")
    assert [path.name for path in pictures.files()] == [f"{n:04d}.png" for n in range(1, 7)]
    frames = upscaled_frames(film, networks=Fixed(Repeat()), options=FilmOptions())
    for frame, path in zip(frames, pictures.files(), strict=True):
        assert np.array_equal(open_picture(path).planes[:], frame.pixels)


def test_the_next_run_keeps_what_is_whole(film: Path, tmp_path: Path) -> None:
    pictures = numbering(tmp_path / "out", "%d.png")

    def stop(at: FilmProgress) -> None:
        if at.done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(FilmStopped) as stopped:
        written(film, pictures, on_progress=stop)
    kept = stopped.value.frames
    assert len(list((tmp_path / "out").glob("*.png"))) == kept < 6
    assert not list((tmp_path / "out").glob(".*.partial"))
    report = written(film, pictures)
    assert (report.kept_frames, report.frames) == (kept, 6)
    contents = [path.read_bytes() for path in pictures.files()]
    pictures.file(2).write_bytes(b"damaged")
    with pytest.raises(PictureError, match="exists; give another name or overwrite it"):
        written(film, pictures)
    pictures.file(2).unlink()
    assert written(film, pictures).kept_frames == 5
    assert [path.read_bytes() for path in pictures.files()] == contents
    assert written(film, pictures, output=Output(strip_metadata=True)).kept_frames == 0, "other settings"


def test_files_of_others_are_not_replaced(film: Path, tmp_path: Path) -> None:
    pictures = numbering(tmp_path, "%d.png")
    pictures.file(3).write_text("mine")
    with pytest.raises(PictureError, match=r"3\.png exists and was not made by this command"):
        written(film, pictures)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["3.png"]
    written(film, pictures, overwrite=True)
    assert pictures.file(3).read_bytes()[:4] == b"\x89PNG"


def test_pictures_of_a_longer_run_are_noted(film: Path, tmp_path: Path) -> None:
    pictures = numbering(tmp_path / "out", "%d.png")
    others = "not of this run, but named like its pictures: "
    assert others not in "".join(written(film, pictures).notes)
    report = written(film, pictures, end=0.1)  # 25 frames/s
    assert 1 < report.frames < 5
    assert f"{others}{report.frames + 1}.png to 6.png ({6 - report.frames} pictures)" in report.notes
    for number in range(report.frames + 1, 6):
        pictures.file(number).unlink()
    assert f"{others}6.png" in written(film, pictures, end=0.1).notes


def test_the_format_is_that_of_the_names(film: Path, tmp_path: Path) -> None:
    pictures = numbering(tmp_path / "out", "%d.png")
    with pytest.raises(UsageError, match=r"%d\.png does not end in \.jpg or "):
        written(film, pictures, output=Output(format="jpeg"))
    assert not (tmp_path / "out").exists()
    assert written(film, pictures, output=Output(format="png")).encoder == "PNG"


def test_pictures_are_upright_and_deep(tmp_path: Path) -> None:
    film = films.make(
        tmp_path / "film.mp4", films.Film(frames=3, rotation=90, colors=films.BT2020_PQ, **films.TEN_BITS)
    )
    pictures = numbering(tmp_path, "%d.png")
    report = written(film, pictures)
    picture = open_picture(pictures.file(1))
    assert (picture.width, picture.height, picture.planes.dtype, report.bits) == (96, 128, np.uint16, 16)
    assert picture.code_points is not None
    assert (picture.code_points.primaries, picture.code_points.transfer) == (9, 16)
    frame = next(upscaled_frames(film, networks=Fixed(Repeat()), options=FilmOptions()))
    assert np.array_equal(picture.planes[:], frame.pixels)
    assert (report.size, report.new_size) == ((48, 64), (96, 128))
    with pytest.raises(MafdnError, match=r"HDR|PQ"):
        written(film, numbering(tmp_path, "%d.jpg"))


@pytest.mark.parametrize(
    ("across", "down", "seen"),
    [
        ((1, 0), (0, 1), lambda frame: frame),
        ((-1, 0), (0, 1), np.fliplr),
        ((1, 0), (0, -1), np.flipud),
        ((-1, 0), (0, -1), lambda frame: np.rot90(frame, 2)),
        ((0, 1), (-1, 0), lambda frame: np.rot90(frame, -1)),
        ((0, -1), (1, 0), np.rot90),
        ((0, 1), (1, 0), lambda frame: np.fliplr(np.rot90(frame, -1))),
        ((0, -1), (-1, 0), lambda frame: np.fliplr(np.rot90(frame))),
    ],
)
def test_pictures_are_turned_and_mirrored_as_players_do(
    film: Path, tmp_path: Path, across: tuple[int, int], down: tuple[int, int], seen: Any
) -> None:
    """Front cameras record mirrored films; a step across and one down in a frame lead where its matrix says."""
    turned, pictures = tmp_path / "turned.mp4", numbering(tmp_path, "%d.png")
    with av.open(str(film)) as source, av.open(str(turned), "w") as target:
        stream: Any = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix([value << 16 for value in (*across, 0, *down, 0, 0, 0)] + [1 << 30])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    written(turned, pictures)
    with open_film(turned) as opened:
        right = seen(doubled(next(opened.frames()).pixels))
    frame = next(upscaled_frames(turned, networks=Fixed(Repeat()), options=FilmOptions()))
    assert np.array_equal(open_picture(pictures.file(1)).planes[:], right)
    assert np.array_equal(frame.pixels, right)


def test_shapes_of_pixels_are_kept_as_print_sizes(tmp_path: Path) -> None:
    film = films.make(tmp_path / "film.mp4", films.Film(frames=1, aspect=Fraction(32, 27), size=(72, 48)))
    pictures = numbering(tmp_path, "%d.png")
    written(film, pictures)
    x, y = open_picture(pictures.file(1)).pixels_per_mm
    assert y / x == pytest.approx(32 / 27, rel=1e-3)


# --- pictures as films


@oracle.needs_ffprobe
def test_pictures_become_a_film(tmp_path: Path) -> None:
    frames = [films.chart((64, 48), seed=seed) for seed in range(4)]
    for number, frame in enumerate(frames, 8):
        pyvips.Image.new_from_array(frame, interpretation="srgb").pngsave(str(tmp_path / f"{number:03d}.png"))
    target = tmp_path / "film.mkv"
    report = joined(numbering(tmp_path, "%03d.png"), target, rate="30000/1001", codec="ffv1")
    assert (report.frames, report.source.name, report.new_size) == (4, "%03d.png", (128, 96))
    assert float(report.frame_rate or 0) == pytest.approx(30_000 / 1001)
    shown = oracle.frames(target)
    assert [float(moment.begin) for moment in shown] == pytest.approx([n * 1001 / 30_000 for n in range(4)], abs=1e-3)
    for decoded, frame in zip(films.decoded(target, form="rgb24"), frames, strict=True):
        assert np.array_equal(decoded, frame.repeat(2, 0).repeat(2, 1))
    assert not (tmp_path / SOURCE.format("film.mkv")).exists()


@pytest.mark.parametrize(
    ("numbers", "note"),
    [
        ((3, 4, 5), None),
        ((3, 5), "the number 4 is missing; the film is shorter by as many frames"),
        ((3, 5, 8), "3 numbers (4, 6, 7) are missing; the film is shorter by as many frames"),
        ((3, 1008), "1,004 numbers (4, 5, 6, …) are missing; the film is shorter by as many frames"),
    ],
)
def test_missing_numbers_are_noted(numbers: tuple[int, ...], note: str | None, tmp_path: Path) -> None:
    for number in numbers:
        draw(tmp_path / f"{number}.png", 0, (24, 32))
    shots = numbered_shots(numbering(tmp_path, "%d.png"), rate=Fraction(25), limits=Limits())
    assert (shots.count, shots.notes) == (len(numbers), () if note is None else (note,))


def test_pictures_become_films_with_the_longest_names(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", 0, (24, 32))
    name = "漫" * 83 + ".mkv"
    joined(numbering(tmp_path, "%d.png"), tmp_path / name, codec="ffv1", thumbnails=True)
    made = {path.name for path in tmp_path.iterdir()} - {"1.png", name}
    assert len(made) == 2
    assert all(path.endswith((".before.png", ".after.png")) for path in made)


def test_deep_and_gray_pictures_become_films(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65_536, (24, 32, 1), np.uint16)
    pyvips.Image.new_from_array(values, interpretation="grey16").pngsave(str(tmp_path / "1.png"))
    report = joined(numbering(tmp_path, "%d.png"), tmp_path / "film.mkv", codec="ffv1")
    assert report.bits == 16
    frame = next(upscaled_frames(tmp_path / "film.mkv", networks=Fixed(Repeat(1)), options=FilmOptions()))
    assert np.array_equal(frame.pixels, np.broadcast_to(values.repeat(2, 0).repeat(2, 1), (48, 64, 3)))


def test_a_stopped_film_of_pictures_resumes(tmp_path: Path) -> None:
    for number in range(12):
        draw(tmp_path / f"{number}.png", number, (24, 32))
    pictures, target = numbering(tmp_path, "%d.png"), tmp_path / "film.mp4"
    options: dict[str, Any] = {"preset": "ultrafast", "segment_frames": 3}
    right = joined(pictures, tmp_path / "right.mp4", **options).target.read_bytes()

    def stop(at: FilmProgress) -> None:
        if at.phase == "frames" and at.done == 11:
            raise KeyboardInterrupt

    with pytest.raises(FilmStopped):
        joined(pictures, target, on_progress=stop, **options)
    report = joined(pictures, target, **options)
    assert report.kept_frames > 0
    assert target.read_bytes() == right
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".png"} == {"film.mp4", "right.mp4"}


@pytest.mark.parametrize("profile", ["DisplayP3-v4.icc", "scRGB-v2.icc", "sRGB-v4.icc"])
@pytest.mark.parametrize("deep", [False, True])
def test_colors_become_srgb(profile: str, icc: Path, tmp_path: Path, *, deep: bool) -> None:
    shift, kind = (65_535, "rgb16") if deep else (255, "srgb")
    values = (np.indices((24, 32)).sum(axis=0)[..., None] * (0.015, 0.01, 0.005) + 0.1) * shift
    image = pyvips.Image.new_from_array(values).cast("ushort" if deep else "uchar").copy(interpretation=kind)
    given = (icc / profile).read_bytes()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", cast(Any, given))
    image.pngsave(str(tmp_path / "1.png"))
    picture = open_picture(tmp_path / "1.png")
    pictures = numbering(tmp_path, "%d.png")
    report = joined(pictures, tmp_path / "film.mkv", codec="ffv1")
    converted = profile != "sRGB-v4.icc"
    assert ("the colors of the pictures were converted to sRGB" in report.notes) == converted
    shown = values.astype(np.uint16 if deep else np.uint8)
    if converted:
        wide = shown if deep else shown.astype(np.uint16) * np.uint16(257)
        shown = to_srgb(np.ascontiguousarray(wide), given)
        shown = shown if deep else as_rgb8(shown)
        assert np.abs(shown.astype(int) - picture.color).max() > 5 * shift / 255, "the profile matters"
    with open_film(tmp_path / "film.mkv") as film:
        (frame,) = film.frames()
    assert np.array_equal(frame.pixels, doubled(shown))


def test_transparent_areas_become_white(tmp_path: Path) -> None:
    values = np.zeros((24, 32, 4), np.uint8)
    values[:, 16:, 3] = 255
    values[12:, :, :3] = (200, 100, 0)
    values[12:, 16:, 3] = 51
    pyvips.Image.new_from_array(values).copy(interpretation="srgb").pngsave(str(tmp_path / "1.png"))
    report = joined(numbering(tmp_path, "%d.png"), tmp_path / "film.mkv", codec="ffv1")
    assert "films have no transparency: transparent areas became white" in report.notes
    with open_film(tmp_path / "film.mkv") as film:
        (frame,) = film.frames()
    assert (frame.pixels[:, :32] == 255).all()
    assert (frame.pixels[:24, 32:] == 0).all()
    assert (frame.pixels[24:, 32:] == (244, 224, 204)).all()


def test_unfit_pictures_are_named(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", 0, (24, 32))
    draw(tmp_path / "2.png", 0, (24, 30))
    pictures = numbering(tmp_path, "%d.png")
    with pytest.raises(PictureError, match=r"2\.png has 30x24 pixels, and 1\.png 32x24"):
        joined(pictures, tmp_path / "film.mp4")
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"2\.png"):
        joined(pictures, tmp_path / "film.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"1.png", "2.png"}
    for rate in ("fast", "0", "1/0", "-1", "1e9"):
        with pytest.raises(UsageError, match="rate must be"):
            FilmOptions(rate=rate)


def test_colors_that_the_film_would_not_keep_are_refused(tmp_path: Path) -> None:
    film = films.make(tmp_path / "hdr.mp4", films.Film(frames=3, colors=films.BT2020_PQ, **films.TEN_BITS))
    pictures = numbering(tmp_path, "%d.png")
    written(film, pictures)
    with pytest.raises(PictureError, match=r"1\.png has HDR \(PQ\) colors"):
        joined(pictures, tmp_path / "film.mkv")
    assert not list(tmp_path.glob("*film.mkv*"))


def test_one_run_at_a_time_puts_a_film_together(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", 0, (24, 32))
    pictures, target = numbering(tmp_path, "%d.png"), tmp_path / "film.mp4"
    refused: list[str] = []

    def again(at: FilmProgress) -> None:
        if at.phase == "reading" and not refused:
            with pytest.raises(MafdnError, match=r"another run is working on .*film\.mp4") as error:
                joined(pictures, target)
            refused.append(str(error.value))

    joined(pictures, target, on_progress=again, preset="ultrafast")
    assert refused
    assert {path.name for path in tmp_path.iterdir()} == {"1.png", "film.mp4"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("film.xyz", {}, "not a name for a film"),
        ("film.webm", {"codec": "x264"}, "webm cannot hold x264"),
        ("film.mp4", {"codec": "x264", "crf": 60}, "crf must be between"),
        ("film.mp4", {"upscale": UpscaleOptions(limits=Limits(pixels=1_000))}, r"1\.png would become"),
    ],
)
def test_what_cannot_become_a_film_is_refused_before_all_pictures_are_read(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    draw(tmp_path / "1.png", 0, (24, 32))
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(MafdnError, match=message):
        joined(numbering(tmp_path, "%d.png"), tmp_path / name, **options)
    assert {path.name for path in tmp_path.iterdir()} == {"1.png", "2.png"}


def test_manifests_of_pictures_are_those_of_folders(film: Path, tmp_path: Path) -> None:
    written(film, numbering(tmp_path / "out", "%d.png"))
    assert (tmp_path / "out" / MANIFEST).is_file()
