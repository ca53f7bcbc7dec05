"""The code in docs/python.md runs as it stands."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mafdn.networks import IMDNSettings, find_architecture
from mafdn.networks.checkpoints.convert import _expected
from tests.conftest import ROOT
from tests.support import draw

BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for number, bench in enumerate(("Set5", "Set14")):
        draw(tmp_path / bench / "a.png", number, (48, 52))
    torch.manual_seed(0)
    state = {name: 0.05 * torch.randn(shape) for name, shape in _expected(IMDNSettings()).items()}
    torch.save({"params": state}, tmp_path / "IMDN_x4.pth")
    names: dict[str, Any] = {}
    blocks = BLOCK.findall((ROOT / "docs" / "python.md").read_text("utf-8"))
    for title, code in blocks:
        if title:
            Path(re.search(r'title="(.*)"', title)[1]).write_text(code)  # pyright: ignore[reportOptionalSubscript]
        else:
            exec(compile(code, "docs/python.md", "exec"), names)
    assert len(blocks) == 4
    assert names["sr"].shape == (1, 3, 128, 192)
    assert all(p.grad is not None for p in names["student"].parameters())
    assert names["result"].networks == ("ours", "sharpened", "IMDN", "bicubic")
    assert names["result"].score("ours", "Set5").psnr == pytest.approx(
        names["result"].score("sharpened", "Set5").psnr, abs=0.02
    )
    assert (tmp_path / "table.tex").read_text().count("\\\\") >= 4
    assert "IMDN" not in capsys.readouterr().out.split()  # the baseline is not compared with itself
    assert find_architecture("my_network:Tiny").settings(scale=3).scale == 3
    sys.modules.pop("my_network")
