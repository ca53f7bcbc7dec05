"""The protocol of `mafdn evaluate`: channels, self-ensemble, LR pictures, and one-line errors for invalid requests."""

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mafdn.evaluation.benchset import read_bench
from mafdn.inference import ensembled, upscale
from mafdn.inference.engines import Batch, Stencil
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import imresize, psnr_rgb, ssim_rgb
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.evaluation.conftest import noise, write_picture
from tests.support import failed


def test_rgb_metrics_agree_with_scikit_image() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (40, 52, 3), np.uint8)
    b = np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    inner = (slice(3, -3), slice(3, -3))
    assert psnr_rgb(a, b, border=3) == pytest.approx(peak_signal_noise_ratio(a[inner], b[inner], data_range=255))
    full = structural_similarity(
        *(x[inner].astype(np.float64) for x in (a, b)),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        truncate=3.5,
        channel_axis=2,
        full=True,
    )[1]
    assert ssim_rgb(a, b, border=3) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)


def test_rgb_is_measured_on_request(cli: Run, bench: Path) -> None:
    report = json.loads(cli("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--rgb", "--json")[1])
    assert report["protocol"]["channels"] == "rgb"
    hr = read_rgb8(bench / "a.png")
    expected = psnr_rgb(imresize(imresize(hr, 0.5), 2), hr, border=2)
    assert report["scores"][0]["pictures"][0]["psnr"] == pytest.approx(expected)


def test_grayscale_pictures_are_measured_as_rgb_and_named(cli: Run, bench: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "--scale", 2, "--network", "lanczos")
    code, _, err = cli(*arguments)
    assert code == 0
    assert err == "note: grayscale pictures were measured as RGB with three equal channels: Small/c\n"
    first = cli(*arguments, "--json")
    assert first[2] == ""
    assert json.loads(first[1])["notes"] == [err.removeprefix("note: ").strip()]
    write_picture(bench / "c.png", noise(2, channels=1).repeat(3, 2))
    again = json.loads(cli(*arguments, "--json")[1])
    assert again["notes"] == []
    assert again["scores"] == json.loads(first[1])["scores"]


class Crooked:
    """An engine whose results depend on flips: they increase to the right and downwards."""

    name, version, device, precision, scale = "crooked", "0", "cpu", "fp32", 2
    stencil: Stencil | None = None

    def run(self, x: Batch) -> Batch:
        big = x.repeat(2, 2).repeat(2, 3)
        y, right = np.mgrid[: big.shape[2], : big.shape[3]].astype(np.float32)
        return big + 0.01 * right + 0.02 * y - 0.3


def test_self_ensemble_is_the_mean_of_eight() -> None:
    lr = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    # A flip reverses the slope, so along an axis the mean of both is the value in its middle. Half of the eight
    # orientations rotate by a quarter turn, which puts the slope of rows along columns.
    middle = 0.5 * (0.01 * 13 / 2 + 0.02 * 9 / 2) + 0.5 * (0.01 * 9 / 2 + 0.02 * 13 / 2) - 0.3
    expected = np.clip(lr.repeat(2, 0).repeat(2, 1) / 255 + middle, 0, 1) * 255
    assert np.abs(upscale(ensembled(Crooked()), lr) - expected).max() <= 0.5 + 1e-3


def test_self_ensemble_affects_networks_only(cli: Run, bench: Path, network: Path) -> None:
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", network, "--network", "lanczos", "--json")
    plain = json.loads(cli(*arguments)[1])["scores"]
    plus = json.loads(cli(*arguments, "--ensemble", "8")[1])["scores"]
    assert json.loads(cli(*arguments, "--self-ensemble")[1])["scores"] == plus
    assert [score["network"] for score in plus] == ["bicubic", "tiny+", "lanczos"]
    assert (plus[0], plus[2]) == (plain[0], plain[2])
    assert plus[1]["mean"] != plain[1]["mean"]


@pytest.mark.parametrize("name", ["{}x2.png", "{}.png", "{}.webp"])
def test_lr_pictures_are_found_by_name(bench: Path, tmp_path: Path, name: str) -> None:
    low = tmp_path / "low"
    low.mkdir()
    for path in bench.iterdir():
        image = pyvips.Image.new_from_array(imresize(read_rgb8(path), 0.5) // 2)
        image.write_to_file(str(low / name.format(path.stem)), **({"lossless": True} if "webp" in name else {}))
    for picture in read_bench(bench, 2, lr=low):
        assert np.array_equal(picture.lr, imresize(picture.hr, 0.5) // 2)
    low.rename(bench / "LRbicx2")
    assert all((picture.lr <= 128).all() for picture in read_bench(bench, 2))


def test_wrong_lr_pictures_give_a_one_line_error(cli: Run, bench: Path, tmp_path: Path) -> None:
    low = tmp_path / "low"
    for name in ("a", "b"):
        write_picture(low / f"{name}.png", noise(0, 16, 24))
    arguments = ("evaluate", "--bench", bench, "-s", 2, "--network", "lanczos", "--lr")
    failed(cli(*arguments, tmp_path / "no"), 2, "no LR pictures", tmp_path / "no")
    failed(cli(*arguments, low), 1, low, "no LR picture for", bench / "c.png", "cx2")
    write_picture(low / "cx2.png", noise(0, 16, 24))
    failed(cli(*arguments, low), 1, low / "a.png", "24x16", "48x40", bench / "a.png")
    failed(cli(*arguments, low, "--bench", tmp_path), 2, "one benchmark dataset")
    low.rename(bench / "LRbicx2")
    failed(cli(*arguments[:-1]), 1, bench / "LRbicx2" / "a.png", "24x16")


def test_wrong_requests_give_a_one_line_error(cli: Run, bench: Path, network: Path, tmp_path: Path) -> None:
    def ask(*arguments: object) -> tuple[int, str, str]:
        return cli("evaluate", "--bench", bench, *arguments)

    (tmp_path / "empty").mkdir()
    failed(cli("evaluate", "--bench", tmp_path / "no"), 2, "no benchmark dataset", tmp_path / "no")
    failed(cli("evaluate", "--bench", tmp_path / "empty"), 2, "no pictures", tmp_path / "empty")
    failed(ask("--bench", bench), 2, "twice")
    failed(ask("--network", "vdsr"), 2, "unknown network 'vdsr'")
    failed(ask("--network", tmp_path / "no.pth"), 1, "no.pth", "no such file")
    failed(ask("--network", tmp_path), 1, "regular file")
    failed(ask("--network", network), 2, network, "upscales by 2", "use scale 2 (--scale)")
    failed(ask("--network", shipped(4, ".onnx"), "-s", 2), 2, "use scale 4")
    (tmp_path / "folder.csv").mkdir()
    failed(ask("--csv", tmp_path / "folder.csv"), 2, "it is a folder")
    failed(ask("--strip", tmp_path / "no" / "strip.png"), 2, "no folder")
    failed(ask("--strip", tmp_path / "strip.png", "--network", "bicubic"), 2, "other than the baseline")
    failed(ask("--network", "lanczos", "--save", network), 1, "cannot write", network)
    (bench / "b.png").write_bytes((bench / "b.png").read_bytes()[:60])
    failed(ask("--network", "lanczos"), 1, bench / "b.png", "damaged")
    (bench / "b.png").unlink()
    (bench / "b.png").mkdir()
    failed(ask("--network", "lanczos"), 1, bench / "b.png", "not a regular file")
