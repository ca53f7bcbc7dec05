"""Draw the pictures on which a network does best and worst, or chosen crops, as a strip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from mafdn.degradation.chain import Degradation
from mafdn.errors import UsageError
from mafdn.evaluation.benchset import BenchPicture, Pixels, Protocol, SetScore
from mafdn.evaluation.layouts import LrChoice
from mafdn.evaluation.paired import gains
from mafdn.evaluation.scoring import label_networks, upscale_pictures
from mafdn.evaluation.strips.crops import Crop, find_picture
from mafdn.evaluation.strips.drawing import StripPicture, draw_strip, most_different_crop

ROWS = 3
"""Pictures in each group; fewer if there are fewer than six in total."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """One row of the strip: a picture, and what is shown of it."""

    bench: int
    picture: str
    gain: float | None
    """In dB; `None` if one of the two networks restored the picture perfectly."""
    ends: tuple[str, str]
    """Labels of the two networks between which the crop shows the largest difference: worse and better."""
    crop: Crop | None


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
    lr: LrChoice = None,
    degrade: Sequence[Degradation | None] = (None,),
    crops: Sequence[Crop] = (),
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
        lr: The LR pictures, as for `evaluate`.
        degrade: How they are degraded, as for `evaluate`.
        crops: One crop to show of every picture instead, or crops with the names of the pictures to show.

    Raises:
        UsageError: No picture can be compared, or a crop is not inside its picture.
        MafdnError: A network or picture cannot be read, or `output` cannot be written.
    """
    names = label_networks(networks, protocol)
    shown = dict(zip(names, labels or names, strict=True))
    titles = shown[network], shown[reference]
    if any(crop.picture for crop in crops):
        groups = {f"{titles[0]} - {titles[1]}": _chosen(scores, len(names), crops, reference, network)}
        placed = "The crops were chosen."
    else:
        groups = _extremes(scores, reference, network, titles, crops)
        placed = f"The crops are where {titles[0]} is most behind in the first group, most ahead in the other."
        placed = "The crops were chosen." if crops else placed
    requests = [request for group in groups.values() for request in group]
    rows: dict[_Request, StripPicture] = {}
    for number, (folder, step) in enumerate(product(benches, degrade)):
        mine = [request for request in requests if request.bench == number]
        of_set = scores[number * len(names) : (number + 1) * len(names)]
        psnr = {(shown[s.network], p.name): p.psnr for s in of_set for p in s.pictures}
        wanted = {request.picture for request in mine}
        for picture, made in upscale_pictures(names, folder, wanted, protocol, lr=lr, degrade=step) if wanted else ():
            for request in mine:
                if request.picture == picture.name:
                    results = {shown[name]: result for name, result in made.items()}
                    ends = made[request.ends[0]], made[request.ends[1]]
                    rows[request] = _row(request, of_set[0].bench, picture, results, psnr, ends, border=protocol.scale)
    channels = "luma" if protocol.channels == "luma" else "RGB"
    draw_strip(
        {heading: [rows[request] for request in group] for heading, group in groups.items()},
        output,
        footing=f"x{protocol.scale}; PSNR of the whole picture on {channels}. {placed}",
    )


def _extremes(
    scores: Sequence[SetScore], reference: str, network: str, titles: tuple[str, str], crops: Sequence[Crop]
) -> dict[str, list[_Request]]:
    """The pictures with the lowest and the highest gains."""
    ranked = gains(scores, reference=reference, network=network)
    if not ranked:
        raise UsageError(f"{network} and {reference} cannot be compared on any picture, so there is nothing to draw")
    half = min(ROWS, len(ranked) // 2)
    worst, best = ranked[:half], ranked[half:][: -ROWS - 1 : -1]
    crop = crops[0] if crops else None
    return {
        f"{titles[0]} does {word} against {titles[1]}": [
            _Request(bench=gain.bench, picture=gain.picture, gain=gain.psnr, ends=ends, crop=crop) for gain in group
        ]
        for word, group, ends in (("worst", worst, (network, reference)), ("best", best, (reference, network)))
    }


def _chosen(
    scores: Sequence[SetScore], networks: int, crops: Sequence[Crop], reference: str, network: str
) -> list[_Request]:
    """The pictures that `crops` name."""
    found = {(g.bench, g.picture): g.psnr for g in gains(scores, reference=reference, network=network)}
    requests: list[_Request] = []
    for crop in crops:
        place = find_picture(crop, scores[::networks])
        requests.append(
            _Request(bench=place[0], picture=place[1], gain=found.get(place), ends=(reference, network), crop=crop)
        )
    return requests


def _row(
    request: _Request,
    bench: str,
    picture: BenchPicture,
    results: Mapping[str, Pixels],
    psnr: Mapping[tuple[str, str], float],
    ends: tuple[Pixels, Pixels],
    *,
    border: int,
) -> StripPicture:
    if request.crop:
        place = request.crop.place(picture.hr.shape, f"{bench}/{picture.name}")
    else:
        place = most_different_crop(picture.hr, *ends, border=border)
    return StripPicture(
        name=f"{bench} / {picture.name}",
        detail="" if request.gain is None else f"{request.gain:+.2f} dB",
        hr=picture.hr,
        results=results,
        psnr={label: psnr[label, picture.name] for label in results},
        place=place,
    )
