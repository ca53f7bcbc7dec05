"""Folders of all formats: those that are read, and those that are not and are skipped by their names."""

from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from mafdn.upscaling.output import Output
from tests.upscaling.conftest import upscale


def ramps() -> np.ndarray:
    y, x = np.mgrid[:70, :90]
    return np.stack([x * 2, y * 3, x + y], -1).astype(np.uint8)


def test_in_a_folder_they_are_skipped_and_other_files_are_no_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, start in {"exr.bin": b"v/1\x01", "document": b"%PDF-1.7", "film.mp4": b"\0\0\0\x18ftypisom"}.items():
        (folder / name).write_bytes(start + bytes(40))
    (folder / "drawing.svg").write_text("<?xml version='1.0'?><!-- no root in sight -->")
    for name in ("notes.txt", "Thumbs.db", "desktop.ini", "archive.zip", "page.html"):
        (folder / name).write_bytes(b"PK\3\4 <html> some text")
    Image.fromarray(ramps()).save(folder / "a.png")
    report = upscale(folder, tmp_path / "out")
    assert not report.failed
    skipped = {item.source.name for item in report.with_status("skipped")}
    assert skipped == {"exr.bin", "document", "film.mp4", "drawing.svg"}
    assert report.counts["done"] == 1
    assert report.not_pictures == 5


def test_lossless_in_a_folder_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.jpg"):
        Image.fromarray(ramps()).save(tmp_path / "in" / name)
    output = Output(lossless=True)
    report = upscale(tmp_path / "in", tmp_path / "out", output=output)
    reason = "JPEG is never lossless; choose the format png, webp, tiff, avif or jxl (option format)"
    assert [(item.source.name, item.reason) for item in report.with_status("failed")] == [("b.jpg", reason)]
    assert upscale(tmp_path / "in", tmp_path / "out", output=replace(output, format="png")).counts["failed"] == 0


def test_a_folder_of_all_formats(tmp_path: Path) -> None:
    folder, pixels = tmp_path / "in", ramps()
    folder.mkdir()
    for suffix in ("bmp", "tga", "qoi", "ico", "jp2", "png", "jpg", "webp", "tif", "gif", "avif", "ppm"):
        Image.fromarray(pixels[:64, :64]).save(folder / f"{suffix}.{suffix}")
    (folder / "jxl.jxl").write_bytes(imagecodecs.jpegxl_encode(pixels))
    report = upscale(folder, tmp_path / "out")
    assert (report.counts["done"], report.counts["failed"]) == (13, 0)
    names = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}
    kept = {f"{suffix}_x2.{suffix}" for suffix in "bmp tga qoi jp2 png jpg webp tif gif avif ppm jxl".split()}  # noqa: SIM905
    assert names == kept | {"ico_x2.png"}
