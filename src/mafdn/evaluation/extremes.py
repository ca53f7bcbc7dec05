"""The pictures on which a network does best and worst, as a strip.

Public names: :func:`draw_extremes`.
"""

from collections.abc import Sequence
from pathlib import Path

from mafdn.errors import UsageError
from mafdn.evaluation.benchset import Protocol, SetScore
from mafdn.evaluation.paired import Gain, gains
from mafdn.evaluation.scoring import named, results
from mafdn.evaluation.strips import StripPicture, draw_strip, telling_crop

ROWS = 3
"""Pictures of either kind; fewer when there are not six."""


def draw_extremes(
    scores: Sequence[SetScore],
    networks: Sequence[str],
    benches: Sequence[Path],
    protocol: Protocol,
    output: Path,
    *,
    reference: str,
    network: str,
    labels: Sequence[str] | None = None,
    lr: Path | None = None,
) -> None:
    """Draw the pictures that ``network`` improves least and most over ``reference`` as a strip of all networks.

    The crops are where it is most behind in the former, most ahead in the latter. ``scores`` are what :func:`evaluate`
    gave for ``networks``, ``benches`` and ``protocol``; the few pictures are upscaled again. ``labels`` are what the
    networks are called in the strip, where that is not their names in ``scores``. Raises
    :class:`UsageError` when no picture can be compared, and what :func:`results` and :func:`draw_strip` raise.
    """
    ranked = gains(scores, reference=reference, network=network)
    if not ranked:
        raise UsageError(f"there is no picture to draw on which {network} and {reference} can be compared")
    half = min(ROWS, len(ranked) // 2)
    worst, best = ranked[:half], ranked[half:][: -ROWS - 1 : -1]
    behind, ahead = (network, reference), (reference, network)
    rows: dict[Gain, StripPicture] = {}
    names = named(networks, protocol)
    shown = dict(zip(names, labels or names, strict=True))
    for number, folder in enumerate(benches):
        wanted = {
            gain.picture: (gain, ends)
            for group, ends in ((worst, behind), (best, ahead))
            for gain in group
            if gain.bench == number
        }
        of_set = scores[number * len(names) : (number + 1) * len(names)]
        psnr = {(s.network, p.name): p.psnr for s in of_set for p in s.pictures}
        for picture, made in results(names, folder, wanted, protocol, lr=lr) if wanted else ():
            gain, (worse, better) = wanted[picture.name]
            rows[gain] = StripPicture(
                name=f"{of_set[0].bench} / {picture.name}",
                detail=f"{gain.psnr:+.2f} dB",
                hr=picture.hr,
                results={shown[name]: result for name, result in made.items()},
                psnr={shown[name]: psnr[name, picture.name] for name in made},
                place=telling_crop(picture.hr, made[worse], made[better], border=protocol.scale),
            )
    channels = "luma" if protocol.channels == "luma" else "RGB"
    draw_strip(
        {
            f"{shown[network]} does worst against {shown[reference]}": [rows[gain] for gain in worst],
            f"{shown[network]} does best against {shown[reference]}": [rows[gain] for gain in best],
        },
        output,
        footing=f"x{protocol.scale}; PSNR of the whole picture on {channels}. "
        f"The crops are where {shown[network]} is most behind in the first group, most ahead in the other.",
    )
