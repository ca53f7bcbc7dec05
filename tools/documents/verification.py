"""Tables about verification for docs/photo.md, from the measurements of `tools.faithfulness` and `tools.recovered`."""

from typing import Any

from mafdn.evaluation.tables import markdown_table


def faithfulness_tables(report: dict[str, Any]) -> str:
    """A row per input, a column per method: coefficients that are met, and differences of pixels."""
    names = list(report["inputs"][0]["methods"])
    met: list[list[str]] = []
    different: list[list[str]] = []
    for entry in report["inputs"]:
        figures = [entry["methods"][name] for name in names]
        shares = [f"{100 * f['share']:.2f} / {100 * f['nonzero_share']:.1f}" for f in figures]
        met.append([entry["input"], *shares, f"{100 * figures[0]['judged_blocks']:.0f} %"])
        levels = [f"{f['mean_difference']:.2f} / {f['block_difference']:.2f}" for f in figures]
        different.append([entry["input"], *levels])
    return "\n\n".join(
        [
            "DCT coefficients that are met, in percent: all / those that are not 0.",
            markdown_table(["", *names, "blocks judged"], met),
            "Differences of pixels, in 8-bit levels: mean / largest of the mean color of a 64x64 block.",
            markdown_table(["", *names], different),
        ]
    )


def recovered_table(report: dict[str, Any]) -> str:
    """A row per input, a column per component and range of steps."""
    columns = [(component, name) for component in ("luma", "chroma") for name in ("1", "2", "3 and more")]
    rows: list[list[str]] = []
    for entry in report["inputs"]:
        shares = {(share["component"], share["steps"]): share["exact"] for share in entry["shares"]}
        rows.append([entry["input"], *(f"{100 * shares[c]:.2f}" if c in shares else "-" for c in columns)])
    titles = [f"{component}, step {name}" for component, name in columns]
    return markdown_table(["recovered exactly, %", *titles], rows)
