"""The table of the self-ensemble in docs/upscaling.md, from the measurement of `tools.ensemble`."""

from typing import Any

from mafdn._support.machine import machine_text
from mafdn.evaluation.tables import markdown_table


def ensemble_table(report: dict[str, Any]) -> str:
    """A row per network and set: scores without and with the ensemble, and the gain."""
    rows: list[list[str]] = []
    for entry in report["scores"]:
        one, eight = entry["plain"], entry["ensemble"]
        name = f"{entry['network']} x{entry['scale']}"
        scores = (f"{value['psnr']:.2f} / {value['ssim']:.4f}" for value in (one, eight))
        gain = f"{eight['psnr'] - one['psnr']:+.2f} dB"
        rows.append([name, entry["set"], *scores, gain, f"{entry['improved']} of {entry['pictures']}"])
    width, height = report["time"]["size"]
    return "\n\n".join(
        [
            markdown_table(
                ["weights", "dataset", "PSNR dB / SSIM", "`--ensemble 8`", "gain", "pictures improved"], rows
            ),
            f"It took {report['time']['ratio']:.1f} times the processor time on a picture of {width}x{height} "
            f"({report['time']['network']}), on {machine_text(report['machine'])}.",
        ]
    )
