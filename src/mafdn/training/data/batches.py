"""Batches as tensors on the device of a run, cut on the host or on the device."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mafdn._support.memory import is_out_of_memory
from mafdn.errors import OutOfMemoryError
from mafdn.pixels import ORIENTATIONS, orient
from mafdn.training.data.patches import TRIES, Batch, Candidates, Pair, PatchSampler
from mafdn.training.data.recolor import Recoloring

Tensors = tuple[Tensor, Tensor, Tensor | None]
"""LR (B, 3, p, p), HR (B, 3, sp, sp), and the teacher's result of the shape of HR or `None`: float32 in [0, 1],
channels last in memory."""


class HostBatches:
    """Batches that the CPU cuts from memory-mapped files, one step ahead.

    Args:
        sampler: Draws the patches.
        places: Positions in the batch that belong to this process.
        device: The device of the network.
    """

    def __init__(self, sampler: PatchSampler, places: Sequence[int], device: torch.device) -> None:
        self._sampler, self._places, self._device = sampler, tuple(places), device
        # The next batch is read while the network works on this one, as pages of the bank may have to come from disk.
        self._reader = ThreadPoolExecutor(1)
        self._ahead: tuple[tuple[int, int], Future[Batch]] | None = None

    def get(self, step: int, detours: int) -> Tensors:
        """Return this process's part of a batch.

        Args:
            step: The step, from 0.
            detours: Number of detours of the run, each of which leads to other patches.
        """
        if self._ahead is None or self._ahead[0] != (step, detours):
            self._ahead = self._submit(step, detours)
        batch = self._ahead[1].result()
        self._ahead = self._submit(step + 1, detours)
        lr, hr = (to_tensor(patches, self._device) for patches in (batch.lr, batch.hr))
        return lr, hr, None if batch.teacher is None else to_tensor(batch.teacher, self._device)

    def _submit(self, step: int, detours: int) -> tuple[tuple[int, int], Future[Batch]]:
        return (step, detours), self._reader.submit(self._sampler.batch, step, self._places, detours=detours)


class ResidentBatches:
    """Batches cut by indexing into pictures in device memory; identical to those of `HostBatches`.

    The host only draws random numbers.

    Args:
        sampler: Draws the patches.
        places: Positions in the batch that belong to this process.
        device: The device of the network, which will also hold the pictures.

    Raises:
        OutOfMemoryError: The pictures do not fit into the device's memory.
    """

    def __init__(self, sampler: PatchSampler, places: Sequence[int], device: torch.device) -> None:
        self._sampler, self._places, self._device = sampler, tuple(places), device
        kinds = ["lr", "hr"] + (["teacher"] if sampler.teacher else [])
        begins = {kind: np.zeros(len(sampler.pairs), np.int64) for kind in kinds}
        stored: list[tuple[int, Pair, str]] = []
        total = 0
        for kind in kinds:
            for index, pair in enumerate(sampler.pairs):
                if kind == "teacher" and pair.bank.zoomed:  # the teacher made its HR picture
                    begins[kind][index] = begins["hr"][index]
                    continue
                begins[kind][index] = total
                stored.append((total, pair, kind))
                total += math.prod(pair.size) * (1 if kind == "lr" else sampler.scale**2)
        try:
            self._pixels = torch.empty((total, 3), dtype=torch.uint8, device=device)
            for begin, pair, kind in stored:
                flat = np.array(getattr(pair, kind)).reshape(-1, 3)
                self._pixels[begin : begin + len(flat)] = torch.from_numpy(flat).to(device)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                f"the training pictures ({3 * total / 1e9:.1f} GB) do not fit into the memory of {device}; set "
                'run.resident = "off"'
            ) from None
        self._begins = {kind: torch.from_numpy(offsets).to(device) for kind, offsets in begins.items()}
        self._widths = torch.from_numpy(sampler.sizes[:, 1].copy()).to(device)
        self._grids = {side: _grids(side, device) for side in (sampler.patch, sampler.patch * sampler.scale)}

    def get(self, step: int, detours: int) -> Tensors:
        """Return this process's part of a batch.

        Args:
            step: The step, from 0.
            detours: Number of detours of the run, each of which leads to other patches.
        """
        drawn = self._sampler.draw(step, self._places, detours=detours)
        picture, top, left, orientation = self._chosen(drawn)
        recolor = self._recolor(drawn.recoloring)
        lr, hr, *teacher = (
            recolor(self._cut(kind, picture, top, left, orientation, 1 if kind == "lr" else self._sampler.scale))
            for kind in self._begins
        )
        return lr, hr, teacher[0] if teacher else None

    def _chosen(self, drawn: Candidates) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Choose among candidates as `PatchSampler` does, without synchronizing with the host: (B,) each."""
        sampler, places = self._sampler, drawn.places
        packed = np.stack([places.picture, places.top, places.left]).reshape(3, -1)
        numbers = self._sent(torch.from_numpy(np.concatenate([packed.ravel(), drawn.orientation])))
        spots = numbers[: packed.size].view(3, -1)
        orientation = numbers[packed.size :]
        if sampler.flattest <= 0 and sampler.candidates == 1:
            taken = spots.view(3, -1, TRIES)[..., 0]
            return taken[0], taken[1], taken[2], orientation
        texture = self._texture(*spots).view(-1, sampler.candidates, TRIES)
        passes = (texture >= math.ceil(sampler.flattest)).int()
        attempt = torch.where(passes.any(-1), passes.argmax(-1), TRIES - 1)  # the first textured one, else the last
        best = texture.gather(-1, attempt[..., None])[..., 0].argmax(-1)
        at = best * TRIES + attempt.gather(-1, best[:, None])[:, 0]  # (B,)
        taken = spots.view(3, len(orientation), -1).gather(-1, at.expand(3, -1)[..., None])[..., 0]
        return taken[0], taken[1], taken[2], orientation

    def _texture(self, picture: Tensor, top: Tensor, left: Tensor) -> Tensor:
        """Compute `mafdn.training.data.patches.texture` of upright LR patches."""
        upright = torch.zeros_like(picture)
        at = self._indices("lr", picture, top, left, upright, 1)
        green = self._pixels[:, 1][at].short()
        rows, columns = (green.diff(dim=dim).abs().sum((1, 2)) for dim in (1, 2))
        return rows + columns

    def _cut(self, kind: str, picture: Tensor, top: Tensor, left: Tensor, orientation: Tensor, factor: int) -> Tensor:
        at = self._indices(kind, picture, top, left, orientation, factor)
        return self._pixels[at].permute(0, 3, 1, 2).float()

    def _recolor(self, recoloring: Recoloring | None) -> Callable[[Tensor], Tensor]:
        """Return what recolors patches (B, 3, side, side) in 8-bit levels and brings them to [0, 1]."""
        if recoloring is None:
            return lambda pixels: pixels.div_(255)
        packed = torch.from_numpy(np.stack([recoloring.source, recoloring.factor, recoloring.offset]))
        source, factor, offset = self._sent(packed)[..., None, None]

        def recolored(pixels: Tensor) -> Tensor:
            taken = pixels.gather(1, source.expand_as(pixels))
            return taken.mul_(factor).add_(offset).div_(255).contiguous(memory_format=torch.channels_last)

        return recolored

    def _sent(self, numbers: Tensor) -> Tensor:
        """Copy a tensor to the device without synchronizing with the host."""
        if self._device.type == "cuda":
            numbers = numbers.pin_memory()
        return numbers.to(self._device, non_blocking=True)

    def _indices(
        self, kind: str, picture: Tensor, top: Tensor, left: Tensor, orientation: Tensor, factor: int
    ) -> Tensor:
        """Return the indices into `_pixels` of the pixels of oriented patches: (B, side, side)."""
        rows, columns = self._grids[self._sampler.patch * factor]
        width = (self._widths[picture] * factor)[:, None, None]
        y = rows[orientation] + (top * factor)[:, None, None]
        x = columns[orientation] + (left * factor)[:, None, None]
        return self._begins[kind][picture][:, None, None] + y * width + x


def to_tensor(pictures: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Convert (B, H, W, 3) uint8 to (B, 3, H, W) float32 in [0, 1], channels last in memory."""
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float().div_(255)


def _grids(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the source row and column of each pixel of an oriented patch, per orientation: (8, side, side)."""
    grids = np.indices((side, side))
    rows, columns = (
        torch.from_numpy(np.stack([orient(grid, *orientation) for orientation in ORIENTATIONS])).to(device)
        for grid in grids
    )
    return rows, columns
