"""Write the figures of README.md and docs from the stored measurements they quote.

mafdn release RUN ...                                           the weights' scores, log and curves
mafdn bench --peer IMDN_x{scale}.pth --profile --json > docs/results/bench.json
mafdn upscale photo.jpg --json > docs/results/upscale-6mp-x4.json
python scripts/figures.py
"""

from pathlib import Path

from mafdn.evaluation.documents import refresh

if __name__ == "__main__":
    for path in refresh(Path(__file__).parents[1]):
        print(path)
