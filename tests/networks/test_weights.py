"""Weights files: networks rebuilt from the file alone, and a clear error for every invalid one."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mafdn.errors import WeightsError
from mafdn.networks import MAFDN, AFANSettings, IMDNSettings, MAFDNSettings, build, load_network, save_network, transfer
from mafdn.weights.header import read_header

SMALL = MAFDNSettings(scale=3, width=8, blocks=1)


def saved(path: Path, settings: MAFDNSettings = SMALL) -> tuple[MAFDN, Path]:
    torch.manual_seed(0)
    network = MAFDN(settings)
    save_network(network, path, card={"steps": 7})
    return network, path


@pytest.mark.parametrize(
    "settings",
    [
        SMALL,
        MAFDNSettings(scale=2, width=6, blocks=2, pixel_attention=False),
        MAFDNSettings(scale=4, width=10, blocks=1, channel_attention=False, over_parameterized=False),
        MAFDNSettings(scale=4, width=8, blocks=1, spatial_attention=False),
    ],
)
def test_a_network_comes_back_from_its_file_alone(tmp_path: Path, settings: MAFDNSettings) -> None:
    network, path = saved(tmp_path / "n.safetensors", settings)
    loaded = load_network(path)
    x = torch.rand(1, 3, 10, 11)
    assert loaded.settings == settings
    assert read_header(path)[1] == {"steps": 7}
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))
        torch.testing.assert_close(loaded.fold()(x), network(x), atol=1e-5, rtol=0)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def with_header(path: Path, **changes: object) -> Path:
    network = MAFDN(SMALL)
    header = {"version": 1, "architecture": "mafdn", "settings": {"scale": 3, "width": 8, "blocks": 1}} | changes
    save_file(network.state_dict(), path, {"mafdn": json.dumps(header)})
    return path


HOSTILE = {
    "unknown setting": {"settings": {"scale": 3, "width": 8, "blocks": 1, "evil": 1}},
    "wrong scale": {"settings": {"scale": 9, "width": 8, "blocks": 1}},
    "the largest network in an empty file": {"settings": {"scale": 3, "width": 512, "blocks": 64}},
    "a switch as text": {"settings": {"scale": 3, "width": 8, "blocks": 1, "pixel_attention": "false"}},
    "huge width": {"settings": {"scale": 3, "width": 10**9, "blocks": 1}},
    "huge blocks": {"settings": {"scale": 3, "width": 8, "blocks": 10**6}},
    "width as text": {"settings": {"scale": 3, "width": "8", "blocks": 1}},
    "settings not a table": {"settings": [1]},
    "another width": {"settings": {"scale": 3, "width": 10, "blocks": 1}},
    "another architecture": {"architecture": "imdn"},
    "a later version": {"version": 2},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers_give_a_one_line_error(tmp_path: Path, changes: dict[str, object]) -> None:
    path = with_header(tmp_path / "n.safetensors", **changes)
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_files_give_a_one_line_error(tmp_path: Path) -> None:
    whole = saved(tmp_path / "n.safetensors")[1].read_bytes()
    bad = {
        "missing": None,
        "empty": b"",
        "text": b"not a weights file at all",
        "half": whole[: len(whole) // 2],
        "huge header": (2**62).to_bytes(8, "little") + whole[8:],
        "no header": None,
    }
    for name, content in bad.items():
        path = tmp_path / f"{name}.safetensors"
        if content is not None:
            path.write_bytes(content)
        elif name == "no header":
            save_file({"a": torch.zeros(1)}, path)
        with pytest.raises(WeightsError) as caught:
            load_network(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_and_a_pipe_are_not_weights_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(WeightsError, match="regular"):
            load_network(path)


def test_transfer_keeps_the_function_at_the_same_scale() -> None:
    torch.manual_seed(0)
    source, target = MAFDN(SMALL), MAFDN(SMALL)
    transfer(source.fold(), target)
    x = torch.rand(1, 3, 9, 9)
    with torch.inference_mode():
        torch.testing.assert_close(target(x), source(x), atol=1e-6, rtol=1e-5)


def test_transfer_to_another_scale_takes_the_body() -> None:
    source, target = MAFDN(SMALL), MAFDN(MAFDNSettings(scale=2, width=8, blocks=1))
    tail = target.tail.weight.clone()
    transfer(source, target)
    assert torch.equal(target.head.weight, source.head.weight)
    assert torch.equal(target.tail.weight, tail)


def test_transfer_keeps_the_function_of_every_network() -> None:
    torch.manual_seed(0)
    for settings in (AFANSettings(width=6, blocks=1), IMDNSettings(width=8, blocks=1)):
        source, target = build(settings), build(settings)
        transfer(source, target)
        x = torch.rand(1, 3, 9, 9)
        with torch.inference_mode():
            torch.testing.assert_close(target(x), source(x), atol=1e-6, rtol=1e-5)
    with pytest.raises(WeightsError, match="their network is IMDN, the network's MAFDN"):
        transfer(source, MAFDN(SMALL))


def test_transfer_refuses_another_body() -> None:
    for other in ({"width": 10}, {"blocks": 2}, {"pixel_attention": False}):
        for source, target in ((SMALL, replace(SMALL, **other)), (replace(SMALL, **other), SMALL)):
            with pytest.raises(WeightsError, match="the weights do not fit: their"):
                transfer(MAFDN(source), MAFDN(target))
