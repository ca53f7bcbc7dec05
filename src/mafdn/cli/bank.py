"""`mafdn bank build`, `info`, `teach` and `zoom`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn.cli.options.network import NETWORK
from mafdn.cli.output import Json, progress, show_json, show_table

if TYPE_CHECKING:
    from mafdn.training.data.bank import Excluded, Teacher

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Quantiles of the pictures' gradients that `mafdn bank info` shows."""
TEACHERS = f"{NETWORK} Repeatable; the outputs are averaged."
BankFolder = Annotated[Path, typer.Argument(metavar="BANK", help="Folder of the bank.")]

bank_app = typer.Typer(
    help="""Build, inspect and extend banks of training pictures.

    \b
    Examples:
      mafdn bank build photos -o bank
      mafdn bank info bank
      mafdn bank teach bank --network large.onnx --name large
      mafdn bank zoom bank --network large.onnx -o zoomed
    """,
    rich_markup_mode=None,
)


@bank_app.command("build")
def build_command(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR", help="Folders of pictures, searched recursively.")],
    target: Annotated[Path, typer.Option("--output", "-o", metavar="BANK", help="Folder of the new bank.")],
    scales: Annotated[
        str, typer.Option("--scales", help="Scales of the LR pictures to store, from 2, 3 and 4.")
    ] = "2,3,4",
    exclude: Annotated[
        list[Path] | None,
        typer.Option("--exclude", metavar="DIR", help="Benchmark dataset whose pictures are excluded; repeatable."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Number of processes (default: one per core).", min=1)
    ] = None,
) -> None:
    """Build a bank: decode and downscale training pictures once.

    Pictures that look like one in an --exclude folder, even if rotated, recompressed or resized, are excluded and
    listed; crops are not detected. If the command is interrupted, run it again to resume.

    \b
    Example:
      mafdn bank build photos more-photos --exclude Set5 --exclude Set14 -o bank
    """
    from mafdn.training.data.build import build_bank

    with progress("preparing pictures") as tick:
        bank = build_bank(
            sources, target, scales=_scales(scales), exclude=exclude or [], workers=workers, on_progress=tick
        )
    for picture in bank.excluded:
        typer.echo(f"excluded: {_excluded(picture)}")
    typer.echo(f"{target}: {len(bank.pictures):,} pictures, {bank.hr_pixels / 1e6:.1f} megapixels")


@bank_app.command("info")
def info_command(folder: BankFolder, as_json: Json = False) -> None:
    """Show a bank's pictures, exclusions, texture and teachers.

    \b
    Example:
      mafdn bank info bank --json
    """
    import numpy as np

    from mafdn.training.data.bank import open_bank

    bank = open_bank(folder)
    gradients = np.quantile([picture.gradient for picture in bank.pictures], QUANTILES)
    teachers = [asdict(teacher) for teacher in bank.teachers.values()]
    if as_json:
        show_json(
            {
                "bank": folder,
                "pictures": len(bank.pictures),
                "sha256": bank.digest,
                "megapixels": bank.hr_pixels / 1e6,
                "bytes": bank.size,
                "scales": bank.scales,
                "gradient": {f"{q:g}": round(float(g), 4) for q, g in zip(QUANTILES, gradients, strict=True)},
                "excluded": [asdict(picture) for picture in bank.excluded],
                "teachers": teachers,
                "zoomed": asdict(bank.zoomed) if bank.zoomed else None,
            }
        )
        return
    rows = [
        ["pictures", f"{len(bank.pictures):,}"],
        ["megapixels", f"{bank.hr_pixels / 1e6:,.1f}"],
        ["MiB of pixels", f"{bank.size / 2**20:,.0f}"],
        ["scales", ", ".join(f"x{scale}" for scale in bank.scales)],
        ["excluded", f"{len(bank.excluded):,}"],
        ["SHA-256 of the pictures", bank.digest],
    ]
    rows += [[f"gradient, quantile {q:g}", f"{g:.2f}"] for q, g in zip(QUANTILES, gradients, strict=True)]
    rows += [[f"teacher {teacher.name}", _networks(teacher)] for teacher in bank.teachers.values()]
    if bank.zoomed:
        rows.append(["zoomed pairs by", ", ".join(network.file for network in bank.zoomed.networks)])
    show_table(f"{folder}", ["", "value"], rows)
    for picture in bank.excluded:
        typer.echo(f"excluded: {_excluded(picture)}")


@bank_app.command("teach")
def teach_command(
    folder: BankFolder,
    networks: Annotated[list[str], typer.Option("--network", metavar="NAME", help=TEACHERS)],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the teacher (default: the first network's file name).")
    ] = None,
    ensemble: Annotated[
        int,
        typer.Option(
            "--ensemble",
            metavar="1|8",
            help="8 averages over eight orientations, about 8 times slower.",
            show_default=False,
        ),
    ] = 1,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", hidden=True, help="The same as --ensemble 8; kept for scripts.")
    ] = False,
    tile: Annotated[
        int | None,
        typer.Option(
            "--tile", min=64, help="Side of tiles in LR pixels, for pictures of a larger area (default: 1024)."
        ),
    ] = None,
) -> None:
    """Upscale a bank's LR pictures with a teacher, for distillation.

    A teacher can be any exported network, a weights file of this program, or the weights released by the authors of
    IMDN and SMFANet+. If the command is interrupted, run it again to resume.

    \b
    Example:
      mafdn bank teach bank --network large.safetensors --ensemble 8 --name large
    """
    from mafdn.inference.ensemble import as_ensemble
    from mafdn.training.data.teach import teach

    averaged = self_ensemble or as_ensemble(ensemble) > 1
    with progress("teaching") as tick:
        teacher = teach(
            folder,
            networks,
            name=name or Path(networks[0]).stem,
            self_ensemble=averaged,
            tile=tile,
            on_progress=tick,
        )
    typer.echo(f"{folder}: teacher {teacher.name}, {_networks(teacher)}")


@bank_app.command("zoom")
def zoom_command(
    folder: BankFolder,
    networks: Annotated[list[str], typer.Option("--network", metavar="NAME", help=TEACHERS)],
    target: Annotated[Path, typer.Option("--output", "-o", metavar="ZOOMED", help="Folder of the new bank.")],
    per_picture: Annotated[int, typer.Option("--per-picture", help="Number of crops per picture.", min=1)] = 1,
    smallest: Annotated[
        float,
        typer.Option("--smallest", help="Smallest factor for downscaling pictures before cropping.", min=0.1, max=0.9),
    ] = 0.5,
) -> None:
    """Make more training pairs from a bank with a teacher.

    Crops at or near full size become LR pictures, and the teacher's outputs their HR pictures. To train on the new
    bank, set data.zoomed in a configuration to its folder. If the command is interrupted, run it again to resume.

    \b
    Example:
      mafdn bank zoom bank --network large.safetensors -o zoomed
    """
    from mafdn.training.data.zoom import zoom

    with progress("zooming") as tick:
        bank = zoom(folder, networks, target, per_picture=per_picture, smallest=smallest, on_progress=tick)
    typer.echo(f"{target}: {len(bank.pictures):,} zoomed pairs, {bank.hr_pixels / 1e6:.1f} megapixels")


def _scales(text: str) -> list[int]:
    parts = text.split(",")
    if not set(parts) <= {"2", "3", "4"}:
        raise typer.BadParameter(f"--scales must list some of 2,3,4, not {text!r}")
    return [int(part) for part in parts]


def _excluded(picture: "Excluded") -> str:
    return f"{picture.name} is {picture.match} (distance {picture.distance})"


def _networks(teacher: "Teacher") -> str:
    by = ", ".join(network.file for network in teacher.networks)
    return f"x{teacher.scale} by {by}{' with self-ensemble' if teacher.self_ensemble else ''}"
