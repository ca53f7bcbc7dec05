"""Advice on which options need less memory, for errors that have none of their own."""

from collections.abc import Sequence

TRAINING = 'lower run.batch or data.patch, or set run.resident = "off" to keep the training pictures out of GPU memory'
TIMING = "use fewer --threads, or leave out the largest networks"
ADVICE = {
    "upscale": "use a smaller --tile, fewer --threads, or a smaller result",
    "evaluate": "use fewer --threads, leave out --ensemble, or measure datasets of smaller pictures",
    "compare": "use fewer --threads, --rounds 0 to skip timing, or fewer networks",
    "bench": TIMING,
    "train": TRAINING,
    "ablate": TRAINING,
    "bank": "use fewer --workers, or smaller pictures",
    "quantize": "use datasets and a bank of smaller pictures",
    "release": "close other programs, or use datasets of smaller pictures",
}
"""By command, which settings need less memory."""
OTHERWISE = "close other programs, or run it on a machine with more memory"


def memory_advice(arguments: Sequence[str]) -> str:
    """What to lower for a command line."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    return ADVICE.get(command, OTHERWISE)
