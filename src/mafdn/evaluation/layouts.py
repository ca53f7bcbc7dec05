"""Find the HR and LR pictures of a benchmark dataset in the layouts that are in use.

HR pictures are in the folder itself or in its subfolder `HR`, `GTmod12`, `GT`, `original`, `image_SRF_4` or
`*_valid_HR`. LR pictures of scale 4, for example, are looked for in this order; upper and lower case do not matter:

==============================================  ========================================================
`Set5/LRbicx4/babyx4.png`                       this project; BasicSR, with `baby.png`
`Set5/LR_bicubic/X4/babyx4.png`                 the benchmark of EDSR, used by BasicSR and many others
`Set5/LR/X4`, `LRx4`, `LR_x4`, `LR_bicubic`, `LR`  other subfolders
`Set5_LR/x4/baby.png`                           IMDN, beside the set
`DIV2K_valid_LR_bicubic/X4/0801x4.png`          DIV2K, beside `DIV2K_valid_HR`
`image_SRF_4/img_001_SRF_4_LR.png`              SelfExSR, beside the HR picture `img_001_SRF_4_HR.png`
==============================================  ========================================================

An LR file is named `NAMEx4`, `NAME_x4`, `NAME` or, for `NAME_HR`, `NAME_LR`, in any picture format. Without LR
pictures, they are made from HR by `mafdn.pixels.imresize`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mafdn.errors import PictureError, UsageError
from mafdn.pictures.formats import SUFFIXES

Pair = tuple[Path, Path | None]
"""An HR file and its LR file; without an LR file, LR is made from HR."""
MADE = "made"
"""In place of a folder of LR pictures: make them from HR even if the set has its own."""
LrChoice = Path | str | None
"""A folder of LR pictures, `MADE`, or `None` for those of the set, made if it has none."""
HR_FOLDERS = ("hr", "gtmod12", "gt", "original")
IN_SET = ("lrbicx{s}", "lr_bicubic/x{s}", "lr/x{s}", "lrx{s}", "lr_x{s}", "lr_bicubic", "lr")
"""Folders of LR pictures inside a set, by scale."""
BESIDE_SET = ("_lr_bicubic/x{s}", "_lr/x{s}", "_lrbicx{s}", "_lr_x{s}", "_lr_bicubic", "_lr")
"""What follows the name of a set, without "_HR", in folders of LR pictures beside it."""
MIXED = re.compile(r"(.+?)_?[xX]([234])")
"""Names of LR pictures: that of the HR picture, and the scale."""
EXPECTED = "expected a folder of HR pictures, or one that contains HR/"


@dataclass(frozen=True, kw_only=True)
class BenchFiles:
    """The files of a set for one scale."""

    name: str
    """The name of the set."""
    pairs: dict[str, Pair]
    """The files of every picture by its name: that of its HR file without the suffix, or with it if two pictures of the
    set would share a name."""
    lr_folder: str | None
    """The folder of the LR pictures, relative to the set or to the folder around it; `None` if they are made."""
    unused: tuple[str, ...] = ()
    """Folders that may hold LR pictures but have none for this scale."""


def bench_files(folder: Path, scale: int | None = None) -> list[Path]:
    """The HR pictures of a set, sorted by name.

    Args:
        folder: The set, in a layout listed above.
        scale: The scale, for layouts that have HR pictures for each.

    Raises:
        UsageError: There are none, or LR pictures such as `babyx4` are among them.
    """
    if not folder.is_dir():
        raise UsageError(f"no benchmark dataset in {folder}: {EXPECTED}; download one, such as Set5, to there")
    source = _hr_folder(folder, scale)
    files = _pictures(source)
    if files and all(path.stem.endswith(("_HR", "_LR")) for path in files):
        files = [path for path in files if path.stem.endswith("_HR")]
    if not files:
        raise UsageError(f"no pictures in {source}: {EXPECTED}")
    _refuse_mixed(source, files, _root(folder))
    return files


def bench_name(folder: Path) -> str:
    """The name of a set: that of its folder, even if `folder` is its subfolder of HR pictures, without "_HR"."""
    name = _root(folder).resolve().name
    return name.removesuffix("_HR") or name


def check_benches(folders: Sequence[Path]) -> None:
    """Check sets that are measured, and recorded by their names, before any work.

    Raises:
        UsageError: A set is missing, as in `bench_files`, or two have the same name.
    """
    for folder in folders:
        bench_files(folder)
    names = [bench_name(folder) for folder in folders]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(
            f"two benchmark datasets have the same name, {twice[0]}, and scores are recorded by name; rename one"
        )


def find_bench(folder: Path, scale: int, *, lr: LrChoice = None) -> BenchFiles:
    """Find the files of a set.

    Args:
        folder: The set.
        scale: The scale of the LR pictures.
        lr: See `LrChoice`.

    Raises:
        UsageError: The set or `lr` is missing.
        PictureError: The LR picture of an HR picture is missing.
    """
    files = bench_files(folder, scale)
    ambiguous = len({path.stem for path in files}) < len(files)
    names = [path.name if ambiguous else path.stem for path in files]
    low = _lr_folder(folder, files, scale, lr)
    if low is None:
        pairs: dict[str, Pair] = {name: (path, None) for name, path in zip(names, files, strict=True)}
        unused = () if lr == MADE else tuple(_unused(folder))
        return BenchFiles(name=bench_name(folder), pairs=pairs, lr_folder=None, unused=unused)
    by_stem = _by_stem(low)
    pairs = {}
    for name, path in zip(names, files, strict=True):
        found = _lr_of(path, by_stem, scale)
        if found is None:
            choices = ", ".join(_lr_names(path, scale))
            raise PictureError(
                f"{low} has no LR picture for {path} (looked for {choices}); complete it, or set lr to {MADE}",
                setting="lr",
            )
        pairs[name] = (path, found)
    return BenchFiles(name=bench_name(folder), pairs=pairs, lr_folder=_label(low, folder, given=isinstance(lr, Path)))


def _hr_folder(folder: Path, scale: int | None) -> Path:
    children = _children(folder)
    names = [*HR_FOLDERS, *([f"image_srf_{scale}"] if scale else [])]
    valid = [path for name, path in children.items() if name.endswith("_valid_hr")]
    return next((children[name] for name in names if name in children), valid[0] if len(valid) == 1 else folder)


def _refuse_mixed(folder: Path, files: Sequence[Path], root: Path) -> None:
    """Raise `UsageError` if there are LR pictures among the HR pictures, which would be measured as such."""
    names = {path.stem: path.name for path in files}
    for stem, name in names.items():
        of = MIXED.fullmatch(stem)
        if of and of[1] in names:
            raise UsageError(
                f"{folder} has HR and LR pictures ({names[of[1]]}, {name}); move the LR pictures into "
                f"{root / f'LRbicx{of[2]}'}"
            )


def _root(folder: Path) -> Path:
    """The folder of the whole set."""
    whole = folder.resolve() if folder.name in ("", "..") else folder
    inside = whole.name.lower()
    return whole.parent if inside in HR_FOLDERS or inside.startswith("image_srf_") else whole


def _lr_folder(folder: Path, files: list[Path], scale: int, lr: LrChoice) -> Path | None:
    """The folder of LR pictures; `None` if they have to be made."""
    if lr == MADE:
        return None
    if lr is not None:
        chosen = Path(lr)
        if not chosen.is_dir():
            raise UsageError(
                f"no LR pictures in {chosen}: expected a folder with NAMEx{scale} or NAME for every HR picture, or "
                f"{MADE!r}"
            )
        return chosen
    for low, of_scale in _candidates(folder, files[0].parent, scale):
        stems = _by_stem(low)
        if any(_lr_of(path, stems, scale) for path in files) or (of_scale and stems):
            return low
    return None


def _candidates(folder: Path, hr: Path, scale: int) -> Iterator[tuple[Path, bool]]:
    """Existing folders that may hold LR pictures, and whether their names state the scale."""
    root = _root(folder)
    if _pictures(hr)[0].stem.endswith("_HR"):
        yield hr, False
    base = (hr if hr.name.lower().endswith("_hr") else root).resolve()
    stem = base.name.lower().removesuffix("_hr")
    for around, names in ((root, IN_SET), (base.parent, [stem + ending for ending in BESIDE_SET])):
        for name in names:
            found = around
            for part in name.format(s=scale).split("/"):
                found = _children(found).get(part)
                if found is None:
                    break
            if found is not None:
                yield found, "{s}" in name


def _unused(folder: Path) -> Iterator[str]:
    """Names of folders in or beside a set that look like LR pictures."""
    root = _root(folder)
    stem = root.resolve().name.lower().removesuffix("_hr")
    yield from (path.name for name, path in _children(root).items() if name.startswith("lr"))
    beside = _children(root.resolve().parent)
    yield from (path.name for name, path in beside.items() if name.startswith(f"{stem}_lr"))


def _label(low: Path, folder: Path, *, given: bool) -> str:
    resolved, root = low.resolve(), _root(folder).resolve()
    for around in () if given else (root, root.parent):
        if resolved.is_relative_to(around) and resolved != around:
            return resolved.relative_to(around).as_posix()
    return resolved.name


def _lr_names(path: Path, scale: int) -> list[str]:
    """Names of the LR picture of an HR file, without suffix."""
    stem = path.stem
    names = [f"{stem}x{scale}", f"{stem}_x{scale}", stem]
    return [f"{stem.removesuffix('_HR')}_LR", *names] if stem.endswith("_HR") else names


def _lr_of(path: Path, by_stem: dict[str, Path], scale: int) -> Path | None:
    found = next((by_stem[name] for name in _lr_names(path, scale) if name in by_stem), None)
    return None if found == path else found


def _by_stem(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in _pictures(folder)}


def _children(folder: Path) -> dict[str, Path]:
    """The subfolders of a folder by their names in lower case."""
    try:
        return {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_dir()}
    except OSError:
        return {}


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
