"""The Python interface: its exports, the choice of a network, and invalid arguments."""

import inspect
import json
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mafdn
from mafdn import EngineOptions, MafdnError, Size, UpscaleOptions, UsageError, WeightsError
from mafdn.networks import MAFDNSettings, build
from mafdn.pictures.reading import open_picture
from mafdn.upscaling.output import Output
from tests.conftest import Run
from tests.support import Repeat

ONE_THREAD = EngineOptions(threads=1)
FLOAT32 = EngineOptions(threads=1, precision="fp32")


# --- exports


def test_the_exported_names() -> None:
    assert sorted(mafdn.__all__) == [
        "BlockDifference",
        "CoefficientShare",
        "ConfigError",
        "DamagedError",
        "Difference",
        "EncodeError",
        "Engine",
        "EngineOptions",
        "Evaluation",
        "FilmFrame",
        "FilmOptions",
        "FilmProgress",
        "FilmReport",
        "FilmStopped",
        "FolderEstimate",
        "FolderItem",
        "FolderProgress",
        "FolderReport",
        "Interval",
        "JpegCoefficients",
        "Limits",
        "LrPictures",
        "MafdnError",
        "MissingPackageError",
        "OutOfMemoryError",
        "Output",
        "PictureError",
        "PictureScore",
        "Report",
        "SetScore",
        "Size",
        "Stage",
        "Stopped",
        "TrainingHistory",
        "TrainingProgress",
        "TrainingStopped",
        "UnsupportedError",
        "UpscaleOptions",
        "Upscaler",
        "UsageError",
        "Verification",
        "WeightsChoice",
        "WeightsError",
        "__version__",
        "evaluate",
        "film_frames",
        "load",
        "load_network",
        "plot_runs",
        "psnr",
        "ssim",
        "train",
        "training_history",
        "upscale",
        "upscale_file",
        "upscale_film",
        "upscale_folder",
        "verify",
    ]
    assert all(hasattr(mafdn, name) for name in mafdn.__all__)
    assert set(mafdn.__all__) <= set(dir(mafdn))
    with pytest.raises(AttributeError, match="'mafdn' has no attribute 'unscale'"):
        _ = mafdn.unscale  # pyright: ignore[reportAttributeAccessIssue]


def test_the_start_of_help_names_everything_on_two_screens() -> None:
    document = inspect.getdoc(mafdn) or ""
    assert len(document.splitlines()) <= 2 * 30
    for name in mafdn.__all__:
        assert name == "__version__" or re.search(rf"\b{name}s?\b", document), name


def test_importing_needs_neither_torch_nor_evaluation() -> None:
    program = "import mafdn, sys; print([m for m in sys.modules if m.startswith(('torch', 'mafdn.evaluation'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_modules_that_need_extras_are_attributes() -> None:
    program = "import mafdn; print(mafdn.hub.__name__)"
    pytest.importorskip("huggingface_hub")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "mafdn.hub\n"


def functions_of(value: Any) -> Iterator[Any]:
    """Yield a public function, or the public methods of a class and its constructor."""
    if inspect.isfunction(value):
        yield value
    elif inspect.isclass(value):
        for name, member in vars(value).items():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
                yield function


def classes_in(hint: Any) -> Iterator[type]:
    """Yield the classes of this package in a type hint, including nested ones."""
    for part in typing.get_args(hint):
        for inner in part if isinstance(part, list) else [part]:
            yield from classes_in(inner)
    if inspect.isclass(hint) and hint.__module__.split(".")[0] == "mafdn":
        yield hint


@pytest.mark.parametrize("name", [name for name in mafdn.__all__ if not name.startswith("_")])
def test_every_type_in_a_public_signature_is_exported(name: str) -> None:
    exported = {getattr(mafdn, other) for other in mafdn.__all__}
    for function in functions_of(getattr(mafdn, name)):
        for hint in typing.get_type_hints(function, localns={"nn": torch.nn}).values():
            for kind in classes_in(hint):
                assert kind in exported, f"{function.__qualname__} has {kind}"


DOCUMENTED = [
    "Evaluation",
    "Upscaler",
    "evaluate",
    "film_frames",
    "load",
    "load_network",
    "psnr",
    "ssim",
    "train",
    "training_history",
    "upscale",
    "upscale_file",
    "upscale_film",
    "upscale_folder",
    "verify",
]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_parameter_is_documented(name: str) -> None:
    for function in functions_of(getattr(mafdn, name)):
        document = inspect.getdoc(function)
        if function.__name__ != "__init__":
            assert document, function.__qualname__
            for parameter in inspect.signature(function).parameters:
                assert parameter == "self" or f"    {parameter}: " in document, (function.__qualname__, parameter)


@pytest.mark.parametrize("kind", [kind for name in mafdn.__all__ if is_dataclass(kind := getattr(mafdn, name))])
def test_every_field_is_documented(kind: Any) -> None:
    document = inspect.getdoc(kind) or ""
    assert all(f"    {field.name}: " in document for field in fields(kind) if field.repr)


# --- arrays


def test_arrays_and_paths_give_equal_results(png: Path, picture: np.ndarray) -> None:
    upscaler = mafdn.load("x4", engine=ONE_THREAD)
    from_array = upscaler.upscale(picture)
    assert from_array.shape == (96, 128, 3)
    assert upscaler.scale == 4
    assert np.array_equal(upscaler.upscale(png), from_array)
    assert np.array_equal(upscaler.upscale(str(png)), from_array)
    report = upscaler.upscale_file(png)
    assert np.array_equal(open_picture(report.target).color, from_array)
    assert np.array_equal(mafdn.upscale(picture, engine=ONE_THREAD), from_array)
    assert np.array_equal(mafdn.upscale(png, scale=4, engine=ONE_THREAD), from_array)


def test_depths_agree(picture: np.ndarray) -> None:
    upscaler = mafdn.load("x4", engine=FLOAT32)
    eight = upscaler.upscale(picture).astype(float)
    sixteen = upscaler.upscale(picture.astype(np.uint16) * 257).astype(float) / 257
    unit = upscaler.upscale(picture.astype(np.float32) / 255) * 255.0
    assert np.abs(sixteen - eight).max() <= 0.51
    assert np.abs(unit - sixteen).max() < 0.01


def test_gray_equals_the_same_picture_in_rgb(picture: np.ndarray) -> None:
    upscaler = mafdn.load("x4", engine=FLOAT32)
    grey = picture[..., 0]
    twin = upscaler.upscale(np.stack([grey] * 3, 2)).astype(float).mean(2)
    assert np.abs(upscaler.upscale(grey) - twin).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 2), (20, 30, 3)])
def test_arrays_of_every_type_are_upscaled_to_any_size(dtype: type, shape: tuple[int, ...]) -> None:
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    picture = (np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape) * top).astype(dtype)
    for scale in (2, 2.5, 5, 0.5):
        result = mafdn.Upscaler(Repeat(2)).upscale(picture, scale=scale)
        assert (result.dtype, result.ndim) == (picture.dtype, picture.ndim)
        assert result.shape[:2] == (20 * scale, 30 * scale)
        assert abs(result.mean() / top - picture.mean() / top) < 0.01


@pytest.mark.parametrize("dtype", [">u2", ">f4", "<u2", "<f4"])
@pytest.mark.parametrize("scale", [1, 1.5, 2])
def test_the_byte_order_of_an_array_does_not_matter(picture: np.ndarray, dtype: str, scale: float) -> None:
    values = picture / np.float32(255) if dtype[1] == "f" else picture * np.uint16(257)
    upscaler = mafdn.Upscaler(Repeat(2))
    expected, result = upscaler.upscale(values, scale=scale), upscaler.upscale(values.astype(dtype), scale=scale)
    assert result.dtype == dtype
    assert np.array_equal(result, expected)
    assert mafdn.verify(values.astype(dtype), result) == mafdn.verify(values, expected)


# --- the choice of a network


def test_the_nearest_network_is_chosen_as_by_the_command(cli: Run, png: Path, picture: np.ndarray) -> None:
    report = mafdn.upscale_file(png, size=2, engine=ONE_THREAD)
    assert (report.scale, report.new_size, report.target.name) == (2, (64, 48), "small_x2.png")
    twice = mafdn.load("x2", engine=ONE_THREAD).upscale(picture)
    assert np.array_equal(open_picture(report.target).color, twice)
    assert np.array_equal(mafdn.upscale(picture, scale=2, engine=ONE_THREAD), twice)
    for scale, nearest in ((2.5, 3), (3.1, 4), (7, 4), (0.5, 2)):
        report = mafdn.upscale_file(png, size=scale, engine=ONE_THREAD)
        assert report.scale == nearest
        array = mafdn.upscale(picture, scale=scale, engine=ONE_THREAD)
        assert np.array_equal(open_picture(report.target).color, array)
        out = png.with_name(f"by-command-{scale}.png")
        assert cli("upscale", png, out, "--scale", scale, "--threads", 1, "-q") == (0, "", "")
        assert out.read_bytes() == report.target.read_bytes()
    assert mafdn.load("x4", engine=ONE_THREAD).upscale_file(png, png.with_name("x4.png"), size=2).scale == 4


def test_the_default_size_is_the_scale_of_the_network(png: Path, exported: Path) -> None:
    assert mafdn.upscale_file(png, network="auto").new_size == (128, 96)
    assert mafdn.upscale_file(png, network="x3").new_size == (96, 72)
    assert mafdn.upscale_file(png, network=exported).new_size == (64, 48)
    assert mafdn.upscale(png, network="x2").shape == (48, 64, 3)
    (item,) = mafdn.upscale_folder(png, png.parent / "out", network=exported).items
    assert item.new_size == (64, 48)


@pytest.mark.parametrize("network", ["auto", "mafdn", "x3"])
def test_networks_by_name(network: str) -> None:
    assert mafdn.load(network).scale == (3 if network == "x3" else 4)


@pytest.mark.parametrize("ending", [".onnx", ".safetensors"])
def test_networks_by_file(exported: Path, ending: str) -> None:
    upscaler = mafdn.load(exported.with_suffix(ending))
    assert upscaler.scale == 2
    assert (upscaler.engine.name == "torch") == (ending == ".safetensors")


@pytest.mark.parametrize("network", ["x2", "FILE"])
def test_the_command_accepts_any_network_for_folders_too(
    cli: Run, png: Path, tmp_path: Path, exported: Path, network: str
) -> None:
    name = exported if network == "FILE" else network
    out = tmp_path / "out"
    assert cli("upscale", png.parent, "-o", out, "--network", name, "-q") == (0, "", "")
    assert open_picture(out / "small_x2.png").width == 64
    assert cli("upscale", png, tmp_path / "one.png", "--network", name, "-q") == (0, "", "")
    assert (tmp_path / "one.png").read_bytes() == (out / "small_x2.png").read_bytes()
    code, text, _ = cli("upscale", png, "-o", out, "--network", name, "--json")
    assert (code, json.loads(text)["counts"]["kept"]) == (0, 1)


@pytest.mark.parametrize("name", ["x5", "vdsr"])
def test_unknown_networks_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="x2, x3, x4"):
        mafdn.load(name)


def test_other_files_are_refused_as_networks(png: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        mafdn.load(png.with_name("missing.onnx"))
    with pytest.raises(UsageError, match="unknown network"):
        mafdn.load(png)


@pytest.mark.parametrize("name", ["bicubic", "lanczos", "imdn", "afan"])
def test_names_without_weights_are_refused(cli: Run, png: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is an? (baseline|architecture)"):
        mafdn.upscale_file(png, network=name)
    for words in ([png], [png.parent, "-o", png.parent / "out"]):
        code, _, err = cli("upscale", *words, "--network", name)
        assert (code, err.count("\n")) == (2, 1)
    assert list(png.parent.iterdir()) == [png]


@pytest.mark.parametrize("network", [4, None, b"x4", "", "a\0.onnx"])
def test_names_of_another_type_are_refused(network: Any) -> None:
    with pytest.raises(UsageError):
        mafdn.load(network)


# --- names and values


def test_an_empty_name_is_refused(cli: Run, png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ["", "-q"],
        ["", "a.png"],
        ["small.png", ""],
        ["small.png", "", "other.png"],
        ["", "-o", "out"],
        ["small.png", "-o", ""],
        ["small.png", "--report", ""],
        ["small.png", "--network", ""],
    ):
        code, out, err = cli("upscale", *words)
        assert (code, out, err.count("\n")) == (2, "", 1), words
        assert "is an empty string" in err, words
    for inputs in ("", ["small.png", ""]):
        with pytest.raises(UsageError, match="is an empty string"):
            mafdn.upscale_folder(inputs)
    with pytest.raises(UsageError, match="is an empty string"):
        mafdn.upscale_folder(png, "")
    for upscale in (mafdn.Upscaler(Repeat()).upscale_file, mafdn.upscale_file):
        with pytest.raises(UsageError, match="is an empty string"):
            upscale("")
        with pytest.raises(UsageError, match="is an empty string"):
            upscale(png, "")
    assert list(tmp_path.iterdir()) == [png]


@pytest.mark.parametrize("picture", [[[1, 2]], None, 5, b"small.png", object(), "a\0.png"])
def test_other_values_are_refused_as_pictures(picture: Any) -> None:
    for upscale in (mafdn.Upscaler(Repeat()).upscale, mafdn.upscale):
        with pytest.raises(MafdnError) as caught:
            upscale(picture)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": "2"}, "size must be a mafdn.Size, not the str '2'"),
        ({"size": 0}, "scale must be above 0"),
        ({"size": True}, "size must be a mafdn.Size"),
        ({"options": "png"}, "options must be a mafdn.UpscaleOptions, not the str 'png'"),
        ({"options": UpscaleOptions(size=2), "size": 3}, "twice"),
    ],
)
def test_arguments_of_another_type_are_refused(png: Path, wrong: dict[str, Any], message: str) -> None:
    for upscale in (mafdn.Upscaler(Repeat()).upscale_file, mafdn.upscale_file, mafdn.upscale_folder):
        with pytest.raises(UsageError, match=message):
            upscale(png, **wrong)
    assert list(png.parent.iterdir()) == [png]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"output": "png"}, "output must be a mafdn.Output, not the str 'png'"),
        ({"limits": 10**9}, "limits must be a mafdn.Limits"),
        ({"strength": "a"}, "strength must be a number, not the str 'a'"),
        ({"strength": float("nan")}, "strength must be between 0 and 1, not nan"),
        ({"strength": True}, "strength must be a number"),
        ({"tile": "a"}, "tile"),
        ({"size": (3, 4)}, "size"),
    ],
)
def test_options_of_another_type_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        UpscaleOptions(**wrong)


def test_a_number_as_the_size_is_a_scale_factor() -> None:
    assert UpscaleOptions(size=2).size == Size(scale=2)
    assert UpscaleOptions(size=np.float32(1.5)).size == Size(scale=1.5)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("inputs", [None, 5, [5], b"in", [None]])
def test_inputs_of_another_type_are_refused(inputs: Any) -> None:
    with pytest.raises(UsageError, match="an input must be a path, not the"):
        mafdn.upscale_folder(inputs)


def test_outputs_and_patterns_of_another_type_are_refused(png: Path) -> None:
    wrong: Any
    for wrong in ({"quality": "a"}, {"quality": 50.5}, {"quality": 101}, {"format": 3}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            Output(**wrong)
    wrong = 7
    with pytest.raises(UsageError, match="pattern"):
        mafdn.upscale_folder(png, pattern=wrong)


def test_a_target_with_a_nul_is_refused(cli: Run, png: Path) -> None:
    with pytest.raises(UsageError, match="NUL"):
        mafdn.Upscaler(Repeat()).upscale_file(png, "a\0.png")
    code, _, err = cli("upscale", png, "a\0.png")
    assert (code, "NUL" in err) == (2, True)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"threads": threads} for threads in (0, -1, 1.5, "2", True, 1025, 10**9)),
        {"engine": 1},
        {"engine": "tpu"},
        {"device": 1},
        {"precision": 16},
        {"precision": "fp8"},
    ],
)
def test_invalid_engine_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        EngineOptions(**wrong)


def test_engine_options_or_a_name_select_the_engine(png: Path) -> None:
    for engine in ("onnxruntime", EngineOptions(engine="onnxruntime")):
        assert mafdn.load("x2", engine=engine).engine.name == "onnxruntime"
    wrong: Any = 4
    for call in (mafdn.load, lambda engine: mafdn.upscale_folder(png, engine=engine)):
        with pytest.raises(UsageError, match=r"engine must be a mafdn\.EngineOptions, not the int 4"):
            call(engine=wrong)
    with pytest.raises(UsageError, match="unknown engine 'tensorrt'; choose one of"):
        mafdn.load("x2", engine="tensorrt")


def test_a_training_run_is_opened_with_its_averaged_weights(cli: Run, png: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(WeightsError, match="nor the folder of a training run"):
        mafdn.load(run)
    (run / "settings.json").write_text('{"network": {"scale": 2, "width": 8, "blocks": 2}}')
    weights = build(MAFDNSettings(scale=2, width=8, blocks=2)).state_dict()
    tensors = {f"ema/{name}": tensor.contiguous() for name, tensor in weights.items()}
    save_file(tensors, run / "step-00000001.safetensors", {"checkpoint": "{}"})
    upscaler = mafdn.load(run)
    assert (upscaler.engine.name, upscaler.scale) == ("torch", 2)
    out = tmp_path / "out"
    assert cli("upscale", png, "-o", out, "--network", run, "-q") == (0, "", "")
    _, text, _ = cli("upscale", png, "-o", out, "--network", run, "--json")
    assert json.loads(text)["counts"]["kept"] == 1
    assert np.array_equal(open_picture(out / "small_x2.png").color, upscaler.upscale(png))
