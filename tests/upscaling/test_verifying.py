"""Verification of results as they are created: files, streams, folders and the manifest."""

import io
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mafdn
from mafdn import UpscaleOptions, UsageError
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.folder.manifest import Manifest
from mafdn.upscaling.folder.plan import NOT_VERIFIED
from mafdn.upscaling.networks import SingleNetwork
from mafdn.upscaling.shards import MANIFEST
from mafdn.upscaling.streams import upscale_stream
from mafdn.verification import verify as comparison
from tests.support import Repeat, draw, upscale_file
from tests.upscaling.conftest import upscale
from tests.verification.support import save, smooth


class Darker(Repeat):
    """A network that is not faithful."""

    def run(self, x: NDArray[Any]) -> NDArray[Any]:
        return super().run(x) * np.float32(0.5)


def test_a_file(tmp_path: Path) -> None:
    source, target = save(tmp_path / "a.jpg", smooth(96, 128), quality=80), tmp_path / "b.png"
    steps: list[tuple[int, int]] = []
    report = upscale_file(
        source, target, engine=Repeat(), verify=True, on_progress=lambda done, total: steps.append((done, total))
    )
    assert report.verification == mafdn.verify(source, target)
    assert steps[-1] == (96, 96)
    assert upscale_file(source, tmp_path / "c.png", engine=Repeat()).verification is None
    dark = upscale_file(source, tmp_path / "d.png", engine=Darker(), verify=True).verification
    assert dark is not None
    assert report.verification is not None
    assert dark.mean_difference > report.verification.mean_difference + 20
    assert dark.coefficients is not None
    assert report.verification.coefficients is not None
    assert report.verification.coefficients.luma.nonzero_share == pytest.approx(1, abs=0.05)
    assert dark.coefficients.luma.nonzero_share == pytest.approx(0.4, abs=0.1)


def test_every_size_and_depth(tmp_path: Path) -> None:
    source = draw(tmp_path / "a.png", size=(31, 45))
    for number, size in enumerate((3, 1.37, 0.5, mafdn.Size(width=301))):
        report = upscale_file(source, tmp_path / f"{number}.tif", engine=Repeat(), size=size, verify=True)
        assert report.verification is not None
        assert report.verification.result_size == report.new_size


def test_frames(tmp_path: Path) -> None:
    from tests.verification.test_verify import frames

    pictures = [open_picture(draw(tmp_path / f"{n}.png", n)).color for n in range(3)]
    source = frames(tmp_path / "a.webp", [pictures[0], pictures[1], pictures[1], pictures[2]])
    several = upscale_file(
        source, tmp_path / "b.webp", engine=Repeat(), verify=True, output=mafdn.Output(lossless=True)
    )
    one = upscale_file(source, tmp_path / "c.png", engine=Repeat(), verify=True, frame=2)
    assert several.verification is not None
    assert several.verification.frames == several.frames
    assert one.verification == mafdn.verify(source, tmp_path / "c.png", frame=2)


def test_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, target = draw(tmp_path / "a.png").read_bytes(), io.BytesIO()
    options, networks = UpscaleOptions(verify=True), SingleNetwork(Repeat())
    report = upscale_stream(io.BytesIO(data), target, networks=networks, options=options)
    assert report.verification is not None
    assert report.verification.size == (16, 12)

    def fail(*_: object) -> None:
        raise mafdn.PictureError(f"{name} is broken")

    name = ""

    def broken(source: Path, *_: object, **__: object) -> None:
        nonlocal name
        name = str(source)
        fail()

    monkeypatch.setattr(comparison, "verify_pictures", broken)
    report = upscale_stream(io.BytesIO(data), io.BytesIO(), networks=networks, options=options)
    assert report.notes == ("the result was not verified: the input stream is broken",)
    assert report.verification is None


def test_a_result_that_cannot_be_verified_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(comparison, "verify_pictures", broken)
    report = upscale_file(draw(tmp_path / "a.png"), tmp_path / "b.png", engine=Repeat(), verify=True)
    assert report.notes == ("the result was not verified: it does not fit into memory",)
    assert (tmp_path / "b.png").is_file()


def test_the_option_is_a_bool() -> None:
    with pytest.raises(UsageError, match="verify must be a bool"):
        UpscaleOptions(verify=1)  # pyright: ignore[reportArgumentType]


def test_folders_record_the_figures(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = upscale(album, out, verify=True)
    found = {item.source.name: item.verification for item in report.items}
    assert len(found) == 3
    for name, verification in found.items():
        target = next(out.glob(f"{Path(name).stem}_x2.*"))
        assert verification == mafdn.verify(album / name, target)
    entry = Manifest(out).find(out / "a_x2.png")
    assert entry is not None
    assert mafdn.Verification.parse(entry.verification) == found["a.png"]
    kept = upscale(album, out)
    assert {item.source.name: (item.status, item.verification) for item in kept.items} == {
        name: ("kept", verification) for name, verification in found.items()
    }
    json.dumps(kept.for_programs(), default=str, allow_nan=False)


def test_an_error_of_the_verification_does_not_lose_the_result(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("strange values")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(comparison, "verify_pictures", broken)
        items = upscale(album, out, verify=True).items
    assert {item.status for item in items} == {"done"}
    assert all(item.notes[-1].startswith("the result was not verified: ") for item in items)
    assert all("strange values" in item.notes[-1] for item in items)
    assert {item.status for item in upscale(album, out).items} == {"kept"}


def test_kept_results_without_figures_have_a_note(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale(album, out)
    manifest = out / MANIFEST
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    old = [{name: value for name, value in line.items() if name != "verification"} for line in lines]
    old[1]["verification"] = ["invalid"]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in old))
    again = upscale(album, out, verify=True)
    assert {item.status for item in again.items} == {"kept"}
    assert {item.notes for item in again.items} == {(NOT_VERIFIED,)}
    assert all(item.verification for item in upscale(album, out, verify=True, redo=True).items)


def test_ctrl_c_ends_a_verification(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the run would go on for as long as the verification in the finishing thread."""
    entered = threading.Event()

    def endless(*_: object, on_progress: Any, **__: object) -> None:
        entered.set()
        while True:
            on_progress(0, 1)

    def stop(at: mafdn.FolderProgress) -> None:
        if at.phase == "upscaling" and at.number == 2:
            assert entered.wait(30)
            raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "verify_pictures", endless)
    with pytest.raises(mafdn.Stopped) as stopped:
        upscale(album, tmp_path / "out", verify=True, on_progress=stop)
    (done,) = stopped.value.report.with_status("done")
    assert done.notes == ("the result was not verified: the run was stopped",)
    assert {item.status for item in upscale(album, tmp_path / "out").items} == {"kept", "done"}
