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


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
