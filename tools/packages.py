"""Build the wheel and the source distribution, and check them.

    python -m tools.packages dist

- Both are built twice, and must have the same bytes; the date of all files in them is that of the last commit, or
  SOURCE_DATE_EPOCH.
- The wheel that the source distribution builds must be the same.
- `twine check --strict` must pass.
- Neither may hold anything that does not belong into it, and both must be smaller than `LARGEST`.

Digests are printed, and the sizes written to docs/results/packages.json; `python -m tools.figures` then updates
docs/packages.md.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from mafdn._support.atomic import replacing, sha256
from tools.documents.weights import RESULTS

PROJECT = Path(__file__).parents[1]
LARGEST = 40 * 2**20
"""Bytes of each package."""
IN_WHEEL = re.compile(
    r"mafdn/([\w/]+/)?(\w+\.py|py\.typed|LICENSE|published\.toml|precision\.json|typical-gates\.json"
    r"|[\w.-]+\.(onnx|safetensors|html|js|css|svg|woff2))"
    r"|mafdn-[\w.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)"
    r"|mafdn-[\w.]+\.data/data/share/(man/man1/mafdn\.1|bash-completion/completions/mafdn"
    r"|zsh/site-functions/_mafdn|fish/vendor_completions\.d/mafdn\.fish)"
)
"""Names of files in the wheel."""
IN_SOURCES = re.compile(
    r"(src|weights|shared-data)/.+|pyproject\.toml|README\.md|LICENSE|CHANGELOG\.md|CITATION\.cff|PKG-INFO|\.gitignore"
)
"""Names of files in the source distribution, below its folder."""


class PackageError(Exception):
    """A package is not as it must be."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the packages are put")
    arguments = parser.parse_args()
    try:
        packages = build_checked(arguments.folder)
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    for path in packages:
        print(f"{sha256(path)}  {path.name}")
    with replacing(PROJECT / RESULTS / "packages.json") as temporary:
        temporary.write_text(json.dumps({path.name: path.stat().st_size for path in packages}, indent=1) + "\n")
    return 0


def build_checked(folder: Path) -> list[Path]:
    """Build both packages into `folder`, checked as this module says; raises `PackageError`."""
    with tempfile.TemporaryDirectory() as name:
        one, two, three = (Path(name) / part for part in ("one", "two", "three"))
        for target in (one, two):
            build(PROJECT, target)
        sources, wheel = sorted(one.iterdir(), key=lambda path: path.suffix)
        for path in (sources, wheel):
            if sha256(path) != sha256(two / path.name):
                raise PackageError(f"{path.name} is not the same when it is built again")
            if path.stat().st_size > LARGEST:
                raise PackageError(f"{path.name} has {path.stat().st_size:,} bytes, more than {LARGEST:,}")
        with tarfile.open(sources) as archive:
            archive.extractall(Path(name), filter="data")
            unpacked = archive.getnames()
        root = sources.name.removesuffix(".tar.gz")
        build(Path(name) / root, three, "--wheel")
        if sha256(three / wheel.name) != sha256(wheel):
            raise PackageError(f"{sources.name} does not build the same wheel")
        refuse_others(wheel.name, zipfile.ZipFile(wheel).namelist(), IN_WHEEL)
        refuse_others(sources.name, [n.removeprefix(f"{root}/") for n in unpacked], IN_SOURCES)
        _run([sys.executable, "-m", "twine", "check", "--strict", str(sources), str(wheel)])
        return put((sources, wheel), folder)


def put(packages: Iterable[Path], folder: Path) -> list[Path]:
    """Copy packages to `folder`, in place of those of other versions."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("mafdn-*.whl", "mafdn-*.tar.gz"):
        for old in folder.glob(pattern):
            old.unlink()
    return [Path(shutil.copy(path, folder)) for path in packages]


def build(project: Path, target: Path, *what: str) -> None:
    """Build the packages of `project`, both unless `what` says otherwise; raises `PackageError`."""
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(target), str(project)]
    _run(command, SOURCE_DATE_EPOCH=os.environ.get("SOURCE_DATE_EPOCH") or _date_of_commit())


def refuse_others(package: str, names: list[str], allowed: re.Pattern[str]) -> None:
    """Raise `PackageError` if a package has files that do not belong into it."""
    others = [name for name in names if not name.endswith("/") and not allowed.fullmatch(name)]
    if others:
        raise PackageError(f"{package} has files that do not belong into it: {', '.join(others[:10])}")


def _date_of_commit() -> str:
    found = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise PackageError("this is not a clone of the repository: set SOURCE_DATE_EPOCH")
    return found.stdout.strip()


def _run(command: list[str], **variables: str) -> None:
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"{' '.join(command[1:4])} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
