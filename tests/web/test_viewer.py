"""The viewer process's answers, asked for in this process."""

import time
from pathlib import Path

import pytest
import pyvips

from mafdn.pictures.limits import Limits
from mafdn.pictures.reading import read_header
from mafdn.web.options import build_options
from mafdn.web.processes.viewer import Viewer
from tests.support import draw


@pytest.mark.parametrize("age", [0.0, 10_000.0])
def test_the_time_limit_begins_with_each_request(tmp_path: Path, age: float) -> None:
    limits = Limits(seconds=60, began=time.monotonic() - age)
    picture = draw(tmp_path / "a.png")
    viewer = Viewer(limits, tmp_path)
    message = {"source": str(picture), "options": {"scale": 2}, "scale": 2}
    assert viewer.inspect(message)["sizes"] == [((16, 12), (32, 24))]
    assert not build_options({}, limits).limits.exceeded
    window = {"x": 0, "y": 0, "width": 8, "height": 8, "reduce": 1}
    assert viewer.view({"path": str(picture), "frame": None, "window": window, "new_size": None, "kind": "png"})
    viewer.crop({"path": str(picture), "size": (10, 6)})
    header = read_header(picture)
    assert (header.width, header.height) == (10, 6)


def test_cropping_changes_sizes_but_no_resolutions(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png")
    fields = {
        "exif-ifd0-XResolution": "300/1 (300, Rational, 1 components, 8 bytes)",
        "exif-ifd2-FocalPlaneXResolution": "5000/1 (5000, Rational, 1 components, 8 bytes)",
        "exif-ifd2-FocalPlaneYResolution": "4000/1 (4000, Rational, 1 components, 8 bytes)",
    }
    image = pyvips.Image.new_from_file(str(picture), memory=True).copy(xres=4, yres=5)
    for name, text in fields.items():
        image.set_type(pyvips.GValue.gstr_type, name, text)
    image.pngsave(str(picture))
    Viewer(Limits(), tmp_path).crop({"path": str(picture), "size": (10, 6)})
    cropped = pyvips.Image.new_from_file(str(picture))
    assert (cropped.width, cropped.height) == (10, 6)
    assert (cropped.xres, cropped.yres) == pytest.approx((4, 5), rel=1e-3)
    assert str(cropped.get("exif-ifd2-FocalPlaneXResolution")).startswith("5000/1")
    assert str(cropped.get("exif-ifd2-FocalPlaneYResolution")).startswith("4000/1")
    assert str(cropped.get("exif-ifd2-PixelXDimension")).startswith("10 ")
