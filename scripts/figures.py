"""Write the figures of README.md and docs/training.md from the stored measurements they quote.

mafdn evaluate --bench Set5 --bench Set14 --bench B100 --scale 4 --json > docs/results/evaluate-x4.json
mafdn upscale photo.jpg --json > docs/results/upscale-6mp-x4.json
cp RUN/log.jsonl docs/results/train-x4.jsonl
python scripts/figures.py
"""

import json
import re
from pathlib import Path
from typing import Any

from mafdn.cards import read_header, shipped

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
NAMES = {"bicubic": "bicubic", "mafdn-x4": "MAFDN (reconstruction), the weights that ship"}


def scores() -> str:
    """A row per network and a column per bench set."""
    results: list[dict[str, Any]] = json.loads((RESULTS / "evaluate-x4.json").read_text("utf-8"))
    sets = list(dict.fromkeys(r["bench"] for r in results))
    lines = [f"| x4, PSNR dB / SSIM on luma | {' | '.join(sets)} |", "| --- |" + " --- |" * len(sets)]
    for network, name in NAMES.items():
        means = {r["bench"]: r["mean"] for r in results if r["network"] == network}
        cells = [f"{means[s]['psnr']:.2f} / {means[s]['ssim']:.4f}" for s in sets]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def photo() -> str:
    """Time and memory of one large photograph."""
    report = json.loads((RESULTS / "upscale-6mp-x4.json").read_text("utf-8"))
    (width, height), (new_width, new_height) = report["size"], report["new_size"]
    return (
        f"A {width}x{height} camera JPEG to {new_width}x{new_height} took {report['seconds']:.0f} s "
        f"with {report['engine']}; memory peaked at {report['peak_mib']:,.0f} MiB "
        "([stored report](docs/results/upscale-6mp-x4.json) of `mafdn upscale PHOTO --json`)."
    )


def run() -> str:
    """What the card says of the run, and its validation curve."""
    _, card = read_header(shipped(4, ".safetensors"))
    log = [json.loads(line) for line in (RESULTS / "train-x4.jsonl").read_text("utf-8").splitlines()]
    curve = [entry for entry in log if "psnr" in entry and entry["step"] <= card["steps"]]
    shown = [entry for entry in curve if entry["step"] % 1500 == 0 or entry is curve[-1]]
    return "\n".join(
        [
            f"{card['steps']:,} steps of {card['settings']['run']['batch']} patches in {card['hours']} h, "
            f"in {card['precision']}. Data, settings and scores: `mafdn info --json`.",
            "",
            "| step | hours | held-out PSNR dB |",
            "| --- | --- | --- |",
            *(f"| {e['step']:,} | {e['seconds'] / 3600:.2f} | {e['psnr']:.3f} |" for e in shown),
        ]
    )


def filled(text: str) -> str:
    """``text`` with what stands between each pair of marks replaced by what was measured."""
    for make in (scores, photo, run):
        begin, end = f"<!-- {make.__name__}: scripts/figures.py -->", f"<!-- /{make.__name__} -->"
        if begin in text:
            text = re.sub(f"{begin}.*?{end}", lambda _, b=begin, m=make, e=end: f"{b}\n{m()}\n{e}", text, flags=re.S)
    return text


if __name__ == "__main__":
    for path in (ROOT / "README.md", ROOT / "docs" / "training.md"):
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
