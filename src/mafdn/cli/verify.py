"""`mafdn verify`: whether a result is faithful to its original; and how verifications are printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mafdn._support.atomic import printable
from mafdn.cli.options.frame import Frame
from mafdn.cli.options.limit import DEFAULT, MaxFileMb, MaxPixels, MaxSeconds
from mafdn.cli.output import Json, Quiet, progress, show_json, show_table
from mafdn.errors import MafdnError, UsageError

if TYPE_CHECKING:
    from mafdn import Verification

BOUNDS = "Bound"
"""Group of options on the help page."""


def verify_command(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="The original picture.")],
    result: Annotated[str, typer.Argument(metavar="RESULT", help="The upscaled picture, by any program.")],
    max_mean: Annotated[
        float | None,
        typer.Option(
            "--max-mean", metavar="LEVELS", help="Fail above this mean difference.", min=0, rich_help_panel=BOUNDS
        ),
    ] = None,
    max_block: Annotated[
        float | None,
        typer.Option(
            "--max-block",
            metavar="LEVELS",
            help="Fail if the mean color of a block of 64x64 pixels differs by more.",
            min=0,
            rich_help_panel=BOUNDS,
        ),
    ] = None,
    min_psnr: Annotated[
        float | None,
        typer.Option("--min-psnr", metavar="DB", help="Fail below this PSNR.", min=0, rich_help_panel=BOUNDS),
    ] = None,
    min_share: Annotated[
        float | None,
        typer.Option(
            "--min-share",
            metavar="PERCENT",
            help="Fail if fewer of the JPEG's DCT coefficients are met.",
            min=0,
            max=100,
            rich_help_panel=BOUNDS,
        ),
    ] = None,
    min_nonzero_share: Annotated[
        float | None,
        typer.Option(
            "--min-nonzero-share",
            metavar="PERCENT",
            help="The same for the coefficients that are not 0; most are.",
            min=0,
            max=100,
            rich_help_panel=BOUNDS,
        ),
    ] = None,
    frame: Frame = None,
    max_pixels: MaxPixels = DEFAULT.pixels,
    max_file_mb: MaxFileMb = DEFAULT.file_mb,
    max_seconds: MaxSeconds = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check that an upscaled picture is faithful to its original.

    RESULT is reduced to the size of INPUT again (antialiased bicubic) and compared with it, in 8-bit levels: little is
    left if nothing was invented or lost. A JPEG states each of its DCT coefficients only as a multiple of a step, so
    that a result may differ from its pixels without contradicting the file: the share of the coefficients that the
    reduced result still meets within half a step is reported, too.

    \b
    Examples:
      mafdn verify photo.jpg photo_x4.jpg
      mafdn verify photo.jpg photo_x4.jpg --json
      mafdn verify photo.jpg other.png --max-mean 2 --min-share 98    exit code 1 beyond a bound
    """
    from mafdn.cli.inputs import as_typed
    from mafdn.pictures.limits import Limits
    from mafdn.pictures.reading import block_other_loaders
    from mafdn.upscaling.verifying import verify

    block_other_loaders()
    first, second = as_typed(source), as_typed(result)
    limits = Limits(pixels=max_pixels, file_mb=max_file_mb, seconds=max_seconds)
    with progress(printable(Path(second).name), quiet=quiet or as_json) as tick:
        found = verify(first, second, frame=frame, limits=limits, on_progress=tick)
    for name, share in (("--min-share", min_share), ("--min-nonzero-share", min_nonzero_share)):
        if share is not None and found.coefficients is None:
            raise UsageError(f"{name} is for JPEG files whose coefficients can be judged, not {printable(first)}")
    if as_json:
        show_json(found.for_programs())
    elif not quiet:
        _show(found, printable(first), printable(second))
    failures = _beyond(
        found,
        max_mean=max_mean,
        max_block=max_block,
        min_psnr=min_psnr,
        min_share=min_share,
        min_nonzero_share=min_nonzero_share,
    )
    if failures:
        raise MafdnError(f"{printable(second)} is not faithful to {printable(first)}: {'; '.join(failures)}")


def verification_line(found: "Verification") -> str:
    """Return the figures of a verification as one line."""
    parts = [
        f"mean difference {found.mean_difference:.2f}",
        f"largest {found.largest_difference:.1f}",
        f"mean color of a block {found.block_difference:.2f} levels",
    ]
    if found.coefficients:
        shares = found.coefficients.all
        nonzero = "" if shares.nonzero_share is None else f" ({_percent(shares.nonzero_share)} of those not 0)"
        parts.append(f"{_percent(shares.share)} of the JPEG's coefficients{nonzero} met")
    return ", ".join(parts)


def verifications_line(found: "Sequence[tuple[str, Verification]]") -> str:
    """Return one line for the verifications of several pictures, which are given with their names."""
    worst, most = max(((v.mean_difference, name) for name, v in found))
    mean = sum(v.mean_difference for _, v in found) / len(found)
    plural = "s" if len(found) > 1 else ""
    line = f"verified {len(found)} picture{plural}: mean difference {mean:.2f} levels (most: {worst:.2f}, {most})"
    shares = [(v.coefficients.all.share, name) for name, v in found if v.coefficients]
    if shares:
        lowest, least = min(shares)
        share = sum(share for share, _ in shares) / len(shares)
        line += f", {_percent(share)} of JPEG coefficients met (least: {_percent(lowest)}, {least})"
    return line


def _show(found: "Verification", source: str, result: str) -> None:
    x, y = found.largest_at
    rows = [
        ["mean difference", f"{found.mean_difference:.3f}"],
        ["largest difference", f"{found.largest_difference:.2f} at {x}, {y}"],
        ["PSNR", "no difference" if found.psnr is None else f"{found.psnr:.2f} dB"],
        ["mean color of a 64x64 block, largest difference", f"{found.block_difference:.3f}"],
    ]
    for block in found.blocks:
        frame = f", frame {block.frame}" if found.frames > 1 else ""
        rows.append([f"    at {block.x}, {block.y}{frame}", f"{block.difference:.3f}"])
    if found.coefficients:
        parts = [("DCT coefficients met", found.coefficients.all), ("    luma", found.coefficients.luma)]
        parts += [("    chroma", found.coefficients.chroma)] if found.coefficients.chroma else []
        for name, share in parts:
            nonzero = "" if share.nonzero_share is None else f" (nonzero: {_percent(share.nonzero_share)})"
            rows.append([name, f"{_percent(share.share)}{nonzero}"])
        rows.append(["blocks that could be judged", _percent(found.coefficients.judged_blocks)])
    (width, height), (new_width, new_height) = found.size, found.result_size
    typer.echo(f"{result}: {new_width}x{new_height}, reduced to {width}x{height} and compared with {source}")
    show_table("Differences in 8-bit levels", ["", "value"], rows)
    for note in found.notes:
        typer.echo(f"note: {note}")


def _beyond(
    found: "Verification",
    *,
    max_mean: float | None,
    max_block: float | None,
    min_psnr: float | None,
    min_share: float | None,
    min_nonzero_share: float | None,
) -> list[str]:
    """Return what is beyond its bound."""
    failures: list[str] = []
    if max_mean is not None and found.mean_difference > max_mean:
        failures.append(f"mean difference {found.mean_difference:.3f}, --max-mean {max_mean:g}")
    if max_block is not None and found.block_difference > max_block:
        failures.append(f"mean color of a block {found.block_difference:.3f}, --max-block {max_block:g}")
    if min_psnr is not None and found.psnr is not None and found.psnr < min_psnr:
        failures.append(f"PSNR {found.psnr:.2f} dB, --min-psnr {min_psnr:g}")
    shares = found.coefficients.all if found.coefficients else None
    if min_share is not None and shares and 100 * shares.share < min_share:
        failures.append(f"coefficients met {_percent(shares.share)}, --min-share {min_share:g}")
    nonzero = shares.nonzero_share if shares else None
    if min_nonzero_share is not None and nonzero is not None and 100 * nonzero < min_nonzero_share:
        failures.append(f"nonzero coefficients met {_percent(nonzero)}, --min-nonzero-share {min_nonzero_share:g}")
    return failures


def _percent(share: float) -> str:
    """A share with as many digits as tell it from 100 %, at least two."""
    text = f"{100 * share:.2f}"
    return f"{100 * share:.4f} %" if text == "100.00" and share < 1 else f"{text} %"
