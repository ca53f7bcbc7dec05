#!/usr/bin/env bash
# A complete training within a limited time on a machine with a GPU: bank, teacher, zoomed pairs, run, averaged weights.
#
#   tools/train_on_gpu.sh PICTURES TEACHER CONFIG TIME OUT
#
# PICTURES  folder of training pictures (from tools/pack_pictures.py, unpacked)
# TEACHER   weights file of the teacher, such as SMFANet_plus_DF2K_x4.pth
# CONFIG    settings of the run; its data.folders, data.bank, data.zoomed and run.folder are replaced
# TIME      time for the training alone, including the decay, such as 7m
# OUT       folder for the averaged weights, the log and the newest stable checkpoint
#
# Runs from the root of the repository and needs torch for the GPU, numpy, safetensors, tensorboard, pyvips, filelock,
# platformdirs, rich and typer; set PYTHON to choose the interpreter. Completed steps are skipped.
set -euo pipefail
pictures=$1 teacher=$2 config=$3 time=$4 out=$5
python=${PYTHON:-python3}
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
work=${WORK:-/tmp/mafdn-gpu}
settings=$("$python" - "$config" <<'PY'
import sys
from pathlib import Path
from mafdn.training.config import read_config
settings = read_config(Path(sys.argv[1]))
print(settings.network.scale, "zoomed" if settings.data.zoomed else "")
PY
)
read -r scale zoomed <<< "$settings"
mkdir -p "$work" "$out"
log="$out/gpu.log"
say() { echo "$(date +%T) $*" | tee -a "$log"; }

say "bank"
[ -d "$work/bank" ] || "$python" -m mafdn bank build "$pictures" --scales "$scale" -o "$work/bank" 2>&1 | tee -a "$log"
say "teacher"
"$python" -m mafdn bank teach "$work/bank" --network "$teacher" --name teacher 2>&1 | tee -a "$log"
if [ -n "$zoomed" ]; then
  say "zoomed pairs"
  "$python" -m mafdn bank zoom "$work/bank" --network "$teacher" -o "$work/zoomed" 2>&1 | tee -a "$log"
  zoomed="$work/zoomed"
fi
run="$work/run-x$scale"
cat > "$work/run.toml" <<TOML
extends = "$(realpath "$config")"
[data]
folders = ["$(realpath "$pictures")"]
bank = "$work/bank"
scales = [$scale]
exclude = []
teacher = "teacher"
zoomed = "$zoomed"
[run]
folder = "$run"
TOML
say "training for $time"
"$python" -m mafdn train "$work/run.toml" --for "$time" 2>&1 | tee -a "$log"
fork=$(ls -d "$run"/fork-* | sort | tail -n 1)
say "weights of $fork"
"$python" -m mafdn export "$fork" -o "$out/averaged-x$scale.safetensors" 2>&1 | tee -a "$log"
cp "$fork/log.jsonl" "$out/log-x$scale.jsonl"
cp "$(ls "$run"/step-*.safetensors | sort | tail -n 1)" "$out/"
say "done"
