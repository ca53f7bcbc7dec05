"""Update the figures in README.md and docs from the measurements stored in docs/results.

    python -m tools.figures

Prints the names of the documents that changed. The README of docs/results says how each measurement is made.
"""

from tools.documents import PROJECT, refresh

if __name__ == "__main__":
    for path in refresh(PROJECT):
        print(path)
