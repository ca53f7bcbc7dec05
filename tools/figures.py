"""Write the figures of README.md and docs from the stored measurements they quote.

python -m tools.release RUN ...                                 the weights' scores, log and curves
mafdn bench --peer IMDN_x{scale}.pth --profile --json > docs/results/bench.json
mafdn upscale photo.jpg --json > docs/results/upscale-6mp-x4.json
python -m tools.figures
"""

from tools.documents import PROJECT, refresh

if __name__ == "__main__":
    for path in refresh(PROJECT):
        print(path)
