"""TIFF files of several pages; tifffile and Pillow are the independent readers."""

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mafdn.errors import DamagedError, PictureError
from mafdn.pictures.codecs.patched import PatchedFile
from mafdn.pictures.codecs.tiff.directory import NUMBER_TAGS
from mafdn.pictures.codecs.tiff.pages import read_pages
from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import open_picture, read_header
from mafdn.upscaling.output import Output
from mafdn.upscaling.size import Size
from tests.support import Repeat, upscale_file

Page = NDArray[Any]


def noise(shape: tuple[int, ...], dtype: type[np.generic] = np.uint8, seed: int = 0) -> Page:
    """Random pixels without fully clear ones, whose hidden colors would not be kept."""
    if dtype in (np.float32, np.float16):
        return np.random.default_rng(seed).random(shape).astype(dtype)
    return np.random.default_rng(seed).integers(1, int(np.iinfo(dtype).max) + 1, shape).astype(dtype)  # pyright: ignore


MIXED = [
    noise((20, 30, 3)),
    noise((10, 12), np.uint16, 1),
    np.dstack([noise((70, 90, 3), np.uint8, 2), noise((70, 90), np.uint8, 5) // 2 + 60]),
    noise((33, 17, 3), np.uint16, 3),
    noise((15, 40), np.uint8, 4),
]


def document(path: Path, pages: list[Page], *, tiled: bool = False, **options: Any) -> Path:
    """Write pages with tifffile, each with a resolution, a name and a number of its own."""
    with tifffile.TiffWriter(path, **options) as file:
        for number, page in enumerate(pages):
            file.write(
                page,
                photometric="rgb" if page.ndim == 3 else "minisblack",
                extrasamples=["unassalpha"] if page.ndim == 3 and page.shape[2] == 4 else None,
                tile=(16, 16) if tiled else None,
                resolution=(100 + number, 200 + number),
                resolutionunit=2,
                metadata=None,
                extratags=[(285, 2, None, f"page {number}", True), (297, 3, 2, (number, len(pages)), True)],
            )
    return path


def larger(page: Page) -> Page:
    return page.repeat(2, 0).repeat(2, 1)


def pages_of(path: Path) -> list[Page]:
    with tifffile.TiffFile(path) as file:
        return [page.asarray() for page in file.pages]


def same(found: list[Page], wanted: list[Page]) -> None:
    assert [(page.shape, page.dtype) for page in found] == [(page.shape, page.dtype) for page in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"bigtiff": True}, {"byteorder": ">"}, {"byteorder": ">", "bigtiff": True}], ids=str
)
def test_every_page_is_upscaled(tmp_path: Path, options: dict[str, Any], tiled: bool) -> None:
    path = document(tmp_path / "a.tif", MIXED, tiled=tiled, **options)
    report = upscale_file(path, engine=Repeat())
    assert (report.frames, report.size, report.new_size, report.bits) == (5, (30, 20), (60, 40), 16)
    assert report.notes == ()
    same(pages_of(report.target), [larger(page) for page in MIXED])
    with Image.open(report.target) as image:
        assert getattr(image, "n_frames", 1) == 5
        image.seek(4)
        assert np.array_equal(np.asarray(image), larger(MIXED[4]))


def test_pages_keep_their_own_names_numbers_resolutions_and_profiles(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for number in range(3):
            file.write(
                noise((12, 16, 3), seed=number),
                photometric="rgb",
                resolution=(100 + number, 200),
                resolutionunit=2,
                metadata=None,
                software=f"program {number}",
                iccprofile=profile if number == 1 else None,
                extratags=[
                    (285, 2, None, f"a page with a long name {number}", True),
                    (297, 3, 2, (number + 7, 0), True),
                ],
            )
    report = upscale_file(path, engine=Repeat())
    with tifffile.TiffFile(report.target) as file:
        for number, page in enumerate(file.pages):
            tags = {tag.name: tag.value for tag in page.tags}  # pyright: ignore
            assert tags["PageName"] == f"a page with a long name {number}"
            assert tags["PageNumber"] == (number + 7, 0)
            assert tags["Software"] == f"program {number}"
            assert tags["NewSubfileType"] == 2
            assert np.allclose(np.divide(*tags["XResolution"]), 100 + number)
            assert (tags.get("InterColorProfile") == profile) == (number == 1)


def test_exif_and_gps_of_every_page_move_with_it(tmp_path: Path) -> None:
    images = [Image.fromarray(noise((12, 16, 3), seed=seed)) for seed in range(3)]
    exifs: list[Image.Exif] = []
    for number in range(3):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"2026:01:0{number + 1} 10:00:00"
        exif.get_ifd(0x8825).update({1: "N", 2: (10.0 + number, 20.0, 30.0)})
        exif[0x8769] = exif[0x8825] = {}
        exifs.append(exif)
    path = tmp_path / "a.tif"
    parts = []
    for number, (image, exif) in enumerate(zip(images, exifs, strict=True)):
        part = tmp_path / f"part{number}.tif"
        image.save(part, exif=exif)
        parts.append(part)
    from mafdn.pictures.picture import Picture
    from mafdn.pictures.sequences.join_tiff import TiffJoiner

    with path.open("w+b") as file:  # as Pillow writes EXIF of the first page only
        joiner = TiffJoiner(file, 3)
        for part, image in zip(parts, images, strict=True):
            joiner.add(part, Picture(planes=np.asarray(image), format=read_header(part).format))
    report = upscale_file(path, tmp_path / "b.tif", engine=Repeat())
    for result in (path, report.target):
        with tifffile.TiffFile(result) as file:
            assert len(file.pages) == 3
            for number, page in enumerate(file.pages):
                assert page.tags["ExifTag"].value["DateTimeOriginal"] == f"2026:01:0{number + 1} 10:00:00"  # pyright: ignore
                assert page.tags["GPSTag"].value["GPSLatitude"][:2] == (10 + number, 1)  # pyright: ignore


@pytest.mark.parametrize("number", [1, 2, 5])
def test_one_page_can_be_chosen(tmp_path: Path, number: int) -> None:
    path = document(tmp_path / "a.tif", MIXED)
    report = upscale_file(path, tmp_path / "b.tif", engine=Repeat(), frame=number)
    same(pages_of(report.target), [larger(MIXED[number - 1])])
    assert (report.frames, report.notes) == (1, ())
    with pytest.raises(PictureError, match=r"a\.tif has no frame or page 6, only 5"):
        upscale_file(path, tmp_path / "c.tif", engine=Repeat(), frame=6)


def test_other_formats_hold_the_first_page(tmp_path: Path) -> None:
    path = document(tmp_path / "a.tif", MIXED)
    for ending in ("png", "jpg", "webp", "gif"):
        report = upscale_file(path, tmp_path / f"b.{ending}", engine=Repeat())
        assert "only the first of 5 pages was read" in report.notes
        assert report.frames == 1


@pytest.mark.parametrize("first", [False, True])
def test_reduced_copies_and_masks_are_no_pages(tmp_path: Path, first: bool) -> None:
    path = tmp_path / "a.tif"
    pages, copies = [noise((20, 30, 3), seed=n) for n in range(2)], [noise((5, 7, 3), seed=9)] * 2
    order = (
        [(copies[0], 1), (pages[0], 0), (pages[1], 2), (copies[1], 1)]
        if first
        else [(pages[0], 0), (copies[0], 1), (pages[1], 2), (copies[1], 1)]
    )
    with tifffile.TiffWriter(path) as file:
        for page, kind in order:
            file.write(page, photometric="rgb", subfiletype=kind, metadata=None)
    assert np.array_equal(open_picture(path).planes[:], pages[0])
    report = upscale_file(path, engine=Repeat())
    assert "2 reduced copies or masks were left out" in report.notes
    same(pages_of(report.target), [larger(page) for page in pages])
    upscale_file(path, tmp_path / "b.tif", engine=Repeat(), frame=2)
    same(pages_of(tmp_path / "b.tif"), [larger(pages[1])])


def test_thumbnails_in_directories_below_a_page_are_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = [noise((20, 30, 3), seed=n) for n in range(2)]
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, photometric="rgb", subifds=1, metadata=None)
            file.write(page[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    report = upscale_file(path, engine=Repeat())
    same(pages_of(report.target), [larger(page) for page in pages])


def test_the_older_tag_of_reduced_copies_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = [noise((20, 30, 3)), noise((5, 7, 3), seed=1), noise((20, 30, 3), seed=2)]
    with tifffile.TiffWriter(path) as file:
        for page, kind in zip(pages, (1, 2, 3), strict=True):
            file.write(page, photometric="rgb", metadata=None, extratags=[(255, 3, 1, kind, True)])
    data = path.read_bytes().replace(struct.pack("<HHI", 254, 4, 1), struct.pack("<HHI", 65_000, 4, 1))
    path.write_bytes(data)  # without the newer tag
    report = upscale_file(path, engine=Repeat())
    same(pages_of(report.target), [larger(pages[0]), larger(pages[2])])
    assert "1 reduced copy or mask was left out" in report.notes


def test_a_pyramid_is_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    page = noise((64, 64, 3))
    with tifffile.TiffWriter(path) as file:
        for level in range(3):
            file.write(page[:: 2**level, :: 2**level], photometric="rgb", subfiletype=min(level, 1), metadata=None)
    report = upscale_file(path, tmp_path / "b.tif", engine=Repeat())
    same(pages_of(report.target), [larger(page)])
    assert report.notes == ("2 reduced copies or masks were left out",)


def test_turned_pages_are_turned(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = [noise((20, 30, 3), seed=n) for n in range(3)]
    with tifffile.TiffWriter(path) as file:
        for page, orientation in zip(pages, (1, 6, 3), strict=True):
            file.write(page, photometric="rgb", metadata=None, extratags=[(274, 3, 1, orientation, True)])
    report = upscale_file(path, engine=Repeat())
    turned = [pages[0], np.rot90(pages[1], -1), np.rot90(pages[2], 2)]
    same(pages_of(report.target), [larger(page) for page in turned])


def test_float_pages_stay_float(tmp_path: Path) -> None:
    pages = [noise((20, 30, 3), np.float32), noise((10, 12, 3), np.uint8, 1), noise((9, 9), np.float32, 2)]
    path = document(tmp_path / "a.tif", pages)
    report = upscale_file(path, engine=Repeat())
    found = pages_of(report.target)
    assert [(page.shape, page.dtype) for page in found] == [(larger(page).shape, page.dtype) for page in pages]
    assert np.array_equal(found[1], larger(pages[1]))


def test_each_page_gets_the_size_that_is_asked_for(tmp_path: Path) -> None:
    path = document(tmp_path / "a.tif", [noise((20, 30, 3)), noise((60, 15, 3))])
    report = upscale_file(path, engine=Repeat(), size=Size(longest=120))
    assert [page.shape for page in pages_of(report.target)] == [(80, 120, 3), (120, 30, 3)]
    assert any("beyond x2" in note for note in report.notes)


def test_the_network_suits_the_page_that_is_enlarged_most(tmp_path: Path) -> None:
    from mafdn.upscaling import picture
    from mafdn.upscaling.networks import SingleNetwork
    from mafdn.upscaling.options import UpscaleOptions

    class Choosing(SingleNetwork):
        asked = (0, 0)

        def scale_for(self, size: Size | None, width: int, height: int) -> int:
            del size
            self.asked = width, height
            return 2

    path = document(tmp_path / "a.tif", [noise((20, 30, 3)), noise((10, 10, 3)), noise((40, 60, 3))])
    networks = Choosing(Repeat(2))
    options = UpscaleOptions(size=Size(width=120))
    picture.upscale_file(path, tmp_path / "b.tif", networks=networks, options=options)
    assert networks.asked == (10, 10)
    picture.upscale_file(path, tmp_path / "b.png", networks=networks, options=options)
    assert networks.asked == (30, 20)


def test_damage_names_the_page(tmp_path: Path) -> None:
    path = document(tmp_path / "a.tif", MIXED, tiled=True)
    with tifffile.TiffFile(path) as file:
        place = file.pages[2].tags["TileOffsets"].valueoffset  # pyright: ignore
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, place, 2**31)
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=r"a\.tif seems damaged.*, page 3"):
        upscale_file(path, engine=Repeat())
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("place", [2**31, 8])
def test_a_broken_list_of_pages_is_damage(tmp_path: Path, place: int) -> None:
    path = document(tmp_path / "a.tif", MIXED[:3])
    with tifffile.TiffFile(path) as file:
        last = file.pages[2].offset  # pyright: ignore
        start = file.pages[0].offset
    data = bytearray(path.read_bytes())
    count = int.from_bytes(data[last : last + 2], "little")
    struct.pack_into("<I", data, last + 2 + 12 * count, place if place > 8 else start)
    path.write_bytes(data)
    with pytest.raises(DamagedError, match="the list of its pages ends after 3 of them"):
        upscale_file(path, engine=Repeat())
    upscale_file(path, tmp_path / "b.tif", engine=Repeat(), frame=2)
    same(pages_of(tmp_path / "b.tif"), [larger(MIXED[1])])
    if place == 8:  # libvips refuses others
        assert upscale_file(path, tmp_path / "b.png", engine=Repeat()).frames == 1


@pytest.mark.parametrize("options", [{}, {"byteorder": ">", "bigtiff": True}], ids=str)
def test_the_other_pages_are_not_read_to_find_one(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = PatchedFile.read

    def counted(self: PatchedFile, length: int) -> bytes:
        data = read(self, length)
        reads.append(len(data))
        return data

    monkeypatch.setattr(PatchedFile, "read", counted)
    pages = [noise((8, 9), seed=number) for number in range(200)]
    path = document(tmp_path / "a.tif", pages, **options)
    header = read_header(path, number=200)
    assert np.array_equal(header.decode().planes[:][..., 0], pages[199])
    assert 0 < sum(reads) < path.stat().st_size / 2
    reads.clear()
    same([picture.planes[:][..., 0] for picture in read_header(path).decode_all()], pages)
    assert len(reads) < 80 * len(pages)  # each would be read for each otherwise


def test_pages_of_files_at_the_size_limit_of_tiff_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = document(tmp_path / "a.tif", MIXED)
    monkeypatch.setattr("mafdn.pictures.codecs.tiff.pages.LARGEST", path.stat().st_size)
    report = upscale_file(path, engine=Repeat())
    same(pages_of(report.target), [larger(page) for page in MIXED])


def test_limits_are_for_all_pages(tmp_path: Path) -> None:
    path = document(tmp_path / "a.tif", MIXED[:2])
    with pytest.raises(PictureError, match=r"would become 2 frames or pages of 2,880 pixels in all"):
        upscale_file(path, engine=Repeat(), limits=Limits(pixels=2_879))
    assert upscale_file(path, engine=Repeat(), limits=Limits(pixels=2_880)).frames == 2


def test_files_beyond_the_size_of_tiff_are_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mafdn.upscaling.picture.BIG", 10_000)
    path = document(tmp_path / "a.tif", MIXED)
    report = upscale_file(path, engine=Repeat())
    with tifffile.TiffFile(report.target) as file:
        assert file.is_bigtiff
        assert [page.tags["PageName"].value for page in file.pages] == [f"page {n}" for n in range(5)]  # pyright: ignore
    same(pages_of(report.target), [larger(page) for page in MIXED])


def test_metadata_is_removed_from_every_page(tmp_path: Path) -> None:
    path = document(tmp_path / "a.tif", MIXED[:2])
    report = upscale_file(path, engine=Repeat(), output=Output(strip_metadata=True))
    with tifffile.TiffFile(report.target) as file:
        assert not [page for page in file.pages if "PageName" in page.tags]  # pyright: ignore
    same(pages_of(report.target), [larger(page) for page in MIXED[:2]])


def test_lists_of_tiles_that_directories_share_are_kept_for_none(tmp_path: Path) -> None:
    count, shared = 50, 1 << 15
    size = 2 + 12 * len(NUMBER_TAGS) + 4
    data = bytearray(b"II*\0" + struct.pack("<I", 8 + shared) + bytes(shared))
    for number in range(count):
        data += struct.pack("<H", len(NUMBER_TAGS))
        for tag in sorted(NUMBER_TAGS):
            data += (
                struct.pack("<HHII", tag, 4, 1, 9 + number) if tag == 256 else struct.pack("<HHII", tag, 1, shared, 8)
            )
        data += struct.pack("<I", 8 + shared + (number + 1) * size if number < count - 1 else 0)
    (tmp_path / "a.tif").write_bytes(data)
    tracemalloc.start()
    try:
        pages = read_pages(tmp_path / "a.tif")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [page.upright_size for _, page in pages.directories] == [(9 + number, 0) for number in range(count)]
    assert (pages.copies, pages.broken) == (0, False)
    assert most < 1 << 20


def test_memory_is_that_of_one_page(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = document(tmp_path / f"{count}.tif", [noise((256, 256, 3), seed=n) for n in range(count)])
        upscale_file(path, engine=Repeat())
        tracemalloc.start()
        upscale_file(path, engine=Repeat(), overwrite=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(2), peak(30)
    assert many < few * 1.3
