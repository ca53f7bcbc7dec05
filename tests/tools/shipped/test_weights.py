"""Which of the weights in a stored comparison are those that ship."""

from typing import Any

from mafdn._support.atomic import sha256
from tests.conftest import ROOT
from tools.shipped.weights import earlier_note, shipped_weights


def row(scale: int, digest: str, *, ours: bool = True) -> dict[str, Any]:
    return {"ours": ours, "scale": scale, "file": f"mafdn-x{scale}.onnx", "sha256": digest}


def test_a_comparison_says_where_the_weights_have_changed_since() -> None:
    files = shipped_weights(ROOT, ".onnx")
    present = {scale: sha256(files[f"x{scale}"]) for scale in (2, 3, 4)}
    assert earlier_note(ROOT, [row(scale, digest) for scale, digest in present.items()]) == ""
    assert earlier_note(ROOT, [row(4, "0"), row(2, "1"), row(3, present[3]), row(3, "2", ours=False)]) == (
        "MAFDN at x2, x4 with earlier weights than those that ship now."
    )
