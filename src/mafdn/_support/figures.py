"""Write matplotlib figures as PNG, PDF or SVG."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mafdn._support.atomic import replacing
from mafdn._support.validate import check_place
from mafdn.errors import MafdnError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METADATA: dict[str, dict[str, Any]] = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
"""Metadata by file name extension; without dates, the same figure gives the same file."""
PRINT_STYLE: dict[Any, Any] = {"pdf.fonttype": 42, "svg.hashsalt": "mafdn"}
"""TrueType fonts, as publishers demand, and element names in SVG that do not change from run to run."""


def check_figure_name(path: Path) -> None:
    """Raise `UsageError` if `path` cannot be written or is not .png, .pdf or .svg; to be called before any work."""
    if path.suffix.lower() not in METADATA:
        raise UsageError(f"cannot write {path}: the name of a figure must end in {', '.join(METADATA)}")
    check_place(path)


def save_figure(figure: "Figure", path: Path, *, dpi: float = 110) -> None:
    """Write a figure in the format of the file's extension; PDF and SVG are vector graphics.

    Args:
        figure: A figure that does not belong to pyplot.
        path: The file, which is replaced.
        dpi: Resolution of PNG, in pixels per inch.

    Raises:
        UsageError: The extension is not .png, .pdf or .svg, or there is no such folder.
        MafdnError: `path` cannot be written.
    """
    from matplotlib import rc_context

    check_figure_name(path)
    suffix = path.suffix.lower()
    try:
        with replacing(path) as temporary, rc_context(PRINT_STYLE):
            figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=METADATA[suffix])
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write {path}", error) from None
