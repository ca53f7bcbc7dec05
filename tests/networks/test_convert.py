"""Released weights: read safely, recognized, every tensor checked, and the published figures measured."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mafdn.errors import WeightsError
from mafdn.evaluation.benchset import Protocol, measure
from mafdn.evaluation.methods import open_method
from mafdn.networks import AFAN, MAFDN, AFANSettings, IMDNSettings, MAFDNSettings, architecture, load_network
from mafdn.networks.checkpoints import load_pth
from mafdn.networks.checkpoints.convert import _expected
from mafdn.weights.header import read_header
from tests.conftest import Run
from tests.support import failed

PUBLISHED = {  # PSNR dB and SSIM on Set5, Set14 and B100; IMDN's as printed, DDistill-SR's as its weights measure
    "IMDN_x2": {"Set5": (38.00, 0.9605), "Set14": (33.63, 0.9177), "B100": (32.19, 0.8996)},
    "IMDN_x3": {"Set5": (34.36, 0.9270), "Set14": (30.32, 0.8417), "B100": (29.09, 0.8046)},
    "IMDN_x4": {"Set5": (32.21, 0.8948), "Set14": (28.58, 0.7811), "B100": (27.56, 0.7353)},
    "DDistill-SRx4_inference": {"Set5": (32.28, 0.8961), "Set14": (28.69, 0.7833), "B100": (27.64, 0.7384)},
}
KINDS = {"IMDN_x2": ("imdn", 2), "IMDN_x3": ("imdn", 3), "IMDN_x4": ("imdn", 4)} | {
    "DDistill-SRx4_inference": ("ddistill", 4)
}
State = dict[str, torch.Tensor]


def check_figures(peers: Path, datasets: Path, name: str, benches: tuple[str, ...]) -> None:
    scale = KINDS[name][1]
    method = dict([open_method(str(peers / f"{name}.pth"), scale=scale)])
    for bench in benches:
        score = measure(method, [datasets / bench], Protocol(scale=scale))[0]
        psnr, ssim = PUBLISHED[name][bench]
        assert score.psnr == pytest.approx(psnr, abs=0.01), bench
        assert score.ssim == pytest.approx(ssim, abs=0.0002), bench


@pytest.mark.parametrize("name", PUBLISHED)
def test_released_weights_reach_the_published_scores_on_set5(peers: Path, datasets: Path, name: str) -> None:
    check_figures(peers, datasets, name, ("Set5",))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", PUBLISHED)
def test_released_weights_reach_the_published_scores(peers: Path, datasets: Path, name: str) -> None:
    check_figures(peers, datasets, name, ("Set14", "B100"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_released_weights_convert(peers: Path, name: str, cli: Run, tmp_path: Path) -> None:
    target = tmp_path / "converted.safetensors"
    code, out, err = cli("convert", peers / f"{name}.pth", "-o", target, "--json")
    assert (code, err) == (0, "")
    kind, scale = KINDS[name]
    assert json.loads(out) == {"target": str(target), "network": kind, "scale": scale}
    original, converted = load_pth(peers / f"{name}.pth"), load_network(target)
    assert architecture(converted.settings) == kind
    for tensor, other in zip(original.state_dict().values(), converted.state_dict().values(), strict=True):
        assert torch.equal(tensor, other)
    card = read_header(target)[1]
    assert card["source"] == f"{name}.pth"
    assert len(card["source_sha256"]) == 64
    assert "others" in card["origin"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_an_exported_peer_measures_the_same(peers: Path, datasets: Path, name: str, cli: Run, tmp_path: Path) -> None:
    exported = tmp_path / "peer.onnx"
    assert cli("export", peers / f"{name}.pth", "-o", exported)[0] == 0
    bench, scale = datasets / "Set5", KINDS[name][1]
    methods = {str(path): open_method(str(path), scale=scale)[1] for path in (exported, peers / f"{name}.pth")}
    scores = measure(methods, [bench], Protocol(scale=scale))
    assert scores[0].psnr == pytest.approx(scores[1].psnr, abs=1e-3)
    assert scores[0].ssim == pytest.approx(scores[1].ssim, abs=1e-5)


@pytest.fixture(scope="session")
def imdn() -> State:
    """A state dict of random numbers with the names of IMDN's authors."""
    generator = torch.Generator().manual_seed(0)
    shapes = _expected(IMDNSettings(scale=3))
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_a_state_dict_is_recognized(imdn: State, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "imdn.pth"
    torch.save({prefix + name: tensor for name, tensor in imdn.items()}, path)
    network = load_pth(path)
    assert network.settings == IMDNSettings(scale=3)
    assert torch.equal(network.state_dict()["blocks.4.refines.2.bias"], imdn["IMDB5.c3.bias"])
    assert torch.equal(network.state_dict()["tail.weight"], imdn["upsampler.0.weight"])


@pytest.mark.parametrize(
    "network",
    [
        MAFDN(MAFDNSettings(scale=2)),
        MAFDN(MAFDNSettings(over_parameterized=False)),
        AFAN(AFANSettings(scale=3)),
        AFAN(AFANSettings(asymmetric=False)),
    ],
    ids=lambda n: str(n.settings),
)
def test_our_own_state_dicts_are_recognized(network: MAFDN | AFAN, tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save(network.state_dict(), path)
    loaded = load_pth(path)
    assert loaded.settings == network.settings
    x = torch.rand(1, 3, 8, 9)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))


def changed(state: State, **changes: object) -> dict[str, object]:
    merged = {**state, **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: value for name, value in merged.items() if value is not None}


WRONG: dict[str, tuple[Callable[[State], object], str]] = {
    "missing": (lambda s: changed(s, IMDB3__c2__bias=None), "lacks the tensor IMDB3.c2.bias"),
    "extra": (lambda s: changed(s, IMDB7__c1__bias=torch.zeros(64)), "an unexpected tensor: IMDB7.c1.bias"),
    "misshapen": (lambda s: changed(s, LR_conv__bias=torch.zeros(32)), "its tensor LR_conv.bias is (32,), not (64,)"),
    "not finite": (lambda s: changed(s, LR_conv__bias=torch.full((64,), torch.nan)), "LR_conv.bias has values"),
    "complex": (lambda s: changed(s, LR_conv__bias=torch.zeros(64, dtype=torch.cfloat)), "LR_conv.bias is not a plain"),
    "sparse": (lambda s: changed(s, LR_conv__bias=torch.ones(64).to_sparse()), "LR_conv.bias is not a plain"),
    "meta": (lambda s: changed(s, LR_conv__bias=torch.zeros(64, device="meta")), "LR_conv.bias is not a plain"),
    "a number": (lambda s: changed(s, LR_conv__bias=3), "'LR_conv.bias' is int"),
    "half prefixed": (
        lambda s: changed(s, module__c__0__bias=s["c.0.bias"], c__0__bias=None),
        "lacks the tensor c.0.bias",
    ),
    "a checkpoint of something else": (lambda s: {"states": s, "epoch": 3}, "'states' is dict"),
    "a name that is no text": (lambda s: {**s, 3: torch.zeros(1)}, "3 is Tensor"),
    "empty": (lambda _: {}, "does not contain a state dict"),
    "a list": (lambda s: list(s.values()), "does not contain a state dict"),
    "something else": (lambda _: {"a": torch.zeros(3)}, "does not contain a known network"),
}


@pytest.mark.parametrize("case", WRONG)
def test_every_tensor_must_fit(imdn: State, case: str, cli: Run, tmp_path: Path) -> None:
    make, words = WRONG[case]
    path = tmp_path / "peer.pth"
    torch.save(make(imdn), path)
    failed(cli("convert", path, "-o", tmp_path / "out.safetensors"), 1, path, words)
    assert list(tmp_path.iterdir()) == [path]


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_does_nothing(zipped: bool, cli: Run, tmp_path: Path) -> None:
    path, harm = tmp_path / "peer.pth", tmp_path / "harm"
    torch.save({"fea_conv.weight": Malicious(harm)}, path, _use_new_zipfile_serialization=zipped)
    failed(cli("convert", path, "-o", tmp_path / "out.safetensors"), 1, path, "read safely")
    failed(cli("evaluate", "--bench", tmp_path, "--network", path), 2)
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_files_give_a_one_line_error(imdn: State, cli: Run, tmp_path: Path) -> None:
    buffers = [io.BytesIO(), io.BytesIO()]
    for buffer, zipped in zip(buffers, (True, False), strict=True):
        torch.save(imdn, buffer, _use_new_zipfile_serialization=zipped)
    new, old = (buffer.getvalue() for buffer in buffers)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a/data.pkl", "w") as member:
        for _ in range(257):
            member.write(bytes(2**20))
    bad = {
        "empty": b"",
        "text": b"not a network at all",
        "half of a zip": new[: len(new) // 2],
        "half of a pickle": old[: len(old) // 2],
        "a byte changed": old[:200] + b"\xff" + old[201:],
        "bomb": bomb.getvalue(),
    }
    for name, content in bad.items():
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content)
        failed(cli("convert", path), 1, path)
        path.unlink()
    failed(cli("convert", tmp_path / "no.pth"), 1, "no.pth", "no such file")
    failed(cli("convert", tmp_path), 1, "regular file")
    assert list(tmp_path.iterdir()) == []


def test_a_file_larger_than_any_network_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.pth"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(WeightsError, match="larger than"):
        load_pth(path)


def test_convert_does_not_overwrite_by_default(imdn: State, cli: Run, tmp_path: Path) -> None:
    source, target = tmp_path / "peer.pth", tmp_path / "peer.safetensors"
    torch.save(imdn, source)
    assert cli("convert", source) == (0, f"{target}: IMDN x3\n", "")
    before = target.read_bytes()
    failed(cli("convert", source), 1, target, "--overwrite")
    failed(cli("convert", source, "-o", tmp_path / "peer.onnx"), 2, ".safetensors")
    failed(cli("convert", target, "--overwrite"), 1, target)
    assert target.read_bytes() == before
    torch.save({name: 2 * tensor for name, tensor in imdn.items()}, source)
    assert cli("convert", source, "--overwrite")[0] == 0
    assert torch.equal(load_network(target).state_dict()["fuse.bias"], 2 * imdn["c.0.bias"])
