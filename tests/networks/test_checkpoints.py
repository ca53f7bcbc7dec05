"""Checkpoints as trainers write them: wrapped, prefixed, of other networks, or holding more than tensors."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import mafdn
from mafdn.errors import WeightsError
from mafdn.networks import IMDN, MAFDN, IMDNSettings, MAFDNSettings, load_network
from mafdn.networks.checkpoints import checkpoint_note, load_pth, open_network
from mafdn.networks.checkpoints.convert import _expected
from mafdn.weights.header import read_header
from tests.conftest import Run
from tests.support import failed

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """Random tensors with the names of IMDN's authors, at x3."""
    generator = torch.Generator().manual_seed(0)
    return {n: 0.1 * torch.randn(s, generator=generator) for n, s in _expected(IMDNSettings(scale=3)).items()}


def renamed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


WRAPPED: dict[str, Callable[[State], object]] = {
    "params": lambda s: {"params": s},
    "params_ema": lambda s: {"params_ema": s, "params": {n: t + 1 for n, t in s.items()}},
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {}}},
    "model": lambda s: {"model": s, "step": 100},
    "model/state_dict": lambda s: {"model": {"state_dict": s}},
    "network": lambda s: {"network": s},
    "generator": lambda s: {"generator": s, "discriminator": {"a": torch.zeros(1)}},
    "state_dict of Lightning": lambda s: {"state_dict": renamed(s, "model."), "epoch": 1},
    "compiled": lambda s: {"params": renamed(s, "_orig_mod.")},
    "compiled and parallel": lambda s: renamed(s, "module._orig_mod."),
}


@pytest.mark.parametrize("ending", [".pth", ".pt", ".ckpt"])
@pytest.mark.parametrize("case", WRAPPED)
def test_weights_are_found_where_trainers_store_them(state: State, case: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"n{ending}"
    torch.save(WRAPPED[case](state), path)
    network = open_network(path)
    assert network.settings == IMDNSettings(scale=3)
    assert torch.equal(network.state_dict()["fuse.weight"], state["c.0.weight"])


def test_the_averaged_weights_are_preferred_and_named(state: State, cli: Run, tmp_path: Path) -> None:
    both, one = tmp_path / "both.pth", tmp_path / "one.pth"
    torch.save({"params": {n: t + 1 for n, t in state.items()}, "params_ema": state}, both)
    torch.save({"params": state}, one)
    assert checkpoint_note(both) == "both.pth uses its entry params_ema, not params"
    assert checkpoint_note(one) == ""
    target = tmp_path / "out.safetensors"
    assert cli("convert", both, "-o", target) == (
        0,
        f"{target}: IMDN x3\n",
        "note: both.pth uses its entry params_ema, not params\n",
    )
    assert torch.equal(load_network(target).state_dict()["fuse.weight"], state["c.0.weight"])
    assert read_header(target)[1]["source_entry"] == "params_ema"
    code, out, _ = cli("convert", both, "-o", target, "--overwrite", "--json")
    assert (code, json.loads(out)["note"]) == (0, "uses its entry params_ema, not params")


def test_safetensors_without_a_header_are_recognized(state: State, cli: Run, tmp_path: Path) -> None:
    path, target = tmp_path / "n.safetensors", tmp_path / "out.safetensors"
    save_file(state, path)
    assert open_network(path).settings == IMDNSettings(scale=3)
    assert cli("convert", path, "-o", target)[0] == 0
    failed(cli("convert", target, "-o", tmp_path / "again.safetensors"), 1, target, "needs no conversion")
    with pytest.raises(WeightsError, match="has no mafdn header"):
        load_network(path)


def test_a_network_of_another_size_is_recognized_when_it_is_expected(tmp_path: Path) -> None:
    settings = MAFDNSettings(scale=2, width=8, blocks=1)
    path = tmp_path / "n.pth"
    torch.save(MAFDN(settings).fold().state_dict(), path)
    with pytest.raises(WeightsError, match="does not contain a known network"):
        load_pth(path)
    loaded = load_pth(path, like=MAFDNSettings(scale=3, width=8, blocks=1))
    assert loaded.settings == MAFDNSettings(scale=2, width=8, blocks=1, over_parameterized=False)


UNSUPPORTED = {
    "SwinIR": ["conv_first.weight", "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"],
    "HAT": [
        "layers.0.residual_group.overlap_attn.relative_position_bias_table",
        "layers.0.residual_group.blocks.0.attn.relative_position_bias_table",
    ],
    "RCAN": ["head.0.weight", "body.0.body.0.body.3.conv_du.0.weight", "body.0.body.0.body.2.weight"],
    "EDSR": ["head.0.weight", "body.0.body.0.weight", "body.0.body.2.weight", "tail.0.0.weight"],
    "RFDN": ["fea_conv.weight", "B1.c1_d.weight", "B1.c1_r.weight", "LR_conv.weight"],
    "BSRN": ["fea_conv.pw.weight", "B1.c1_d.weight", "B1.c1_r.pw.weight"],
    "RLFN": ["conv_1.weight", "block_1.c1_r.weight", "block_1.esa.conv1.weight"],
    "SPAN": ["conv_1.sk.weight", "block_1.c1_r.sk.weight", "block_1.c1_r.eval_conv.weight"],
    "PAN": ["conv_first.weight", "SCPA_trunk.0.conv1_a.weight", "upconv1.weight"],
    "SAFMN": ["to_feat.weight", "feats.0.safm.mfr.0.weight", "to_img.0.weight"],
    "CARN": ["entry.weight", "b1.b1.body.0.weight", "c1.body.0.weight"],
    "RRDBNet (ESRGAN)": ["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"],
    "SRVGGNetCompact (Real-ESRGAN)": ["body.0.weight", "body.1.weight", "body.2.bias"],
    "SRCNN": ["conv1.weight", "conv2.weight", "conv3.weight"],
}


@pytest.mark.parametrize("network", UNSUPPORTED)
def test_known_networks_that_are_not_supported_are_named(network: str, cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "n.pth"
    torch.save({"params": {name: torch.zeros(4) for name in UNSUPPORTED[network]}}, path)
    failed(cli("convert", path), 1, f"is a checkpoint of {network}, which is not supported; supported: MAFDN", "IMDN")


def test_a_body_of_something_else_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "n.pth"
    torch.save({"body.1.weight": torch.zeros(3), "conv3.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="does not contain a known network"):
        load_pth(path)


OBJECTS: dict[str, tuple[object, str]] = {
    "a whole network": (nn.Conv2d(1, 1, 1), r"torch\.nn\.modules\.conv\.Conv2d"),
    "the arguments of a script": ({"args": argparse.Namespace(a=1)}, r"argparse\.Namespace"),
    "a numpy number": ({"psnr": np.float64(3)}, r"numpy\.\w*\.multiarray\.scalar"),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("case", OBJECTS)
def test_the_message_about_objects_does_not_advise_to_run_them(case: str, zipped: bool, tmp_path: Path) -> None:
    content, name = OBJECTS[case]
    path = tmp_path / "n.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=rf"objects other than tensors \({name}\).*torch\.save\(model\.state_dict"
    ) as e:
        load_pth(path)
    assert_harmless(str(e.value))


@pytest.mark.parametrize("content", [b"", b"not a network at all", b"\x80\x04\x95garbage", b"PK\x03\x04half"])
def test_the_message_about_damage_does_not_advise_to_run_it(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "n.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read safely: it is damaged") as e:
        load_pth(path)
    assert_harmless(str(e.value))


def assert_harmless(message: str) -> None:
    for advice in ("weights_only", "safe_globals", "Re-running", "trust", "pytorch.org", "\n"):
        assert advice not in message


def test_a_wrapped_checkpoint_is_evaluated_and_run(state: State, tmp_path: Path, png: Path) -> None:
    path, plain = tmp_path / "n.pth", tmp_path / "plain.pth"
    torch.save({"params_ema": renamed(state, "module.")}, path)
    torch.save(state, plain)
    results = [mafdn.load(file, engine="torch").upscale(png) for file in (path, plain)]
    assert results[0].shape == (72, 96, 3)
    assert np.array_equal(results[0], results[1])
    assert isinstance(open_network(path), IMDN)


def test_nothing_is_lost_when_a_trainers_entry_is_empty(state: State, tmp_path: Path) -> None:
    path = tmp_path / "n.pth"
    content: dict[str, Any] = {"params_ema": {}, "params": state}
    torch.save(content, path)
    assert open_network(path).settings == IMDNSettings(scale=3)
    assert checkpoint_note(path) == ""
