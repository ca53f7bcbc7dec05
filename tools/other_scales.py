"""Measure how well the weights of one scale serve another one.

    python -m tools.other_scales BANK > docs/results/other-scales.json

Each shipped network starts a training run at every other scale of its variant: its weights are kept, except for the
last convolution, which is fitted (`mafdn.training.last_convolution`) to HR pictures of the bank. Without any step of
training, it is validated on the held-out pictures, as are the shipped weights of that scale. Photo weights are fitted
to degraded LR pictures and validated on degraded ones. It takes about 20 minutes on two cores.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mafdn._support.atomic import sha256
from mafdn._support.machine import machine
from mafdn.training.run import open_run
from mafdn.training.workers import Workers, open_workers
from mafdn.weights.shipped import VARIANTS, Variant, shipped, shipped_scales, shipped_stem
from tools.documents.update import PROJECT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path, help="bank of the training pictures and the held-out ones")
    bank = parser.parse_args().bank.resolve()
    with open_workers() as workers:
        rows = [
            validated(bank, workers, variant=variant, start=start, scale=scale)
            for variant in VARIANTS
            for scale in shipped_scales(variant)
            for start in shipped_scales(variant)
        ]
    print(json.dumps({"machine": asdict(machine()), "rows": rows}, indent=1))


def validated(bank: Path, workers: Workers, *, variant: Variant, start: int, scale: int) -> dict[str, Any]:
    """Return the held-out PSNR of the weights for `start` at `scale`, which may be the same."""
    weights = shipped(start, ".safetensors", variant)
    config = PROJECT / "configs" / f"{shipped_stem(scale, variant)}.toml"
    overrides: dict[str, Any] = {
        "data.bank": str(bank),
        "data.folders": [],
        "data.exclude": [],
        "data.teacher": "",
        "data.teacher_description": "",
        "loss.teacher": 0.0,
    }
    run = open_run(config, workers, overrides=overrides, init=weights, resume=False)
    return {
        "variant": variant,
        "scale": scale,
        "start": start,
        "sha256": sha256(weights),
        "pictures": len(run.held_out),
        "psnr": run.validate(),
    }


if __name__ == "__main__":
    main()
