"""The viewer process's answers, asked for in this process."""

import time
from pathlib import Path

import pytest

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
