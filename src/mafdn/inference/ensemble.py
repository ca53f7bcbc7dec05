"""Self-ensemble: the mean of a network's results on the eight orientations of a picture, turned back.

EDSR introduced it to the field (Lim et al. 2017, doi 10.1109/CVPRW.2017.151); papers mark it by "+". Only the mean is
clipped and rounded.

The ensemble of an engine is an engine. If the network is a stencil, each orientation has its own gates, those of the
whole picture in that orientation, and its tiles overlap by the same halo on all sides. Tiles therefore join as they do
without the ensemble, and memory holds a few more results of one tile.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import numpy as np

from mafdn.errors import UsageError
from mafdn.inference.engines import Batch, Engine, Gates, Stencil
from mafdn.pixels import ORIENTATIONS, orient, orient_back

ENSEMBLES = (1, len(ORIENTATIONS))
"""Numbers of orientations: the picture as it is, or all of them."""


def ensembled(engine: Engine, orientations: int = len(ORIENTATIONS)) -> Engine:
    """Return an engine that averages over this number of orientations, one of `ENSEMBLES`; `engine` itself for 1."""
    return engine if orientations == 1 else _Ensemble(engine)


def as_ensemble(value: object) -> int:
    """Return one of `ENSEMBLES`; raises `UsageError` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value in ENSEMBLES:
        return value
    raise UsageError(f"ensemble must be {ENSEMBLES[0]} or {ENSEMBLES[1]}, the number of orientations, not {value!r}")


class _Ensemble:
    """An engine that averages over eight orientations; its gates are those of all of them, (8, blocks, n)."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.version, self.device = engine.name, engine.version, engine.device
        self.precision, self.scale = engine.precision, engine.scale
        self._engine = engine
        self.stencil: Stencil | None = None
        if engine.stencil is not None:
            self.stencil = _ensembled_stencil(engine.stencil)

    def run(self, x: Batch) -> Batch:
        """Upscale (1, 3, H, W) to (1, 3, scale*H, scale*W), not clipped; raises what the engine's own `run` raises."""
        return _mean(x, (self._engine.run for _ in ORIENTATIONS))


def _ensembled_stencil(stencil: Stencil) -> Stencil:
    def gates(windows: Batch) -> Gates:
        return np.stack([stencil.gates(_turned(windows, *way)) for way in ORIENTATIONS])

    def run(x: Batch, gates: Gates) -> Batch:
        return _mean(x, (partial(_run_with_gates, stencil, own) for own in gates))

    return replace(stencil, gates=gates, run=run)


def _run_with_gates(stencil: Stencil, gates: Gates, x: Batch) -> Batch:
    return stencil.run(x, gates)


def _mean(x: Batch, runs: Iterable[Callable[[Batch], Batch]]) -> Batch:
    """The mean over all orientations; `runs` has a function for each."""
    total: Batch | None = None
    for way, run in zip(ORIENTATIONS, runs, strict=True):
        result = _turned_back(run(_turned(x, *way)), *way)
        total = np.array(result) if total is None else np.add(total, result, out=total)
    assert total is not None
    return np.divide(total, np.float32(len(ORIENTATIONS)), out=total)


def _turned(batch: Batch, turns: int, mirror: bool) -> Batch:
    """`orient` of all pictures of a batch, (N, 3, H, W)."""
    return np.ascontiguousarray(orient(batch.transpose(2, 3, 0, 1), turns, mirror).transpose(2, 3, 0, 1))


def _turned_back(batch: Batch, turns: int, mirror: bool) -> Batch:
    return orient_back(batch.transpose(2, 3, 0, 1), turns, mirror).transpose(2, 3, 0, 1)
