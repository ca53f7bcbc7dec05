"""Update the figures in README.md and docs from the measurements stored in docs/results and docs/benchmarks.

    python -m tools.figures

Redraws the plots of docs/benchmarks.md, and prints the names of the documents that changed. The README of docs/results
says how each measurement is made.
"""

import json

from mafdn.compare.publish import DATA
from mafdn.compare.report import draw_plots
from tools.documents.sections import BENCHMARKS
from tools.documents.update import PROJECT, refresh

if __name__ == "__main__":
    folder = (PROJECT / BENCHMARKS).with_suffix("")
    draw_plots(json.loads((folder / DATA).read_text("utf-8")), folder)
    for path in refresh(PROJECT):
        print(path)
