"""Draw the pictures on which a network does best and worst as a strip."""

from collections.abc import Sequence
from pathlib import Path

from mafdn.errors import UsageError
from mafdn.evaluation.benchset import Protocol, SetScore
from mafdn.evaluation.paired import Gain, gains
from mafdn.evaluation.scoring import label_networks, upscale_pictures
from mafdn.evaluation.strips import StripPicture, draw_strip, most_different_crop

ROWS = 3
"""Pictures in each group; fewer if there are fewer than six in total."""


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
    """Draw the pictures on which `network` gains least and most over `reference`, as upscaled by all networks.

    The crops are where it is most behind in the former, and most ahead in the latter. These few pictures are upscaled
    again.

    Args:
        scores: What `mafdn.evaluation.scoring.evaluate` returned for `networks`, `benches` and `protocol`.
        networks: Names as in `mafdn.weights.resolve`.
        benches: Folders of benchmark datasets.
        protocol: What was measured.
        output: The PNG file, which is replaced.
        reference: The label of the network to compare with, as in `scores`.
        network: The label of the network compared, as in `scores`.
        labels: Other names for `networks` in the strip.
        lr: The folder of LR pictures, for a single set.

    Raises:
        UsageError: No picture can be compared.
        MafdnError: A network or picture cannot be read, or `output` cannot be written.
    """
    ranked = gains(scores, reference=reference, network=network)
    if not ranked:
        raise UsageError(f"{network} and {reference} cannot be compared on any picture, so there is nothing to draw")
    half = min(ROWS, len(ranked) // 2)
    worst, best = ranked[:half], ranked[half:][: -ROWS - 1 : -1]
    behind, ahead = (network, reference), (reference, network)
    rows: dict[Gain, StripPicture] = {}
    names = label_networks(networks, protocol)
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
        for picture, made in upscale_pictures(names, folder, wanted, protocol, lr=lr) if wanted else ():
            gain, (worse, better) = wanted[picture.name]
            rows[gain] = StripPicture(
                name=f"{of_set[0].bench} / {picture.name}",
                detail=f"{gain.psnr:+.2f} dB",
                hr=picture.hr,
                results={shown[name]: result for name, result in made.items()},
                psnr={shown[name]: psnr[name, picture.name] for name in made},
                place=most_different_crop(picture.hr, made[worse], made[better], border=protocol.scale),
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
