"""Release a run: the gate, then the int8 file of the new weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mafdn._support.extras import pip_install
from mafdn.errors import MafdnError
from mafdn.inference.engines.model_files import has_int8, int8_file
from mafdn.release.gate import Outcome, release
from mafdn.training.record.run_folder import RunFolder

if TYPE_CHECKING:
    from mafdn.release.int8_gate import Quantized


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """The result of a release."""

    outcome: Outcome
    int8: Path
    """The int8 file of the shipped weights, which may be missing."""
    int8_problem: str = ""
    """Why there is no int8 file; empty if there is one, or nothing was released."""


def ship(
    run: Path,
    weights: Path,
    *,
    benches: Sequence[Path] = (),
    scale: int | None = None,
    on_candidate: "Callable[[Path, Quantized], None] | None" = None,
) -> Shipped:
    """Take a run through the gate, then quantize the shipped network on the run's bank.

    An int8 file that was made from other weights is removed.

    Args:
        run, weights, benches, scale: As for `mafdn.release.gate.release`.
        on_candidate: As for `mafdn.release.int8_gate.quantize`.

    Raises:
        ConfigError, UsageError: As `mafdn.release.gate.release`.
    """
    outcome = release(run, weights, benches=benches, scale=scale)
    network = outcome.target.with_suffix(".onnx")
    int8 = int8_file(network)
    problem = ""
    if outcome.released or outcome.scores == outcome.before:  # also completes an interrupted release
        problem = _renew_int8(run, network, int8, benches, on_candidate)
    return Shipped(outcome=outcome, int8=int8, int8_problem=problem)


def _renew_int8(
    run: Path,
    network: Path,
    int8: Path,
    benches: Sequence[Path],
    on_candidate: "Callable[[Path, Quantized], None] | None",
) -> str:
    if has_int8(network):
        return ""
    int8.unlink(missing_ok=True)
    saved = RunFolder(run).saved()
    try:
        from mafdn.release.int8_gate import quantize

        made = quantize(
            network,
            int8,
            calibration=saved.bank,
            benches=list(benches) or saved.bench_sets,
            on_candidate=on_candidate,
        )
    except ImportError as error:
        return f"quantizing needs {error.name}: {pip_install('quantize')}"
    except MafdnError as error:
        return str(error)
    return f"int8 loses {made.loss.reason}" if made.loss.reason else ""
