"""Measure which weights gain more on films: pans over photographs, reduced, encoded by x264, and upscaled.

    python -m tools.film_choice SHARED

SHARED has the folders `data/bench` and `data/photos` of docs/data.md. Each clip moves by fractions of a pixel per
frame, so that frames are predicted from each other as in films. The mean PSNR on luma of some frames against the
originals is stored in `docs/results/film-choice.json`, and docs/film.md is updated. It takes several minutes.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from mafdn._support.atomic import replacing
from mafdn.film.source.reader import open_film
from mafdn.inference import EngineOptions, open_engine, preferred_engine, upscale
from mafdn.pictures.reading import read_rgb8
from mafdn.pixels.metrics import psnr_y
from mafdn.pixels.resize import imresize
from mafdn.weights.shipped import shipped
from tools.documents.films import CHOICE, CRFS, METHODS, SCALES
from tools.documents.update import PROJECT, refresh
from tools.documents.weights import RESULTS

FRAMES, LOOKED_AT = 12, (5, 10)
"""Frames of a clip, and those that are compared."""
STEP = (5, 3)
"""Movement of a clip per frame in pixels of the original, to the right and down."""
SMALL_PICTURES = 4
"""Pictures of B100 over which clips move."""


def windows(shared: Path) -> Iterator[tuple[str, np.ndarray[Any, Any], tuple[int, int]]]:
    """Names, pictures over which a clip moves, and the width and height of its frames."""
    for path, corners in (("006mp-cathedral.jpg", ((0, 0), (0, 800))), ("012mp-bus.jpg", ((0, 0), (900, 800)))):
        picture = Image.fromarray(read_rgb8(shared / "data" / "photos" / path))
        half = np.asarray(picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BICUBIC))
        for left, top in corners:
            yield f"{path}, {left}, {top}", half[top:, left:], (640, 480)
    landscape = (p for p in sorted((shared / "data" / "bench" / "B100" / "HR").glob("*.png")))
    wide = [p for p in landscape if Image.open(p).width > 400]
    for path in wide[:: len(wide) // SMALL_PICTURES][:SMALL_PICTURES]:
        yield path.name, read_rgb8(path), (416, 272)


def clip(picture: np.ndarray[Any, Any], size: tuple[int, int]) -> list[np.ndarray[Any, Any]]:
    """The frames of a clip, (H, W, 3) uint8."""
    width, height = size
    most = picture.shape[1] - width, picture.shape[0] - height
    places = [(min(STEP[0] * n, most[0]), min(STEP[1] * n, most[1])) for n in range(FRAMES)]
    return [picture[y : y + height, x : x + width] for x, y in places]


def encode(frames: list[np.ndarray[Any, Any]], path: Path, crf: int | None) -> None:
    """Write a film with x264, or losslessly with FFV1 if `crf` is `None`."""
    with av.open(str(path), "w", format="matroska") as container:
        settings = {} if crf is None else {"crf": str(crf), "preset": "medium"}
        stream: Any = container.add_stream("ffv1" if crf is None else "libx264", rate=25, options=settings)
        stream.width, stream.height = frames[0].shape[1], frames[0].shape[0]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())


def measure(shared: Path, folder: Path) -> list[dict[str, Any]]:
    """A row for each scale and quality: the mean PSNR on luma of the clips by bicubic and by both weights."""
    options = EngineOptions(engine=preferred_engine(), device="cpu", precision="fp32")
    scores: dict[tuple[int, int | None], list[dict[str, float]]] = {}
    for scale in SCALES:
        engines = {variant: open_engine(shipped(scale, ".onnx", variant), options) for variant in METHODS[1:]}
        for name, picture, size in windows(shared):
            originals = clip(picture, size)
            reduced = [imresize(frame, 1 / scale) for frame in originals]
            for crf in CRFS:
                encode(reduced, folder / "clip.mkv", crf)
                with closing(open_film(folder / "clip.mkv")) as film:
                    decoded = [frame.pixels for frame in film.frames()]
                of_clip: dict[str, float] = dict.fromkeys(METHODS, 0.0)
                for number in LOOKED_AT:
                    high, low = originals[number], decoded[number]
                    results = {"bicubic": imresize(low, scale)}
                    results |= {variant: upscale(engine, low) for variant, engine in engines.items()}
                    for method, result in results.items():
                        of_clip[method] += psnr_y(result, high, border=scale) / len(LOOKED_AT)
                scores.setdefault((scale, crf), []).append(of_clip)
                print(scale, name, crf, of_clip, flush=True)
    return [_row(scale, crf, clips) for (scale, crf), clips in scores.items()]


def _row(scale: int, crf: int | None, clips: list[dict[str, float]]) -> dict[str, Any]:
    better = sum(scores["photo"] > scores["classic"] for scores in clips)
    means = {method: float(np.mean([scores[method] for scores in clips])) for method in METHODS}
    return {"scale": scale, "crf": crf, "clips": len(clips), "better": better, **means}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    with tempfile.TemporaryDirectory(prefix="mafdn-") as temporary_folder:
        found = {"frames": FRAMES, "rows": measure(parser.parse_args().shared, Path(temporary_folder))}
    with replacing(PROJECT / RESULTS / f"{CHOICE}.json") as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    refresh(PROJECT)
