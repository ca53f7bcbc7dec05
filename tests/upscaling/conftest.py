"""What the tests of folders share: an album of pictures, and a way to upscale it without a network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mafdn.upscaling.choice.weights import WeightsChoice
from mafdn.upscaling.folder.options import FolderOptions
from mafdn.upscaling.folder.report import FolderItem, FolderProgress, FolderReport
from mafdn.upscaling.folder.run import upscale_all
from mafdn.upscaling.networks import Selection
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.pattern import Pattern
from mafdn.upscaling.shards import LOCK, MANIFEST
from mafdn.upscaling.size import Size
from tests.support import Repeat, draw

OURS = {MANIFEST, LOCK}


class Networks:
    """A set of networks that repeat pixels, and records which were opened."""

    default_scale = 2
    automatic = False

    def __init__(self, digest: str = "weights", engine: Callable[[int], Repeat] = Repeat) -> None:
        self.opened: list[int] = []
        self._digest, self._engine = digest, engine

    def scale_for(self, size: Size | None, width: int, height: int) -> int:
        del height
        return 4 if size and size.width == 4 * width else 2

    def engine(self, scale: int, *, bits: int) -> Repeat:
        del bits
        self.opened.append(scale)
        return self._engine(scale)

    def select(self, choose: Callable[[], WeightsChoice], *, bits: int) -> Selection:
        del choose
        return Selection(networks=self, bits=bits)

    def digest(self, size: Size | None, width: int, height: int, *, bits: int) -> str:
        del bits
        return f"{self._digest} {self.scale_for(size, width, height)}"

    def names(self) -> list[str]:
        return ["repeat 0"]


def upscale(
    inputs: object,
    out: Path | None,
    *,
    networks: Networks | None = None,
    recursive: bool = False,
    pattern: str | None = None,
    redo: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[FolderProgress], None] = lambda _: None,
    on_start: Callable[[FolderReport], None] = lambda _: None,
    on_item: Callable[[FolderItem], None] = lambda _: None,
    selection: dict[str, Any] | None = None,
    **options: object,
) -> FolderReport:
    """Upscale folders; `selection` are further options of `FolderOptions`, `options` those of `UpscaleOptions`."""
    return upscale_all(
        inputs if isinstance(inputs, list) else [inputs],  # pyright: ignore[reportArgumentType]
        networks or Networks(),  # pyright: ignore[reportArgumentType]
        UpscaleOptions(**options),  # pyright: ignore[reportArgumentType]
        FolderOptions(
            folder=out,
            recursive=recursive,
            pattern=Pattern(pattern) if pattern else None,
            redo=redo,
            dry_run=dry_run,
            **(selection or {}),
        ),
        on_progress=on_progress,
        on_start=on_start,
        on_item=on_item,
    )


def names(folder: Path) -> list[str]:
    """The files in a folder, without the manifest's."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name not in OURS)


def status(report: FolderReport) -> dict[str, str]:
    """The outcome of every picture by its name."""
    return {item.source.name: item.status for item in report.items}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Four pictures, one of them in a subfolder, and a text file."""
    folder = tmp_path / "album"
    for seed, name in enumerate(("a.png", "b.jpg", "deep/er/c.png", "d.png")):
        draw(folder / name, seed)
    (folder / "notes.txt").write_text("no picture")
    return folder
