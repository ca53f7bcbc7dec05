"""Self-ensemble: the mean of eight orientations, in tiles and at every entrance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mafdn
from mafdn.errors import UsageError
from mafdn.film.reuse import FrameUpscaler
from mafdn.inference import Engine, EngineOptions, ensembled, gates, open_engine, upscale
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels import ORIENTATIONS, orient, orient_back
from mafdn.upscaling.options import UpscaleOptions
from tests.conftest import Run
from tests.support import draw, failed

TOLERANCE = 1e-4


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def mean_of_eight(engine: Engine, picture: np.ndarray) -> np.ndarray:
    """The mean of the results on whole pictures, before clipping."""
    results = [
        orient_back(engine.run(orient(picture, *way).transpose(2, 0, 1)[None].copy())[0].transpose(1, 2, 0), *way)
        for way in ORIENTATIONS
    ]
    return np.mean(results, axis=0)


@pytest.fixture(scope="module")
def engine(exported: Path) -> Engine:
    return open_engine(exported, EngineOptions(engine="onnxruntime", threads=1))


def test_the_result_is_the_mean_of_eight_and_symmetric(engine: Engine) -> None:
    picture = noise(40, 57, 3)
    result = upscale(ensembled(engine), picture)
    assert np.abs(result - mean_of_eight(engine, picture).clip(0, 1)).max() <= TOLERANCE
    assert np.abs(result - upscale(engine, picture)).max() > 10 * TOLERANCE
    for way in ORIENTATIONS:
        turned = upscale(ensembled(engine), np.ascontiguousarray(orient(picture, *way)))
        assert np.abs(turned - orient(result, *way)).max() <= TOLERANCE


@pytest.mark.parametrize("shape", [(90, 333, 3), (333, 90, 3), (150, 140, 4), (200, 130, 1)])
def test_tiles_equal_the_whole_picture(engine: Engine, shape: tuple[int, ...]) -> None:
    picture = noise(*shape)
    whole, tiled = (upscale(ensembled(engine), picture, tile=tile, exact=True) for tile in (None, 96))
    assert np.abs(tiled - whole).max() <= TOLERANCE


def test_a_picture_with_sampled_gates_has_the_same_seamless_tiles(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "WHOLE_AREA", 128 * 128)
    monkeypatch.setattr(gates, "SAMPLE_AREA", 8 * gates.WINDOW_SIDE**2)
    picture = noise(250, 260, 3)
    one, two = (upscale(ensembled(engine), picture, tile=tile, exact=True) for tile in (96, 200))
    assert np.abs(one - two).max() <= TOLERANCE


def test_one_orientation_is_the_engine_itself(engine: Engine) -> None:
    assert ensembled(engine, 1) is engine


def test_every_entrance_gives_the_same(exported: Path, cli: Run, tmp_path: Path) -> None:
    source, command = draw(tmp_path / "a.png", size=(30, 41)), tmp_path / "b.png"
    pixels = read_rgb8(source)
    engine = mafdn.EngineOptions(engine="onnxruntime", threads=1)
    arguments = ("--network", exported, "--engine", "onnxruntime", "--threads", 1, "--ensemble", 8)
    assert cli("upscale", source, command, *arguments)[0] == 0
    by_command = read_rgb8(command)
    assert np.array_equal(mafdn.upscale(pixels, network=exported, engine=engine, ensemble=8), by_command)
    upscaler = mafdn.load(exported, engine=engine)
    assert np.array_equal(upscaler.upscale(source, ensemble=8), by_command)
    options = mafdn.UpscaleOptions(ensemble=8)
    upscaler.upscale_file(source, tmp_path / "c.png", options=options)
    assert np.array_equal(read_rgb8(tmp_path / "c.png"), by_command)
    frames = FrameUpscaler(upscaler.engine, (82, 60), options)
    assert np.array_equal(frames.upscale(pixels), by_command)
    assert not np.array_equal(upscaler.upscale(source), by_command)


def test_a_folder_is_made_again_with_it(exported: Path, cli: Run, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png")
    command = ("upscale", tmp_path / "in", "-o", tmp_path / "out", "--network", exported, "--json")

    def run(*more: Any) -> dict[str, Any]:
        return json.loads(cli(*command, *more)[1])

    assert run()["settings"]["ensemble"] == 1
    assert run()["counts"]["kept"] == 1
    again = run("--ensemble", 8, "--overwrite")
    assert (again["settings"]["ensemble"], again["counts"]["done"]) == (8, 1)


@pytest.mark.parametrize("value", [0, 2, 7, 8.0, True, "8"])
def test_other_numbers_are_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="ensemble must be 1 or 8"):
        UpscaleOptions(ensemble=value)


def test_other_numbers_are_usage_errors_of_the_commands(cli: Run, tmp_path: Path) -> None:
    source = draw(tmp_path / "a.png")
    failed(cli("upscale", source, "--ensemble", 4), 2, "ensemble must be 1 or 8", "not 4")
    failed(cli("evaluate", "--bench", tmp_path, "--ensemble", 4), 2, "ensemble must be 1 or 8")
    with pytest.raises(UsageError, match="ensemble"):
        mafdn.upscale(read_rgb8(source), ensemble=3)
