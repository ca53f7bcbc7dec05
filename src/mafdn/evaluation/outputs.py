"""Outputs of a measurement: JSON, CSV and pictures."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mafdn._support.atomic import replacing
from mafdn._support.validate import check_place
from mafdn.errors import MafdnError, UsageError
from mafdn.evaluation.benchset import BenchPicture, Pixels, Protocol, SetScore, finite
from mafdn.evaluation.paired import Difference
from mafdn.pictures.encoding import save_picture
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.picture import Picture
from mafdn.pictures.writing import reserve

COLUMNS = ("network", "bench", "scale", "channels", "picture", "psnr", "ssim", "lr", "lr_sha256")


def report(
    protocol: Protocol, scores: Iterable[SetScore], differences: Iterable[Difference], notes: Sequence[str]
) -> dict[str, Any]:
    """A measurement in the form in which it is written as JSON."""
    return {
        "protocol": asdict(protocol),
        "scores": [score_entry(score) for score in scores],
        "differences": [asdict(difference) for difference in differences],
        "notes": list(notes),
    }


def score_entry(score: SetScore) -> dict[str, Any]:
    """The scores of a set in the form in which they are written as JSON."""
    return {
        "network": score.network,
        "bench": score.bench,
        "scale": score.scale,
        **({"degrade": score.degrade} if score.degrade else {}),
        "hr_sha256": score.hr_sha256,
        "lr": asdict(score.lr) if score.lr else None,
        "mean": {"psnr": finite(score.psnr), "ssim": score.ssim},
        "pictures": [asdict(picture) | {"psnr": finite(picture.psnr)} for picture in score.pictures],
    }


def check_target(path: Path, *endings: str, overwrite: bool) -> None:
    """Check before any work that an output file can be written.

    Args:
        path: The file.
        endings: The endings that its name may have.
        overwrite: Whether an existing file may be replaced.

    Raises:
        UsageError: The name has another ending, is that of a folder, or is in a folder that does not exist.
        MafdnError: The file exists.
    """
    if path.suffix not in endings:  # a typo must not overwrite a weights file
        raise UsageError(f"cannot write {path}: the name must end in {' or '.join(endings)}")
    check_place(path)
    if path.exists() and not overwrite:
        raise MafdnError(f"{path} exists; use another name or overwrite it", setting="overwrite")


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Check before any work that an output folder is missing or empty, unless its files may be replaced.

    Raises:
        MafdnError: There are files in it, or it is not a folder or cannot be read.
    """
    try:
        if path.exists() and not path.is_dir():
            raise MafdnError(f"cannot write {path}: it is not a folder")
        if path.exists() and not overwrite and any(path.iterdir()):
            raise MafdnError(f"{path} exists and is not empty; use another name or overwrite it", setting="overwrite")
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot read {path}", error) from None


def write_csv(path: Path, protocol: Protocol, scores: Iterable[SetScore]) -> None:
    """Write a row per network, set and picture, without means; an infinite PSNR is `inf`.

    Raises:
        MafdnError: `path` cannot be written.
    """
    try:
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for score in scores:
                start = (score.network, score.bench, score.scale, protocol.channels)
                end = (score.lr.source, score.lr.sha256) if score.lr else ("", "")
                writer.writerows((*start, p.name, p.psnr, p.ssim, *end) for p in score.pictures)
    except OSError as error:
        raise MafdnError.from_os_error(f"cannot write {path}", error) from None


class ResultFolder:
    """A folder for results, `NETWORK/SET/x{scale}/PICTURE.png`; names never collide."""

    def __init__(self, folder: Path, protocol: Protocol) -> None:
        self._folder = folder
        self._scale = protocol.scale
        self._taken: dict[str, str] = {}

    def save(self, bench: str, network: str, picture: BenchPicture, result: Pixels) -> None:
        """Write `result` (H, W, 3) uint8, replacing an older one.

        Raises:
            PictureError: The picture cannot be written.
            MafdnError: Its folder cannot be created.
        """
        place = self._folder / self._part(network) / self._part(bench) / f"x{self._scale}"
        path = place / f"{picture.name}.png"
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MafdnError.from_os_error(f"cannot write {path}", error) from None
        png = FORMATS["PNG"]
        with reserve(path, overwrite=True) as temporary:
            save_picture(Picture(planes=result, format=png), temporary, png, report_as=path)

    def _part(self, name: str) -> str:
        """A name as one part of a path; the name of a network or a set may be a path itself."""
        part = re.sub(r"[^\w.+-]+", "_", name).strip("_.") or "_"
        while self._taken.setdefault(part, name) != name:
            part += "_"
        return part
