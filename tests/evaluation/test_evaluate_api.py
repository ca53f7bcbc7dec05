"""`mafdn.evaluate`: names, files, modules and functions, and what its result offers."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

import mafdn
from mafdn import MafdnError, OutOfMemoryError, UsageError
from mafdn.networks import IMDN, MAFDN, IMDNSettings, MAFDNSettings, save_network
from mafdn.networks.imdn import IMDB
from mafdn.pixels import imresize
from tests.conftest import Run
from tests.support import draw


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A dataset of two pictures."""
    folder = tmp_path / "Small"
    draw(folder / "a.png", 0, (24, 32))
    draw(folder / "b.png", 1, (28, 30))
    return folder


class Nearest(nn.Module):
    """Repeats pixels; records the mode, the gradients and TF32 that it runs with."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))
        self.modes: list[tuple[bool, bool, bool]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.append((self.training, torch.is_grad_enabled(), torch.backends.cudnn.allow_tf32))
        return self.factor * nn.functional.interpolate(x, scale_factor=2, mode="nearest")


def bicubic(lr: np.ndarray) -> np.ndarray:
    assert (lr.dtype, lr.ndim, lr.shape[2]) == (np.uint8, 3, 3)
    return imresize(lr, 2)


def bicubic_as_tensor(lr: np.ndarray) -> torch.Tensor:
    """The result as a float tensor (3, H, W)."""
    return torch.from_numpy(imresize(lr, 2)).permute(2, 0, 1) / 255


def test_names_modules_and_functions_are_measured_together(bench: Path) -> None:
    module = Nearest()
    calls: list[tuple[int, int]] = []
    networks = {"named": "bicubic", "function": bicubic, "tensor": bicubic_as_tensor, "module": module}
    result = mafdn.evaluate(networks, bench=bench, scale=2, on_progress=lambda d, t: calls.append((d, t)))
    assert result.networks == tuple(networks)
    assert result.benches == ("Small",)
    assert result.score("named").pictures == result.score("function").pictures == result.score("tensor").pictures
    assert result.score("module").psnr != result.score("named").psnr
    assert set(module.modes) == {(False, False, False)}
    assert module.training
    assert torch.backends.cudnn.allow_tf32, "restored"
    assert calls[-1] == (6, 6)
    lr = result.score("module").lr
    assert lr is not None
    assert (lr.source, lr.folder) == ("made", "")
    named, function = result.differences("module")[0], result.differences()[0]
    assert (named.network, named.reference) == ("named", "module")
    assert named.psnr is not None
    assert named.psnr.mean == pytest.approx(result.score("named").psnr - result.score("module").psnr)
    assert function.psnr is not None
    assert function.psnr.mean == 0


def test_a_module_scores_as_its_file(bench: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = IMDN(IMDNSettings(scale=2, width=8, blocks=1))
    path = tmp_path / "n.safetensors"
    save_network(network, path, card={})
    variants: list[dict[str, Any]] = [{}, {"channels": "rgb"}, {"ensemble": 8}, {"self_ensemble": True}]
    for options in variants:
        result = mafdn.evaluate([path, network], bench, scale=2, **options)
        plus = "+" if options.keys() & {"ensemble", "self_ensemble"} else ""
        assert result.ensemble == (8 if plus else 1)
        assert result.networks == (f"n{plus}", f"IMDN{plus}")
        one, other = result.scores
        assert one.psnr == pytest.approx(other.psnr, abs=1e-3)
        assert one.ssim == pytest.approx(other.ssim, abs=1e-5)


def test_large_pictures_are_upscaled_whole_like_by_a_module(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those whose gates are sampled in upscaling."""
    torch.manual_seed(0)
    network = IMDN(IMDNSettings(scale=2, width=8, blocks=1))
    block = cast(IMDB, network.blocks[0])
    with torch.no_grad():  # gates that differ between pictures, and matter
        block.channel.squeeze.weight.fill_(5)
        block.merge.weight *= 50
        cast(torch.Tensor, network.tail.bias).fill_(0.5)
    path = tmp_path / "n.safetensors"
    save_network(network, path, card={})
    for name, value in {"WHOLE_AREA": 8 * 8, "WINDOW_SIDE": 4, "SAMPLE_AREA": 4 * 4}.items():
        monkeypatch.setattr(f"mafdn.inference.gates.{name}", value)
    for ensemble in (False, True):
        result = mafdn.evaluate([path, network], bench, scale=2, self_ensemble=ensemble)
        one, other = result.scores
        assert [p.psnr for p in one.pictures] == pytest.approx([p.psnr for p in other.pictures], abs=1e-3)
        assert not result.notes
    whole = mafdn.evaluate(network, bench, scale=2).score().pictures
    monkeypatch.setattr("mafdn.evaluation.benchset.WHOLE_AREA", 12 * 16)  # picture a has as many LR pixels, b more
    for fresh in (True, False):  # measured, and from the cache
        result = mafdn.evaluate(path, bench, scale=2, fresh=fresh)
        sampled = result.score().pictures
        assert sampled[0].psnr == pytest.approx(whole[0].psnr, abs=1e-3)
        assert abs(sampled[1].psnr - whole[1].psnr) > 1e-3
        assert "Small/b" in result.notes[0]
        assert "Small/a" not in result.notes[0]


def test_the_result_is_that_of_the_command(bench: Path, cli: Run, tmp_path: Path) -> None:
    result = mafdn.evaluate("x2", [str(bench)], scale=2)
    code, out, _ = cli("evaluate", "--bench", bench, "--scale", 2, "--network", "x2", "--json")
    assert code == 0
    by_command = json.loads(out)
    ours = result.to_json()
    assert ours["scores"][0] == by_command["scores"][1]
    assert ours["protocol"] == by_command["protocol"]
    assert ours["networks"] == by_command["networks"][1:]
    assert by_command.keys() - ours.keys() == {"engine_options"}
    assert result.score().psnr == ours["scores"][0]["mean"]["psnr"]
    table = tmp_path / "table.md"
    mafdn.evaluate({"ours": "x2", "cubic": bicubic}, bench, scale=2).save(table)
    assert "| ours" in table.read_text()
    assert "| cubic" in table.read_text()
    with pytest.raises(MafdnError, match="exists"):
        result.save(table)
    with pytest.raises(UsageError, match=r"must end in \.md or"):
        result.save(tmp_path / "table.png")


def test_two_sets_and_networks_need_a_choice(bench: Path, tmp_path: Path) -> None:
    draw(tmp_path / "Other" / "c.png", 2, (24, 24))
    result = mafdn.evaluate(["bicubic", "lanczos"], [bench, tmp_path / "Other"], scale=2)
    assert [(s.bench, s.network) for s in result.scores] == [
        ("Small", "bicubic"),
        ("Small", "lanczos"),
        ("Other", "bicubic"),
        ("Other", "lanczos"),
    ]
    assert result.score("lanczos", "Other") == result.scores[3]
    with pytest.raises(UsageError, match="fit 2 scores; choose one of networks bicubic, lanczos and datasets Small"):
        result.score("lanczos")
    with pytest.raises(UsageError, match="fit 0 scores"):
        result.score("imdn", "Other")
    with pytest.raises(UsageError, match="there is no network 'imdn'; choose from bicubic, lanczos"):
        result.differences("imdn")


def test_parameters_of_a_module_are_those_of_its_inference_form(bench: Path, tmp_path: Path) -> None:
    module = MAFDN(MAFDNSettings(scale=2, width=8, blocks=1))
    table = tmp_path / "table.json"
    mafdn.evaluate(module, bench, scale=2).save(table)
    (row,) = json.loads(table.read_text())["rows"]
    assert row["parameters"] == sum(p.numel() for p in module.fold().parameters())
    assert (row["device"], row["precision"]) == ("cpu", "fp32")


def unchanged(lr: np.ndarray) -> np.ndarray:
    return lr


def nothing(_: np.ndarray) -> None:
    return None


def wide(lr: np.ndarray) -> np.ndarray:
    return lr * 255.0


@pytest.mark.parametrize(
    ("networks", "options", "words"),
    [
        (3, {}, "a network must be a name, a path, a module or a function, not a int"),
        ([], {}, "name at least one network"),
        ("vdsr", {}, "unknown network 'vdsr'"),
        ("imdn", {}, "imdn has no weights"),
        ("", {}, "a network is an empty string"),
        ([bicubic, bicubic], {}, "two networks are called 'bicubic'; pass a dictionary"),
        ("bicubic", {"ensemble": 4}, "ensemble must be 1 or 8"),
        (bicubic, {"self_ensemble": True}, "ensemble needs a network; bicubic"),
        (unchanged, {}, "unchanged upscaled a to 16x12, but x2 needs 32x24"),
        (nothing, {}, "the result of nothing must be an array or a tensor, not a NoneType"),
        (wide, {}, r"the result of wide is float from .* not in \[0, 1\]"),
        (nn.Flatten(), {}, "Flatten returned 1x576, but a network returns a tensor of 1x3xHxW"),
        ("bicubic", {"scale": 5}, "scale must be 2, 3 or 4, not 5"),
        ("bicubic", {"channels": "y"}, "channels must be luma or rgb"),
        ("bicubic", {"engine": 4}, r"engine must be a mafdn\.EngineOptions"),
        ("bicubic", {"bench": []}, "bench must name at least one folder"),
        ("bicubic", {"bench": "missing"}, "no benchmark dataset in missing"),
    ],
)
def test_unsuitable_arguments_are_refused(bench: Path, networks: Any, options: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"bench": bench, "scale": 2} | options
    with pytest.raises(UsageError, match=words):
        mafdn.evaluate(networks, **arguments)


def test_memory_that_runs_out_is_explained(bench: Path) -> None:
    def greedy(_: np.ndarray) -> Any:
        return torch.empty(2**48)

    def greedy_numpy(_: np.ndarray) -> Any:
        return np.empty(2**50)

    for function in (greedy, greedy_numpy):
        with pytest.raises(OutOfMemoryError, match=r"out of memory while measuring; .*use fewer threads"):
            mafdn.evaluate(function, bench, scale=2)
