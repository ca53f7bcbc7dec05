"""Tables for the output of commands and for documents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of text; `columns` are the headings."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self, *, titled: bool = True) -> str:
        """The table in Markdown; `titled` puts the title over the first column."""
        columns = [self.title, *self.columns[1:]] if titled else self.columns
        return "\n".join(_line(cells) for cells in (columns, ["---"] * len(columns), *self.rows))


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without a title in Markdown."""
    return Table("", columns, list(rows)).markdown(titled=False)


def interval_text(mean: float, low: float | None, high: float | None, form: str) -> str:
    """A mean difference and its interval, if it has one; `form` is the format of numbers after the sign."""
    return f"{mean:+{form}}" if low is None or high is None else f"{mean:+{form}} [{low:+{form}}, {high:+{form}}]"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
