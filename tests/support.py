"""Helpers shared by several test modules."""

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
import pyvips

from mafdn.inference.engines import Engine, Stencil
from mafdn.inference.engines.choice import Choice, Trial, remember
from mafdn.pixels import imresize
from mafdn.upscaling import picture
from mafdn.upscaling.networks import SingleNetwork
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.picture import Report

if TYPE_CHECKING:  # importing it takes seconds, and not all test processes need it
    from torch import nn

WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "onnxscript", "onnxslim", "skimage", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from mafdn.cli import main
main()
"""

WATCHED = """
import sys
ALLOWED = {"socket.gethostname"}
def watch(event, arguments):
    if event.startswith("socket.") and event not in ALLOWED:
        print(f"{event} {arguments}", file=sys.stderr, flush=True)
        raise OSError("no network in this test")
sys.addaudithook(watch)
from mafdn.cli import run
code = run(sys.argv[1:])
print(*sorted(sys.modules), sep="\\n")
sys.exit(code)
"""
LOADERS = """
import sys
import pyvips
pyvips.Image.new_from_file(sys.argv[1])
{code}
try:
    pyvips.Image.new_from_file(sys.argv[2])
except pyvips.error.Error as error:
    sys.exit(0 if "blocked" in str(error) else str(error))
sys.exit("libvips opened an SVG file")
"""
UNSET = {"CI", "PYTEST_CURRENT_TEST", "ORT_DISABLE_TELEMETRY"}
"""Variables that turn telemetry off; `import mafdn` sets one of them in this process."""


Module = TypeVar("Module", bound="nn.Module")


class Repeat:
    """An engine with a known result: every pixel is repeated `scale` times along each axis."""

    name, version, device, precision = "repeat", "0", "cpu", "fp32"

    stencil: Stencil | None = None

    def __init__(self, scale: int = 2) -> None:
        self.scale = scale
        self.shapes: set[tuple[int, ...]] = set()

    def run(self, x: np.ndarray) -> np.ndarray:
        self.shapes.add(x.shape)
        return x.repeat(self.scale, 2).repeat(self.scale, 3)


def upscale_file(
    source: Path,
    target: Path | None = None,
    *,
    engine: Engine,
    on_progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Report:
    """Upscale a file with an engine; `options` are those of `UpscaleOptions`."""
    return picture.upscale_file(
        source,
        target,
        networks=SingleNetwork(engine),
        options=UpscaleOptions(**options),
        on_progress=on_progress,
    )


def files_below(folder: Path) -> list[Path]:
    """All files but those in hidden folders; what vanishes meanwhile is passed over."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """All files that are not hidden or in hidden folders, by their paths; what vanishes meanwhile is passed over."""
    found: dict[str, bytes] = {}
    for path in files_below(folder):
        if not path.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (12, 16)) -> Path:
    """Write a small picture of noise, in the format of its extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    pyvips.Image.new_from_array(noise, interpretation="srgb").write_to_file(str(path))
    return path


def refuse(monkeypatch: pytest.MonkeyPatch, *refused: Path) -> None:
    """Let opening these files and listing these folders fail for lack of permission, which root never lacks."""
    names = {name for path in refused for name in (path, str(path))}

    def checked(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if path in names:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return function(path, *arguments, **options)

        return call

    monkeypatch.setattr(Path, "open", checked(Path.open))
    monkeypatch.setattr(os, "scandir", checked(os.scandir))


def draw_photos(folder: Path) -> Path:
    """Draw three pictures, one in a subfolder; resizing them clips no values."""
    (folder / "deeper").mkdir(parents=True)
    for i, (name, size) in enumerate({"0.png": (50, 61), "1.png": (48, 48), "deeper/2.png": (75, 40)}.items()):
        noise = np.random.default_rng(i).integers(64, 192, (*size, 3), np.uint8)
        pyvips.Image.new_from_array(noise).pngsave(str(folder / name))
    return folder


def shaken(network: Module) -> Module:
    """Perturb every parameter of a network, so that D is no longer zero."""
    import torch

    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return network


def failed(result: tuple[int, str, str], code: int, *words: object) -> None:
    """Assert that a command failed with this exit code and a one-line error that contains these words."""
    assert result[0] == code, result
    assert result[1] == ""
    assert result[2].startswith("mafdn: ")
    assert result[2].count("\n") == 1
    assert "Traceback" not in result[2]
    for word in words:
        assert str(word) in result[2]


def use_cache(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Use this cache folder, with OpenVINO recorded as the fastest engine: no test depends on how fast engines are."""
    patch.setenv("MAFDN_CACHE", str(folder))
    for threads in (None, 1):
        trials = (Trial(engine="openvino", device="cpu", seconds=1.0),)
        remember(Choice(when="", network="", precision="fp32", threads=threads, trials=trials))


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def watched(*arguments: object, program: str = WATCHED, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that may not use sockets; its last output lines are the imported modules.

    With `home`, that is the user's home folder, which then also contains the caches.
    """
    environment = {key: value for key, value in os.environ.items() if key not in UNSET}
    if home:
        folders = {key for key in environment if key.startswith("XDG_")} | {"MAFDN_CACHE"}
        environment = {key: value for key, value in environment.items() if key not in folders}
        environment |= {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    line = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=200, check=False, env=environment)


def check_loaders_are_blocked(code: str, folder: Path, *arguments: object) -> None:
    """Check that libvips opens SVG files before a process runs `code` (with `sys.argv[3:]`), and none afterwards."""
    files = [folder / name for name in ("before.svg", "after.svg")]
    for path in files:
        path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    words = [sys.executable, "-c", LOADERS.format(code=code), *map(str, (*files, *arguments))]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def soft_batch(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Draw a picture of soft spots in the layout of engines, (1, 3, H, W) in [0, 1]."""
    spots = np.random.default_rng(seed).random((-(-height // 4), -(-width // 4), 3))
    picture = imresize(spots, shape=(height, width)).clip(0, 1)
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
