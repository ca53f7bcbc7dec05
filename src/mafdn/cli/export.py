"""`mafdn export`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.options.network import Overwrite
from mafdn.cli.output import Json, keep_existing, output_file, show_json, stages
from mafdn.errors import UsageError


def export_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS",
            help="A .safetensors or .pth file, the folder of a training run, or a shipped network such as photo-x4; "
            "with --darktable, classic, photo, or files with {scale} in their name.",
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE_OR_FOLDER",
            help="Output file: ONNX, or for a run or with --plain also .safetensors, or with --darktable .dtmodel "
            "(default: WEIGHTS with the extension .onnx or .dtmodel).",
        ),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Write a plain ONNX file for other programs: one input and one output, channel gates held.",
        ),
    ] = False,
    darktable: Annotated[
        bool,
        typer.Option(
            "--darktable", help="Write a .dtmodel package that darktable installs, with networks for x2 and x4."
        ),
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", metavar="PIXELS", min=16, max=4096, help="With --plain: fix height and width (default: any)."
        ),
    ] = None,
    gates: Annotated[
        str | None,
        typer.Option(
            "--gates",
            metavar="typical|computed|FOLDER",
            help="With --plain or --darktable: hold the gates at typical ones (typical, for shipped weights) or at "
            "those of a folder of pictures (its path). With --plain: compute them from each input (computed).",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Fold a network and export it as an ONNX file.

    The file accepts pictures of any size and runs without torch. It is run in every engine at two sizes, and the
    results must match those of the network. From a run, the averaged weights of the newest checkpoint are exported.

    \b
    Examples:
      mafdn export mine.safetensors -o mine.onnx
      mafdn export runs/imdn -o imdn.safetensors
      mafdn export photo-x4 --plain -o photo-x4.onnx
      mafdn export photo --darktable -o mafdn-photo.dtmodel
    """
    if darktable:
        if plain or size is not None:
            raise UsageError("--plain and --size are for single ONNX files; omit them with --darktable")
        _export_package(os.fspath(source), target, gates, overwrite=overwrite, as_json=as_json)
        return
    with needs_extra("exporting", extra="train"):
        from mafdn.export.gates import TYPICAL, choose_gates
        from mafdn.export.onnx import export_onnx
        from mafdn.export.plain import export_plain, save_plain
        from mafdn.networks.checkpoints import has_header, open_network
        from mafdn.training.record.averaged import averaged_network, export_run, weights_card
    from mafdn.weights.resolve import resolve

    if not plain and (size is not None or gates is not None):
        raise UsageError("--size and --gates describe a plain file; add --plain")
    origin = resolve(source)
    shipped = None if origin.path else origin.file(".safetensors")
    is_run = origin.kind == "run"
    name = source.resolve().name
    if is_run and not (name or target):
        raise UsageError(f"{source} has no name for the ONNX file; set one with --output")
    default = source.resolve().with_name(f"{name or 'network'}.onnx") if is_run else source.with_suffix(".onnx")
    if shipped is not None:
        source, default = shipped, Path(f"{shipped.stem}{'-plain' if plain else ''}.onnx")
    elif plain:
        default = default.with_stem(f"{default.stem}-plain")
    target = output_file(target, default)
    weights_wanted = target.suffix == ".safetensors" and is_run != plain
    if target.suffix != ".onnx" and not weights_wanted:
        also = " (or .safetensors for a run)" if is_run and not plain else ""
        raise UsageError(f"an ONNX file must end in .onnx{also}; {target} does not")
    if weights_wanted and size is not None:
        raise UsageError("--size is for ONNX files; a weights file is for any size")
    keep_existing(target, overwrite=overwrite)
    worst: float | None = None
    if weights_wanted and is_run:
        export_run(source, target)
    else:
        network = averaged_network(source)[0] if is_run else open_network(source)
        constant = choose_gates(network, source, gates or TYPICAL) if plain else None
        if weights_wanted:
            card = weights_card(source) if has_header(source) else {}
            save_plain(network, target, gates=constant, card=card)
        else:
            with stages(quiet=as_json) as on_stage:
                if plain:
                    worst = export_plain(network, target, gates=constant, size=size, on_progress=on_stage)
                else:
                    worst = export_onnx(network, target, on_progress=on_stage)
    _report(target, worst, is_run=is_run, as_json=as_json)


def _export_package(source: str, target: Path | None, gates: str | None, *, overwrite: bool, as_json: bool) -> None:
    with needs_extra("exporting", extra="train"):
        from mafdn.export.darktable import default_package, export_darktable
        from mafdn.export.gates import TYPICAL
        from mafdn.training.record.averaged import weights_card

    target = output_file(target, default_package(source))
    keep_existing(target, overwrite=overwrite)
    with stages(quiet=as_json) as on_stage:
        worst = export_darktable(source, target, gates=gates or TYPICAL, card_of=weights_card, on_progress=on_stage)
    _report(target, worst, is_run=False, as_json=as_json)


def _report(target: Path, worst: float | None, *, is_run: bool, as_json: bool) -> None:
    if as_json:
        show_json({"target": target, "largest_difference": worst})
    elif worst is None:
        typer.echo(f"{target}: {'averaged weights' if is_run else 'weights'}, folded")
    else:
        typer.echo(f"{target}: agrees with the network to within {worst:.1e} of white")
