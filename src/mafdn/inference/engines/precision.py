"""Which precision `auto` stands for: the fastest one whose difference from fp32 was measured and is within a limit.

`tools.precision` measures on benchmark datasets how far a precision is from fp32 with the shipped networks, and stores
it beside the weights, in `precision.json`. What is stored holds for one network file, by its SHA-256, and for the
instructions that compute the precision, such as `avx512_bf16`: with other weights, or on processors with other
instructions, `auto` is fp32 until it has been measured. How near fp32 the results are depends on the instructions, so
they have to be near on all processors that were measured. How fast they are depends on the maker of the processor
(`avx512_bf16` takes half the time of fp32 on AMD's, and longer than fp32 on Intel's), so the precision has to be faster
on all of the same maker that were measured, at least one. Nothing else decides, so that all parts of the program, and
all runs on a machine, agree.
"""

import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path

from mafdn._support.machine import Machine, machine
from mafdn.errors import WeightsError
from mafdn.inference.engines.choice import has_other_device
from mafdn.inference.engines.model_files import has_int8, int8_file, network_digest
from mafdn.inference.options import AUTO, BF16, FP32, INT8, EngineOptions
from mafdn.weights.shipped import weights_folder

STORED = "precision.json"
"""Name of the file of measurements in the folder of the shipped weights."""
INSTRUCTIONS = {
    BF16: ("amx_bf16", "avx512_bf16"),
    INT8: ("amx_int8", "avx512_vnni", "avx_vnni", "asimddp", "avx2"),
}
"""The instruction sets that compute a precision fast, the preferred one of a processor first."""
INSTRUCTION_LIMITS = frozenset({"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"})
"""Environment variables that keep OpenVINO from instructions of the processor."""
MAKERS = ("Intel", "AMD")
"""Makers of processors, as the names of these contain them."""
MOST_BEYOND = 0.01
"""Largest share of the pixels that may differ from fp32 by more than one level of 8 bits if `auto` is a precision."""
MOST_LEVELS = 8
"""Largest difference from fp32 of any value, in levels."""
LEAST_SPEEDUP = 1.25
"""Least speed relative to fp32; for less, results are not changed at all."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How far a precision is from fp32 with one network, both in OpenVINO on the CPU, in 8-bit results."""

    network: str
    """Name of the network, such as `x4`."""
    sha256: str
    """`network_digest` of the file that runs in this precision."""
    precision: str
    instructions: str
    """One of `INSTRUCTIONS` of the precision: with which it was measured."""
    largest: int
    """Largest difference of a value, in levels."""
    mean: float
    """Mean difference of values, in levels."""
    beyond: float
    """Share of the pixels with a value that differs by more than one level."""
    loss: float
    """Loss of PSNR against fp32 in dB: the mean of the means of all datasets."""
    worst_loss: float
    """The largest loss of any picture, in dB."""
    worst: str
    """That picture, such as `Set14/ppt3`."""
    speedup: float
    """Time of fp32 divided by that of this precision, for a picture of 320x180, in turns."""
    pictures: int
    """Number of pictures."""
    engine: str
    """Name and version of the engine."""
    processor: str

    @property
    def is_near(self) -> bool:
        """Whether its results are near enough to those of fp32 for `auto`."""
        return self.beyond <= MOST_BEYOND and self.largest <= MOST_LEVELS

    @property
    def is_faster(self) -> bool:
        """Whether it is enough faster than fp32 for `auto`."""
        return self.speedup >= LEAST_SPEEDUP

    @property
    def within_limits(self) -> bool:
        """Whether `auto` may stand for this precision on this processor."""
        return self.is_near and self.is_faster


def auto_precision(path: Path, options: EngineOptions | None = None) -> str:
    """Return the precision that `auto` is for 8-bit pictures with the network in `path`.

    It is fp32 unless OpenVINO on the CPU may be used, and no other device could be faster.

    Args:
        path: The fp32 file.
        options: Engine and device (default: `auto`); their precision is ignored.

    Raises:
        WeightsError: The file of measurements is damaged.
    """
    options = options or EngineOptions()
    if options.engine not in (AUTO, "openvino") or options.device not in (AUTO, "cpu"):
        return FP32
    if not INSTRUCTION_LIMITS.isdisjoint(os.environ):
        return FP32
    found = precision_on(machine(), path)
    if found == FP32 or importlib.util.find_spec("openvino") is None or (options.device == AUTO and has_other_device()):
        return FP32
    return found


def precision_on(hardware: Machine, path: Path) -> str:
    """Return the precision that `auto` is for 8-bit pictures with the network in `path` in OpenVINO on some CPU.

    Raises:
        WeightsError: The file of measurements is damaged.
    """
    instructions = {precision: fast_instructions(precision, hardware) for precision in INSTRUCTIONS}
    known = [row for row in load_measured() if row.instructions == instructions.get(row.precision)]
    candidates = {row.precision for row in known if row.within_limits}  # files are only read if there are any
    rows = [row for row in known if row.precision in candidates and holds(row, path)]
    beyond = {row.precision for row in rows if not row.is_near}
    rows = [row for row in rows if row.precision not in beyond and maker(row.processor) == maker(hardware.processor)]
    slow = {row.precision for row in rows if not row.is_faster}
    rows = [row for row in rows if row.precision not in slow]
    return max(rows, key=lambda row: row.speedup).precision if rows else FP32


def holds(row: Measured, path: Path) -> bool:
    """Whether a measurement is of the network in `path`."""
    if row.precision == INT8 and not has_int8(path):
        return False
    return network_digest(file_in(path, row.precision)) == row.sha256


def file_in(path: Path, precision: str) -> Path:
    """Return the file that runs in a precision for the network in `path`."""
    return int8_file(path) if precision == INT8 else path


def maker(processor: str) -> str:
    """Return who makes a processor, by its name; empty if that is neither of the makers of x86 processors."""
    return next((name for name in MAKERS if name.lower() in processor.lower()), "")


def fast_instructions(precision: str, hardware: Machine) -> str | None:
    """Return which of `INSTRUCTIONS` computes a precision on a machine; `None` if none is known to."""
    return next((name for name in INSTRUCTIONS.get(precision, ()) if name in hardware.features), None)


def load_measured(folder: Path | None = None) -> tuple[Measured, ...]:
    """Return the measurements in a folder of weights (default: the shipped ones); empty if there are none.

    Raises:
        WeightsError: The file is damaged.
    """
    path = (folder or weights_folder()) / STORED
    try:
        return tuple(Measured(**row) for row in json.loads(path.read_text("utf-8"))["measured"])
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot read {path}", error) from None
    except (ValueError, KeyError, TypeError):
        raise WeightsError(f"{path} is damaged; install mafdn again") from None
