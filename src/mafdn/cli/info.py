"""``mafdn info``."""

import platform
from typing import Any

from mafdn._version import __version__
from mafdn.cli.output import Json, show_json, show_table
from mafdn.machine import installed_version

PACKAGES = ("numpy", "openvino", "onnxruntime", "pyvips", "torch")


def info_command(as_json: Json = False) -> None:
    """Show versions, engines and the shipped weights with their scores.

    \b
    Examples:
      mafdn info
      mafdn info --json
    """
    import pyvips

    from mafdn.cards import read_header, shipped, shipped_scales, weights_folder
    from mafdn.inference import ENGINES

    weights: dict[str, Any] = {}
    for scale in shipped_scales():
        header, card = read_header(shipped(scale, ".safetensors"))
        weights[f"x{scale}"] = {"settings": header["settings"], "card": card}
    versions = {name: installed_version(name) for name in PACKAGES}
    usable = [name for name in ENGINES if versions[name]]
    about: dict[str, Any] = {
        "mafdn": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "libvips": ".".join(str(pyvips.version(i)) for i in range(3)),
        "engines": usable,
        "engine": usable[0] if usable else None,
        "weights_folder": str(weights_folder()),
        "weights": weights,
    }
    if as_json:
        show_json(about)
        return
    rows = [["mafdn", __version__], ["python", about["python"]], ["libvips", about["libvips"]]]
    rows += [[name, version or "not installed"] for name, version in versions.items()]
    rows += [
        ["engine", f"{about['engine']} (usable: {', '.join(usable)})"],
        ["weights", about["weights_folder"]],
    ]
    show_table("Versions", ["", "value"], rows)
    scores = [
        [name, bench, f"{score['psnr']:.2f}", f"{score['ssim']:.4f}", f"{entry['card'].get('steps', 0):,}"]
        for name, entry in weights.items()
        for bench, score in entry["card"].get("scores", {}).items()
    ]
    show_table(
        "Shipped weights, measured on luma (MAFDN as reconstructed from its abstract)",
        ["scale", "bench set", "PSNR dB", "SSIM", "training steps"],
        scores,
    )
