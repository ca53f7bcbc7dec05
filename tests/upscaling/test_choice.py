"""The choice between the weights: by the file, by the pixels, and what reports say of it."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import mafdn
from mafdn.errors import MafdnError
from mafdn.inference import EngineOptions
from mafdn.pictures.reading import read_header
from mafdn.upscaling import networks
from mafdn.upscaling.choice.weights import WeightsChoice, choose_by_pixels, choose_weights
from mafdn.upscaling.networks import AutomaticNetworks
from mafdn.upscaling.shards import MANIFEST
from mafdn.upscaling.size import Size
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.pixels.test_blocks import coded, scene
from tests.support import Repeat

CLEAN = scene()


class Opened(Repeat):
    """An engine that repeats pixels, and records the file of its network."""

    def __init__(self, path: Path, options: EngineOptions) -> None:
        super().__init__(int(path.stem.rpartition("-x")[2]))
        self.path, self.precision = path, options.precision


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Opened]:
    """The engines that are opened, none of which runs a network."""
    engines: list[Opened] = []

    def open_engine(path: Path, options: EngineOptions) -> Opened:
        engines.append(Opened(path, options))
        return engines[-1]

    monkeypatch.setattr(networks, "open_engine", open_engine)
    return engines


def saved(path: Path, pixels: NDArray[np.uint8] = CLEAN, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def choice_of(path: Path) -> str:
    header = read_header(path)
    return str(choose_weights(header, lambda: header.decode().planes))


def test_jpeg_files_are_judged_by_their_quality(tmp_path: Path) -> None:
    def judge(**options: Any) -> str:
        return choice_of(saved(tmp_path / "a.jpg", CLEAN, **options))

    assert judge(quality=75) == "photo weights: JPEG quality 75"
    assert judge(quality=94, subsampling=0, progressive=True) == "photo weights: JPEG quality 94"
    assert judge(quality=98) == "classic weights: JPEG quality 98"
    table = np.clip(np.add.outer(np.arange(8), np.arange(8)) * 3 + 5, 1, 255).ravel().tolist()
    assert judge(qtables=[table, table]).startswith("photo weights: JPEG quality about ")


def test_a_jpeg_file_is_not_decoded_for_its_quality(tmp_path: Path) -> None:
    def fail() -> NDArray[np.uint8]:
        raise AssertionError("the pixels were read")

    choice = choose_weights(read_header(saved(tmp_path / "a.jpg", quality=75)), fail)
    assert choice == WeightsChoice(variant="photo", reason="JPEG quality 75", jpeg_quality=75)


def test_pixels_tell_what_was_a_jpeg_file(tmp_path: Path) -> None:
    again = coded(CLEAN, 70)[3:, 5:]
    lossless: dict[str, Any] = {"lossless": True}
    for name, options in (("a.png", {}), ("a.webp", lossless), ("a.bmp", {}), ("a.jpg", {"quality": 99})):
        found = choice_of(saved(tmp_path / name, again, **options))
        assert found.startswith("photo weights: JPEG blocks of quality about "), name
        assert abs(int(found.rpartition(" ")[2]) - 70) <= 1, name
    for name, options in (("b.png", {}), ("b.webp", lossless), ("b.gif", {})):
        assert choice_of(saved(tmp_path / name, CLEAN, **options)) == "classic weights: no JPEG artifacts found"


def test_jpeg_in_tiff_and_webp_state_their_quality(tmp_path: Path) -> None:
    tiff = saved(tmp_path / "a.tif", compression="jpeg", quality=60)
    assert choice_of(tiff) == "photo weights: JPEG quality 60"
    assert choice_of(saved(tmp_path / "a.webp", quality=60)).startswith("photo weights: WebP with quantizer index ")
    assert choice_of(saved(tmp_path / "b.webp", quality=97)) == "classic weights: no JPEG artifacts found"


def test_a_jpeg_file_without_readable_tables_is_judged_by_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mafdn.pictures.codecs import jpeg

    def read_nothing(file: object) -> None:
        del file

    monkeypatch.setattr(jpeg, "read_coding", read_nothing)
    found = choice_of(saved(tmp_path / "a.jpg", quality=60))
    assert found == "photo weights: JPEG blocks of quality about 60"


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 16), (24, 200)])
def test_tiny_and_flat_pictures_are_clean(size: tuple[int, int]) -> None:
    for pixels in (CLEAN[: size[0], : size[1]], np.full((*size, 3), 90, np.uint8)):
        assert choose_by_pixels(pixels).variant == "classic"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(20, 640), st.integers(0, 255), min_size=1, max_size=12))
def test_damaged_files_are_refused_or_judged(tmp_path: Path, changes: dict[int, int]) -> None:
    file = io.BytesIO()
    Image.fromarray(CLEAN[:32, :32]).save(file, "JPEG", quality=80)
    data = bytearray(file.getvalue())
    for place, value in changes.items():
        data[place] = value
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    try:
        header = read_header(path)
        choice = choose_weights(header, lambda: header.decode().planes)
    except MafdnError:
        return
    assert choice.variant in ("photo", "classic")


# --- networks


def test_the_networks_of_the_variant_fit_the_size(opened: list[Opened]) -> None:
    automatic = AutomaticNetworks()
    photo = automatic.select(lambda: WeightsChoice(variant="photo", reason="a test"), bits=8)
    classic = automatic.select(lambda: WeightsChoice(variant="classic", reason="a test"), bits=8)
    names = {
        scale: [one.engine(Size(scale=scale), 100, 80).scale for one in (photo, classic)] for scale in (1.5, 2, 3, 6)
    }
    assert names == {1.5: [2, 2], 2: [2, 2], 3: [4, 3], 6: [4, 4]}
    assert automatic.scale_for(Size(scale=3), 100, 80) == 4
    assert [one.engine(None, 100, 80).scale for one in (photo, classic)] == [4, 4]
    assert sorted(engine.path.stem for engine in opened) == [
        "mafdn-photo-x2",
        "mafdn-photo-x4",
        "mafdn-x2",
        "mafdn-x3",
        "mafdn-x4",
    ]


def test_a_variant_without_int8_runs_in_fp32_with_a_note(opened: list[Opened], tmp_path: Path) -> None:
    options = EngineOptions(precision="int8", engine="openvino", device="cpu")
    for variant, source in (
        ("photo", saved(tmp_path / "a.jpg", quality=70)),
        ("classic", saved(tmp_path / "a.png")),
    ):
        for scale in (2, 4):
            report = mafdn.upscale_file(source, tmp_path / f"{variant}{scale}.png", size=scale, engine=options)
            file = opened[-1].path
            assert file.stem == f"mafdn-{'photo-' if variant == 'photo' else ''}x{scale}"
            assert opened[-1].precision == ("int8" if file.with_name(f"{file.stem}-int8.onnx").is_file() else "fp32")
            noted = f"the {variant} weights at x{scale} have no int8 version: they ran in fp32" in report.notes
            assert noted == (opened[-1].precision == "fp32")


def test_a_named_network_without_int8_is_refused(opened: list[Opened], cli: Run, tmp_path: Path) -> None:
    """Who names the network, and a precision that it does not have, gets neither another one nor silence."""
    x2 = shipped(2, ".onnx")
    if x2.with_name("mafdn-x2-int8.onnx").is_file():
        pytest.skip("all classic networks ship in int8")
    code, _, err = cli("upscale", saved(tmp_path / "a.png"), "-s", 2, "--network", "classic", "--precision", "int8")
    assert (code, opened) == (1, [])
    assert "has no int8 version" in err


# --- reports


def test_a_report_says_which_weights_and_why(opened: list[Opened], cli: Run, tmp_path: Path) -> None:
    source = saved(tmp_path / "a.jpg", quality=75)
    code, out, _ = cli("upscale", source)
    assert code == 0
    assert "photo weights: JPEG quality 75" in out.splitlines()
    report = json.loads(cli("upscale", source, tmp_path / "b.png", "--json")[1])
    assert report["weights"] == {"variant": "photo", "reason": "JPEG quality 75", "jpeg_quality": 75}
    assert opened[-1].path.name == "mafdn-photo-x4.onnx"
    out = cli("upscale", saved(tmp_path / "c.png"), "-s", 2)[1]
    assert "classic weights: no JPEG artifacts found" in out.splitlines()
    assert opened[-1].path.name == "mafdn-x2.onnx"


@pytest.mark.parametrize(
    ("network", "file"), [("classic", "mafdn-x4"), ("photo", "mafdn-photo-x4"), ("x2", "mafdn-x2")]
)
def test_a_named_network_decides(opened: list[Opened], network: str, file: str, tmp_path: Path) -> None:
    for path in (saved(tmp_path / "a.jpg", quality=75), saved(tmp_path / "a.png")):
        report = mafdn.upscale_file(path, path.with_name(f"{path.suffix[1:]}-large.png"), network=network)
        assert report.weights is None
    assert {engine.path.stem for engine in opened} == {file}


def test_no_weights_are_reported_where_none_are_used(opened: list[Opened], tmp_path: Path) -> None:
    source = saved(tmp_path / "a.jpg", quality=75)
    for number, options in enumerate((mafdn.UpscaleOptions(size=0.5), mafdn.UpscaleOptions(strength=0))):
        assert mafdn.upscale_file(source, tmp_path / f"{number}.png", options=options).weights is None
    assert len(opened) == 2


def test_arrays_and_images_are_judged_by_their_pixels(opened: list[Opened], tmp_path: Path) -> None:
    degraded = coded(CLEAN, 60)
    mafdn.upscale(degraded, scale=2)
    mafdn.upscale(CLEAN, scale=2)
    mafdn.upscale(Image.fromarray(degraded[..., 1]), scale=3)
    mafdn.upscale(saved(tmp_path / "a.jpg", quality=80), scale=2)
    stems = [engine.path.stem for engine in opened]
    assert stems == ["mafdn-photo-x2", "mafdn-x2", "mafdn-photo-x4", "mafdn-photo-x2"]


def test_the_first_frame_decides_for_an_animation(opened: list[Opened], tmp_path: Path) -> None:
    frames = [Image.fromarray(coded(scene(seed=seed), 50)) for seed in (0, 1)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    report = mafdn.upscale_file(tmp_path / "a.png", size=2)
    assert (report.frames, report.weights and report.weights.variant) == (2, "photo")
    assert len(opened) == 1


# --- folders


def test_each_picture_of_a_folder_decides(opened: list[Opened], cli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        saved(folder / f"{number}.jpg", quality=60 + number)
    saved(folder / "2.png", scene(seed=5))
    code, out, _ = cli("upscale", folder, "-o", tmp_path / "out", "-s", 2, "--report", tmp_path / "report.json")
    assert code == 0
    assert "photo weights for 2 pictures, classic weights for 1 picture; --report FILE says why" in out
    assert sorted(engine.path.stem for engine in opened) == ["mafdn-photo-x2", "mafdn-x2"]  # each once
    pictures = json.loads((tmp_path / "report.json").read_text())["pictures"]
    assert [one["weights"]["reason"] for one in pictures] == [
        "JPEG quality 60",
        "JPEG quality 61",
        "no JPEG artifacts found",
    ]
    lines = [json.loads(line) for line in (tmp_path / "out" / MANIFEST).read_text().splitlines()[1:]]
    assert {line["source"].rpartition("/")[2]: line["choice"]["variant"] for line in lines if line["choice"]} == {
        "0.jpg": "photo",
        "1.jpg": "photo",
        "2.png": "classic",
    }
    for name in ("0.jpg", "2.png"):  # as if upscaled alone
        alone = tmp_path / f"alone-{name}"
        mafdn.upscale_file(folder / name, alone, size=2)
        assert alone.read_bytes() == (tmp_path / "out" / f"{name[0]}_x2{name[1:]}").read_bytes()


def test_a_second_run_keeps_what_the_same_choice_made(opened: list[Opened], tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    saved(folder / "a.jpg", quality=60)
    saved(folder / "b.png")
    mafdn.upscale_folder(folder, out, size=2)
    count = len(opened)
    report = mafdn.upscale_folder(folder, out, size=2)
    assert [item.status for item in report.items] == ["kept", "kept"]
    assert [item.weights and item.weights.variant for item in report.items] == ["photo", "classic"]
    assert len(opened) == count
    other = mafdn.upscale_folder(folder, out, size=2, network="classic")
    assert [(item.status, item.reason) for item in other.items] == [("done", "other weights")] * 2
    assert all(item.weights is None for item in other.items)
    saved(folder / "b.png", coded(CLEAN, 60))  # another picture decides anew
    changed = mafdn.upscale_folder(folder, out, size=2).items[1]
    assert changed.weights
    assert changed.weights.variant == "photo"


def test_a_dry_run_estimates_with_the_networks_of_the_pictures(opened: list[Opened], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    saved(folder / "a.jpg", quality=60)
    report = mafdn.upscale_folder(folder, tmp_path / "out", size=3, dry_run=True)
    assert report.estimate
    assert report.estimate.seconds is not None
    assert {engine.path.stem for engine in opened} == {"mafdn-photo-x4"}


def test_records_of_choices_are_read_or_left_out() -> None:
    choice = WeightsChoice(variant="photo", reason="JPEG quality 75", jpeg_quality=75)
    assert WeightsChoice.parse(json.loads(json.dumps(choice.for_programs()))) == choice
    for record in (None, {}, {"variant": "other", "reason": "", "jpeg_quality": None}, {"variant": [], "reason": 1}):
        assert WeightsChoice.parse(record) is None
