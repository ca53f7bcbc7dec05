"""The command line: output, exit codes, one-line errors, and upscaling without torch."""

import errno
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mafdn import __version__
from mafdn.pictures.reading import open_picture
from mafdn.weights.shipped import shipped
from tests.conftest import Run
from tests.support import failed, without_torch

COMMANDS = ("upscale", "verify", "info", "count", "evaluate", "train", "ablate", "bank", "release", "export", "convert")


def test_version_and_help(cli: Run) -> None:
    assert cli("--version") == (0, f"mafdn {__version__}\n", "")
    assert cli()[0] == 2
    code, out, err = cli("bank")
    assert (code, "\n  build " in out, err) == (2, True, "")
    for command in COMMANDS:
        code, out, _ = cli(command, "--help")
        assert code == 0
        assert "Example" in out, f"{command} --help has no example"


def test_a_command_imports_what_it_needs() -> None:
    heavy = "sorted({'numpy', 'openvino', 'pydantic', 'pyvips', 'rich', 'torch'} & set(sys.modules))"
    code = f"import sys, mafdn.cli; print({heavy}); import mafdn; mafdn.upscale; print({heavy})"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["[]", "['numpy', 'pyvips']"]


def test_the_options_of_upscale_are_grouped(cli: Run) -> None:
    _, out, _ = cli("upscale", "--help")
    sections = re.findall(r"^(\w.*):$", out, re.MULTILINE)
    assert sections == [
        "Arguments",
        *(f"{s} options" for s in ["File", "Batch", "Size", "Format", "Film", "Network", "Engine", "Limit", "Other"]),
    ]
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)", out, re.MULTILINE)
    assert len(options) == len(set(options)) == 55
    assert [line for line in cli("info", "--help")[1].splitlines() if line.endswith("ptions:")] == ["Options:"]


def test_upscale(cli: Run, png: Path) -> None:
    code, out, err = cli("upscale", png)
    assert (code, err) == (0, "")
    assert out.startswith(f"{png.with_name('small_x4.png')}: 32x24 to 128x96 in ")
    assert open_picture(png.with_name("small_x4.png")).width == 128


def test_upscale_prints_a_json_report(cli: Run, png: Path) -> None:
    target = png.with_name("out.webp")
    code, out, err = cli("upscale", png, target, "--json", "--tile", 96, "--threads", 1)
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report["target"] == str(target)
    assert report["new_size"] == [128, 96]
    assert report["engine"].startswith("openvino ")


def test_quiet_prints_nothing(cli: Run, png: Path) -> None:
    assert cli("upscale", png, "--quiet", "--engine", "onnxruntime") == (0, "", "")


def test_invalid_inputs_print_one_line_and_leave_no_files(cli: Run, tmp_path: Path, png: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("just words")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    half = tmp_path / "half.png"
    half.write_bytes(png.read_bytes()[:200])
    folder = tmp_path / "folder"
    folder.mkdir()
    before = sorted(tmp_path.iterdir())
    failed(cli("upscale", tmp_path / "no.jpg"), 1, "no.jpg", "No such file")
    failed(cli("upscale", text), 1, text, "not a picture")
    failed(cli("upscale", empty), 1, empty, "empty")
    failed(cli("upscale", half), 1, half)
    failed(cli("upscale", folder), 1, folder, "folder")
    failed(cli("upscale", png, tmp_path / "no" / "out.png"), 1, "cannot write")
    failed(cli("upscale", png, folder / "out"), 2, "format")
    failed(cli("upscale", png, png), 2, "itself")
    failed(cli("upscale", png, text), 2, text, "--overwrite")
    assert sorted(tmp_path.iterdir()) == before
    assert text.read_text() == "just words"


@pytest.mark.skipif(sys.platform == "win32", reason="invalid in file names on Windows")
def test_result_names_may_contain_brackets(cli: Run, png: Path) -> None:
    assert cli("upscale", png, png.with_name("br [1].png"), "-q", "--scale", 1)[0] == 0
    assert open_picture(png.with_name("br [1].png")).width == 32
    failed(cli("upscale", png, png.with_name("no [1].txt")), 2, "no [1].txt", "format")
    failed(cli("upscale", png.with_name("no [1].png")), 1, "cannot read", "no [1].png: No such file")
    failed(cli("upscale", png.with_name("no [1].png"), png.with_name("out.png")), 1, "no [1].png: No such file")
    assert not png.with_name("small_x4.png").exists()
    code, out, _ = cli("upscale", png, png.with_name("br*.png"), "--scale", 1)
    assert (code, "2 upscaled" in out) == (0, True)
    code, out, _ = cli("upscale", png.with_name("br [[]1].p*"), png.with_name("no*.png"), "--dry-run")
    assert (code, "matches no file" in out) == (1, True)


def test_control_characters_in_names_are_escaped(cli: Run, png: Path) -> None:
    name = "\x1b[2J" + "x" * 300 + ".png"
    for words in ([name], [png, name], [png.with_name(name)], [name, "out.png"]):
        failed(cli("upscale", *words), 1, "\\x1b[2J", "File name too long")
    assert "\x1b" not in cli("upscale", png, "--report", png.with_name(name))[2]
    assert "\x1b" not in cli("upscale", png, "--scale", "\x1b[2J")[2]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that even root cannot write to")
def test_an_unwritable_folder_prints_one_line(cli: Run, png: Path) -> None:
    failed(cli("upscale", png, "/proc/out.png"), 1, "cannot write /proc/out.png")


def test_invalid_options_print_one_line(cli: Run, png: Path, tmp_path: Path) -> None:
    failed(cli("upscale"), 2, "INPUT")
    failed(cli("upscale", png, "--scale", 0), 2, "scale", "0")
    failed(cli("upscale", png, "--scale", 2, "--width", 90), 2, "exactly one size", "scale, width")
    failed(cli("upscale", png, "--fit", "90"), 2, "--fit", "1920x1080")
    failed(cli("upscale", png, "--format", "psd"), 2, "psd", "png")
    failed(cli("upscale", png, "--quality", 50), 2, "PNG", "quality")
    failed(cli("upscale", png, "--format", "jpeg", "--lossless"), 2, "JPEG", "lossless")
    failed(cli("upscale", png, "out.png", "--format", "webp"), 2, "out.png", ".webp")
    failed(cli("upscale", png, "--scale", "two"), 2, "--scale")
    failed(cli("upscale", png, "--engine", "tpu"), 2, "tpu")
    failed(cli("upscale", png, "--network", tmp_path / "no.onnx"), 1, "no.onnx")
    failed(cli("upscale", png, "--tile", 10), 2, "--tile", "96")
    failed(cli("sharpen"), 2, "sharpen")
    failed(cli("count", "--network", "vdsr"), 2, "vdsr")
    failed(cli("evaluate", "--bench", tmp_path / "no"), 2, "no benchmark dataset")
    failed(cli("train", tmp_path / "no.toml"), 2, "no.toml")
    failed(cli("train", "run.batch=4"), 2, "choose a CONFIG before run.batch=4")
    failed(cli("train", "--print-config", "run.batch=4"), 2, "choose a CONFIG before run.batch=4")
    failed(cli("train", "ablate", "bank", tmp_path / "no.toml"), 2, "'bank'", "TABLE.KEY=VALUE")
    failed(cli("export", tmp_path / "no.safetensors"), 1, "no.safetensors")


def test_internal_errors_print_one_line(cli: Run, png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("mafdn.api.upscale_file", broken)
    failed(cli("upscale", png), 1, "internal error", "ZeroDivisionError", "a b")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EPIPE, "mafdn: Broken pipe (set MAFDN_DEBUG=1"),
        (errno.ENOSPC, "mafdn: No space left on device (set MAFDN_DEBUG=1"),
        (errno.ENOMEM, "mafdn: out of memory; use a smaller --tile"),
    ],
)
def test_errors_of_the_system_are_not_taken_for_those_of_the_output(
    cli: Run, png: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("mafdn.api.upscale_file", broken)
    failed(cli("upscale", png), 1, message)
    monkeypatch.setenv("MAFDN_DEBUG", "1")
    with pytest.raises(OSError, match=os.strerror(number)):
        cli("upscale", png)


def test_ctrl_c(cli: Run, png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mafdn.api.upscale_file", interrupted)
    failed(cli("upscale", png), 130, "stopped")


def test_count(cli: Run) -> None:
    code, out, _ = cli("count")
    assert code == 0
    for figure in ("669,972", "597,072", "33.7558G", "33.7904G"):
        assert figure in out
    report = json.loads(cli("count", "--scale", 2, "--json")[1])
    assert report["total"]["parameters"] == 580_836
    assert report["input"] == [640, 360]


def test_count_every_network(cli: Run) -> None:
    code, out, _ = cli("count", "--network", "afan")
    assert code == 0
    for figure in ("692,151", "542,799", "50.9005G", "42.3656G", "not the published network"):
        assert figure in out
    report = json.loads(cli("count", "--network", "imdn", "--scale", 2, "--json")[1])
    assert (report["network"], report["total"]["parameters"]) == ("imdn", 694_404)
    report = json.loads(cli("count", "--network", shipped(4, ".safetensors"), "--json")[1])
    assert (report["scale"], report["total"]["conv_macs"]) == (4, 33_755_796_000)
    failed(cli("count", "--network", shipped(4, ".safetensors"), "--scale", 3), 2, "upscales by 4, not 3")


def test_info(cli: Run) -> None:
    code, out, _ = cli("info")
    assert code == 0
    assert "openvino" in out
    report = json.loads(cli("info", "--json")[1])
    assert report["mafdn"] == __version__
    assert report["weights"]["x4"]["card"]["scores"]["Set5"]["psnr"] > 30.9


@pytest.fixture
def pair(datasets: Path, tmp_path: Path) -> Path:
    """A benchmark dataset of the two smallest pictures of Set5."""
    for folder in ("HR", "LRbicx4"):
        (tmp_path / "Pair" / folder).mkdir(parents=True)
        for name in ("butterfly", "woman"):
            name = f"{name}{'' if folder == 'HR' else 'x4'}.png"
            (tmp_path / "Pair" / folder / name).symlink_to(datasets / "Set5" / folder / name)
    return tmp_path / "Pair"


def test_evaluate_the_shipped_weights(cli: Run, datasets: Path) -> None:
    bench = datasets / "Set5"
    code, out, err = cli("evaluate", "--bench", bench, "--scale", 4, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    bicubic, mafdn = report["scores"]
    assert (bicubic["network"], mafdn["network"], mafdn["bench"]) == ("bicubic", "mafdn-x4", "Set5")
    assert f"{bicubic['mean']['psnr']:.2f}" == "28.43"
    assert mafdn["mean"]["psnr"] >= 30.9
    assert [p["name"] for p in mafdn["pictures"]] == ["baby", "bird", "butterfly", "head", "woman"]
    assert all(m["psnr"] > b["psnr"] for m, b in zip(mafdn["pictures"], bicubic["pictures"], strict=True))
    assert report["protocol"] == {"scale": 4, "channels": "luma", "self_ensemble": False}
    (difference,) = report["differences"]
    assert (difference["reference"], difference["improved"], difference["pictures"]) == ("bicubic", 5, 5)
    assert difference["psnr"]["mean"] == pytest.approx(mafdn["mean"]["psnr"] - bicubic["mean"]["psnr"])
    card = json.loads(cli("info", "--json")[1])["weights"]["x4"]["card"]
    assert card["scores"]["Set5"]["psnr"] == pytest.approx(mafdn["mean"]["psnr"], abs=1e-3)


def test_evaluate_scores_weights_and_onnx_files_alike(cli: Run, pair: Path) -> None:
    files = [shipped(4, suffix) for suffix in (".safetensors", ".onnx")]
    code, out, _ = cli("evaluate", "--bench", pair, "--network", files[0], "--json")
    assert code == 0
    other = cli("evaluate", "--bench", pair, "--network", files[1], "--json")[1]
    a, b = json.loads(out)["scores"][1], json.loads(other)["scores"][1]
    assert a["mean"]["psnr"] == pytest.approx(b["mean"]["psnr"], abs=1e-3)


def test_evaluate_distinguishes_files_of_the_same_name(cli: Run, pair: Path) -> None:
    files = [shipped(4, suffix) for suffix in (".safetensors", ".onnx")]
    out = cli("evaluate", "--bench", pair, "--network", files[0], "--network", files[1], "--json")[1]
    assert [s["network"] for s in json.loads(out)["scores"]] == ["bicubic", "mafdn-x4", "mafdn-x4.onnx"]


def test_evaluate_by_name(cli: Run, pair: Path) -> None:
    names = ("mafdn", "lanczos", "bicubic")
    asked = [word for name in names for word in ("--network", name)]
    scores = json.loads(cli("evaluate", "--bench", pair, *asked, "--json")[1])["scores"]
    assert [s["network"] for s in scores] == ["bicubic", "mafdn-x4", "lanczos"]
    assert scores[0]["mean"]["psnr"] < scores[2]["mean"]["psnr"] < scores[1]["mean"]["psnr"]
    failed(cli("evaluate", "--bench", pair, "--network", "vdsr"), 2, "vdsr", "lanczos")


def test_evaluate_creates_missing_lr_pictures(cli: Run, pair: Path) -> None:
    code, out, _ = cli("evaluate", "--bench", pair, "--lr", "made", "--json")
    assert code == 0
    made, whole = json.loads(out), json.loads(cli("evaluate", "--bench", pair / "HR", "--json")[1])
    assert [s["mean"] for s in made["scores"]] == [s["mean"] for s in whole["scores"]]
    sources = [(report["scores"][0]["lr"]["source"], report["scores"][0]["lr"]["sha256"]) for report in (made, whole)]
    assert sources == [("made", sources[0][1]), ("own", sources[0][1])]


def test_evaluate_shows_a_table(cli: Run, datasets: Path) -> None:
    code, out, _ = cli("evaluate", "--bench", datasets / "Set5")
    assert code == 0
    for word in ("butterfly", "bicubic dB", "mafdn-x4 dB", "mean", "28.43"):
        assert word in out


def test_evaluate_refuses_a_network_of_another_scale(cli: Run, datasets: Path) -> None:
    bench = datasets / "Set5"
    for suffix in (".onnx", ".safetensors"):
        result = cli("evaluate", "--bench", bench, "--scale", 2, "--network", shipped(4, suffix))
        failed(result, 2, "use scale 4 (--scale)")


@pytest.mark.parametrize("network", ["small", pytest.param("shipped", marks=pytest.mark.slow)])
def test_export(cli: Run, tmp_path: Path, network: str, exported: Path, request: pytest.FixtureRequest) -> None:
    source = exported.with_suffix(".safetensors") if network == "small" else shipped(4, ".safetensors")
    if network == "small":
        request.getfixturevalue("ready_graph")
    target = tmp_path / "out.onnx"
    code, out, err = cli("export", source, "-o", target)
    assert (code, err) == (0, "")
    assert "agrees with the network" in out
    failed(cli("export", source, "-o", target), 1, "--overwrite")
    assert list(tmp_path.iterdir()) == [target]
    own = tmp_path / "own.safetensors"
    own.write_bytes(source.read_bytes())
    failed(cli("export", own, "-o", own, "--overwrite"), 2, ".onnx")
    assert own.read_bytes() == source.read_bytes()


def test_upscaling_needs_no_torch(png: Path) -> None:
    done = without_torch("upscale", png)
    assert (done.returncode, done.stderr) == (0, "")
    assert open_picture(png.with_name("small_x4.png")).width == 128
    assert without_torch("info").returncode == 0
    counted = without_torch("count", shipped(4, ".onnx"), "--json")
    assert json.loads(counted.stdout)["total"]["thop_macs"] == 33_790_356_600
    needy = without_torch("count")
    assert needy.returncode == 1
    assert needy.stderr == 'mafdn: counting needs torch: pip install "mafdn[train]"\n'


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a bash command in which `mafdn` is this package; output is buffered, as usual in a pipe."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    line = command.replace("mafdn ", f"{sys.executable} -m mafdn ", 1)
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=180, check=False, env=environment
    )


def test_a_closed_pipe_prints_no_message() -> None:
    done = shell("mafdn info --json | true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (1, "")
    done = shell("mafdn upscale --help | true; exit ${PIPESTATUS[0]}")  # longer than a buffer
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_unwritable_output_prints_one_line() -> None:
    done = shell("mafdn info > /dev/full")
    assert (done.returncode, done.stderr) == (1, "mafdn: cannot write the output: No space left on device\n")


def test_a_file_name_that_is_not_valid_unicode(png: Path) -> None:
    source = os.fsdecode(os.fsencode(png.parent) + b"/bad\xff.png")
    os.rename(png, source)  # noqa: PTH104 - the name is the point
    done = shell(f"mafdn upscale {shlex.quote(str(png.parent))}/bad$'\\xff'.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert open_picture(Path(os.fsdecode(os.fsencode(png.parent) + b"/bad\xff_x4.png"))).width == 128


def test_sigterm_leaves_no_files(tmp_path: Path) -> None:
    import pyvips

    source = tmp_path / "large.png"
    pyvips.Image.gaussnoise(1500, 1500).cast("uchar").pngsave(str(source))
    process = subprocess.Popen(
        [sys.executable, "-m", "mafdn", "upscale", str(source), "--tile", "128"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".*.partial")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.glob(".*.partial"))
    process.terminate()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.endswith("mafdn: stopped\n")
    assert list(tmp_path.iterdir()) == [source]
