"""Write a summary of a measurement as Markdown, LaTeX, CSV or JSON, chosen by the ending of the file's name.

In Markdown and LaTeX, the best figure of each scale and column is bold, the second underlined; equal figures, as they
are printed, are marked alike. Published figures take no part, and their rows are marked.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mafdn._support.atomic import replacing
from mafdn._version import __version__
from mafdn.errors import MafdnError
from mafdn.evaluation.paired import Difference
from mafdn.evaluation.summary.rows import NetworkRow, Summary, as_json
from mafdn.evaluation.tables import markdown_table

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "[": "{[}",  # at the start of a row it would be an argument of the line break before
    **{character: "\\" + character for character in "&%$#_{}"},
}
SIGN_CONVENTION = (
    "Differences are network - baseline, paired by picture: positive is better. The 95 % intervals are over pictures, "
    "not over training seeds."
)
NONE = "-"
PUBLISHED = "as published, not measured here"


@dataclass(frozen=True)
class _Style:
    """How a format marks text."""

    best: str
    second: str
    published: str
    infinite: str = "inf"
    text: Callable[[str], str] = str


PLAIN = _Style("{}", "{}", "{}†")
MARKDOWN = _Style("**{}**", "<u>{}</u>", "{}†", text=lambda text: text.replace("|", "/"))
LATEX = _Style(
    r"\textbf{{{}}}",
    r"\underline{{{}}}",
    r"{}$^\dagger$",
    infinite=r"$\infty$",
    text=lambda text: "".join(LATEX_SPECIAL.get(character, character) for character in text),
)


def write_summary(path: Path, summary: Summary) -> None:
    """Write a summary to a file that ends in .md, .tex, .csv or .json.

    Raises:
        MafdnError: The file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_text(FORMATS[path.suffix](summary), "utf-8", newline="\n")
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write {path}", error) from None


def markdown(summary: Summary) -> str:
    """Tables of scores and of paired differences, and notes."""
    lines = [_table(summary)]
    if _differences(summary):
        columns, rows = _difference_cells(summary)
        lines += ["", SIGN_CONVENTION, "", markdown_table(columns, rows)]
    return "\n".join([*lines, "", *(f"- {note}" for note in _notes(summary))]) + "\n"


def latex(summary: Summary) -> str:
    """Tables with the rules of booktabs; notes are comments."""
    columns, rows = _cells(summary, LATEX)
    note = rf"\multicolumn{{{len(columns)}}}{{l}}{{\footnotesize $^\dagger$ {PUBLISHED}}} \\"
    lines = [
        f"% Made by mafdn {__version__}. Needs \\usepackage{{booktabs}}.",
        *(f"% {note}" for note in _notes(summary)),
        *_tabular(columns, rows, [row.scale for row in _ordered(summary)], left=1),
    ]
    if any(row.source for row in summary.rows):
        lines.insert(-1, note)
    if _differences(summary):
        heads, cells = _difference_cells(summary)
        styled = [[LATEX.text(cell) for cell in row] for row in cells]
        scales = [scale for scale, _ in _differences(summary)]
        lines += ["", f"% {SIGN_CONVENTION}", *_tabular([LATEX.text(h) for h in heads], styled, scales, left=3)]
    return "\n".join(lines) + "\n"


def csv_text(summary: Summary) -> str:
    """One line for each network, with full precision; an infinite PSNR is `inf`, an unknown figure empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    compared = {(scale, d.network, d.bench): d for scale, d in _differences(summary)}
    fixed = ["network", "scale", "channels", "source", "file", "sha256", "parameters", "conv_macs", "multi_adds"]
    measures = ("psnr", "ssim", "psnr_difference", "ssim_difference", "lr", "lr_sha256")
    writer.writerow([*fixed, *(f"{bench} {name}" for bench in summary.benches for name in measures), "baseline"])
    for row in summary.rows:
        values: list[object] = [row.network, row.scale, summary.channels, row.source or "measured", row.file]
        values += [row.sha256, row.parameters, row.conv_macs, row.multi_adds]
        for bench in summary.benches:
            score, found = row.scores.get(bench), compared.get((row.scale, row.network, bench))
            lr = None if row.source else summary.lr.get(row.scale, {}).get(bench)
            values += ["inf" if score[0] is None else score[0], score[1]] if score else ["", ""]
            values += [i.mean if i else "" for i in (found and found.psnr, found and found.ssim)]
            values += [lr.source, lr.sha256] if lr else ["", ""]
        baseline = "" if row.source else summary.baseline.get(row.scale, "")
        writer.writerow([*values, baseline])
    return buffer.getvalue()


def json_text(summary: Summary) -> str:
    """The JSON form of a summary (`mafdn.evaluation.summary.rows.as_json`)."""
    return json.dumps(as_json(summary), indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Summary], str]] = {
    ".md": markdown,
    ".tex": latex,
    ".csv": csv_text,
    ".json": json_text,
}
"""Formats by the ending of a file's name."""


def plain_cells(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Headings and cells without marks for best and second, for the terminal."""
    return _cells(summary, PLAIN)


def _table(summary: Summary) -> str:
    return markdown_table(*_cells(summary, MARKDOWN))


def _cells(summary: Summary, style: _Style) -> tuple[list[str], list[list[str]]]:
    benches = summary.benches
    ranks = {
        (scale, bench, part): _ranks(
            [_figure(r, bench, part) for r in summary.rows if r.scale == scale and not r.source]
        )
        for scale in {row.scale for row in summary.rows}
        for bench in benches
        for part in (0, 1)
    }
    rows: list[list[str]] = []
    for row in _ordered(summary):
        cells = [style.text(row.network), f"x{row.scale}", _thousands(row.parameters), _billions(row.multi_adds)]
        cells[0] = style.published.format(cells[0]) if row.source else cells[0]
        for bench in benches:
            parts = [_figure(row, bench, part) for part in (0, 1)]
            marks = [{} if row.source else ranks[row.scale, bench, part] for part in (0, 1)]
            shown = [
                {1: style.best, 2: style.second}.get(mark.get(text, 0), "{}").format(
                    style.infinite if text == "inf" else text
                )
                for text, mark in zip(parts, marks, strict=True)
            ]
            cells.append(" / ".join(shown) if bench in row.scores else NONE)
        rows.append(cells)
    return ["Network", "Scale", "Params", "Multi-Adds", *map(style.text, benches)], rows


def _ordered(summary: Summary) -> list[NetworkRow]:
    """Scale by scale, measured rows before published ones."""
    return sorted(summary.rows, key=lambda row: (row.scale, bool(row.source)))


def _figure(row: NetworkRow, bench: str, part: int) -> str:
    """PSNR (part 0) or SSIM (part 1) as printed."""
    if bench not in row.scores:
        return NONE
    psnr, ssim = row.scores[bench]
    return f"{ssim:.4f}" if part else "inf" if psnr is None else f"{psnr:.2f}"


def _ranks(figures: Sequence[str]) -> dict[str, int]:
    """1 for the best figure and 2 for the second; nothing where there is nothing to compare."""
    distinct = sorted({figure for figure in figures if figure != NONE}, key=float, reverse=True)
    return {figure: place for place, figure in enumerate(distinct[:2], 1)} if len(distinct) > 1 else {}


def _tabular(
    columns: Sequence[str], rows: Sequence[Sequence[str]], scales: Sequence[int], *, left: int
) -> Iterator[str]:
    yield rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(columns) - left)}}}"
    yield r"\toprule"
    yield _latex_row(columns)
    previous: int | None = None
    for row, scale in zip(rows, scales, strict=True):
        if scale != previous:
            yield r"\midrule"
        previous = scale
        yield _latex_row([f"$\\times{cell[1:]}$" if cell == f"x{scale}" else cell for cell in row])
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _differences(summary: Summary) -> list[tuple[int, Difference]]:
    return [(scale, difference) for scale, found in summary.differences.items() for difference in found]


def _difference_cells(summary: Summary) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            difference.network,
            difference.reference,
            difference.bench or f"all {difference.degrade}".rstrip(),
            f"x{scale}",
            difference.psnr.text(".3f") if difference.psnr else NONE,
            difference.ssim.text(".4f") if difference.ssim else NONE,
            f"{difference.improved}/{difference.pictures}",
        ]
        for scale, difference in _differences(summary)
    ]
    return ["Network", "Baseline", "Dataset", "Scale", "PSNR, dB", "SSIM", "Improved"], rows


def _notes(summary: Summary) -> list[str]:
    channels = "BT.601 luma, not rounded," if summary.channels == "luma" else "RGB"
    engines = dict.fromkeys(f"{r.engine} on {r.device} in {r.precision}" for r in summary.rows if r.engine)
    notes = [
        f"PSNR in dB / SSIM on {channels} of 8-bit results, crop border equal to the scale",
        f"Measured by mafdn {__version__}" + (f" with {', '.join(engines)}" if engines else ""),
        "Multi-Adds for a 1280x720 output",
    ]
    if any(row.self_ensemble for row in summary.rows):
        notes.append("+: mean of the results on eight orientations; Multi-Adds are those of all eight")
    notes += [f"x{scale}, {bench}: {lr}" for scale, found in summary.lr.items() for bench, lr in found.items()]
    published = dict.fromkeys(f"† {row.network}: {PUBLISHED}; {row.source}" for row in summary.rows if row.source)
    return [*notes, *published, *summary.notes]


def _thousands(parameters: int | None) -> str:
    return f"{parameters / 1e3:,.1f}K" if parameters is not None else NONE


def _billions(multi_adds: int | None) -> str:
    return f"{multi_adds / 1e9:,.2f}G" if multi_adds is not None else NONE
