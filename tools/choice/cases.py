"""Files from clean pictures, made in ways of which it is known whether they are degraded; for `tools.choice`."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mafdn.pictures.codecs.jpeg_coding import ZIGZAG

SAMPLING = ("4:4:4", "4:2:2", "4:2:0")
"""Chroma subsamplings by Pillow's number."""
LEAST_SIDE = 32
"""Side of the smallest crop in pixels."""
FLAT_TABLE = np.add.outer(np.arange(8), np.arange(8)).ravel() * 2 + 6
"""A quantization table unlike the standard's, in natural order, as some cameras have."""


@dataclass(frozen=True)
class Case:
    """A file."""

    content: bytes
    suffix: str
    how: str
    """What was drawn by chance."""


Maker = Callable[[Image.Image, np.random.Generator], Case]


def encoded(picture: Image.Image, encoder: str, **options: Any) -> tuple[bytes, Image.Image]:
    """Encode a picture by Pillow; returns the file, and the picture that it holds."""
    file = io.BytesIO()
    picture.save(file, encoder, **options)
    content = file.getvalue()
    return content, Image.open(io.BytesIO(content)).convert(picture.mode)


def _quality(random: np.random.Generator, low: int, high: int) -> int:
    return int(random.integers(low, high + 1))


def _cropped(picture: Image.Image, random: np.random.Generator) -> tuple[Image.Image, str]:
    left, top = random.integers(0, 16, 2).tolist()
    return picture.crop((left, top, picture.width, picture.height)), f"cropped by {left}, {top}"


def _png(picture: Image.Image, how: str) -> Case:
    return Case(encoded(picture, "PNG")[0], ".png", how)


def _jpeg(picture: Image.Image, quality: int, **options: Any) -> Case:
    content, _ = encoded(picture, "JPEG", quality=quality, **options)
    return Case(content, ".jpg", f"quality {quality}")


def jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """A JPEG file of any sampling, some progressive."""
    number, progressive = int(random.integers(3)), bool(random.integers(2))
    case = _jpeg(picture, _quality(random, 20, 92), subsampling=number, progressive=progressive)
    return Case(case.content, case.suffix, f"{case.how}, {SAMPLING[number]}")


def gray_jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """A gray JPEG file."""
    return _jpeg(picture.convert("L"), _quality(random, 20, 92))


def own_tables(picture: Image.Image, random: np.random.Generator) -> Case:
    """A JPEG file with tables that are not those of the standard."""
    factor = random.uniform(0.5, 4)
    table = np.clip(np.rint(FLAT_TABLE * factor), 1, 255).astype(int)
    content, _ = encoded(picture, "JPEG", qtables=[table[ZIGZAG].tolist()] * 2)
    return Case(content, ".jpg", f"tables times {factor:.1f}")


def jpeg_in_tiff(picture: Image.Image, random: np.random.Generator) -> Case:
    """A TIFF file with JPEG compression."""
    quality = _quality(random, 20, 92)
    return Case(encoded(picture, "TIFF", compression="jpeg", quality=quality)[0], ".tif", f"quality {quality}")


def png_of_jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """A JPEG file that was cropped and saved as PNG."""
    quality, sampling = _quality(random, 20, 92), int(random.integers(3))
    cropped, how = _cropped(encoded(picture, "JPEG", quality=quality, subsampling=sampling)[1], random)
    return _png(cropped, f"quality {quality}, {how}")


def small_png_of_jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """A small part of a JPEG file as PNG."""
    quality, side = _quality(random, 30, 90), int(random.integers(64, 97))
    decoded = encoded(picture, "JPEG", quality=quality)[1]
    left, top = ((length - side) // 2 + int(random.integers(8)) for length in decoded.size)
    return _png(decoded.crop((left, top, left + side, top + side)), f"quality {quality}, {side}x{side}")


def webp_of_jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """A JPEG file that was cropped and saved as lossless WebP."""
    quality = _quality(random, 20, 92)
    cropped, how = _cropped(encoded(picture, "JPEG", quality=quality)[1], random)
    return Case(encoded(cropped, "WEBP", lossless=True)[0], ".webp", f"quality {quality}, {how}")


def jpeg_again(picture: Image.Image, random: np.random.Generator) -> Case:
    """A JPEG file of lower quality that was saved again at a high one."""
    first, second = _quality(random, 40, 85), _quality(random, 97, 100)
    again = _jpeg(encoded(picture, "JPEG", quality=first)[1], second, subsampling=0)
    return Case(again.content, again.suffix, f"quality {first}, then {second}")


def cropped_jpeg_again(picture: Image.Image, random: np.random.Generator) -> Case:
    """The same, cropped between."""
    first, second = _quality(random, 40, 85), _quality(random, 97, 100)
    cropped, how = _cropped(encoded(picture, "JPEG", quality=first)[1], random)
    return Case(_jpeg(cropped, second, subsampling=0).content, ".jpg", f"quality {first}, {how}, then {second}")


def lossy_webp(picture: Image.Image, random: np.random.Generator) -> Case:
    """A lossy WebP file."""
    quality = _quality(random, 30, 82)
    return Case(encoded(picture, "WEBP", quality=quality)[0], ".webp", f"quality {quality}")


def screenshot_of_jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """A screenshot in which a JPEG file is shown beside text."""
    quality = _quality(random, 30, 90)
    page = _page(random, (picture.width + 300, picture.height + 200))
    page.paste(encoded(picture, "JPEG", quality=quality)[1], (150, 90))
    return _png(page, f"quality {quality}")


def clean_png(picture: Image.Image, random: np.random.Generator) -> Case:
    """A PNG file."""
    cropped, how = _cropped(picture, random)
    return _png(cropped, how)


def clean_tiff(picture: Image.Image, random: np.random.Generator) -> Case:
    """A TIFF file."""
    cropped, how = _cropped(picture, random)
    return Case(encoded(cropped, "TIFF", compression="tiff_lzw")[0], ".tif", how)


def clean_webp(picture: Image.Image, random: np.random.Generator) -> Case:
    """A lossless WebP file."""
    cropped, how = _cropped(picture, random)
    return Case(encoded(cropped, "WEBP", lossless=True)[0], ".webp", how)


def fine_webp(picture: Image.Image, random: np.random.Generator) -> Case:
    """A lossy WebP file of high quality."""
    quality = _quality(random, 92, 100)
    return Case(encoded(picture, "WEBP", quality=quality)[0], ".webp", f"quality {quality}")


def fine_jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """A JPEG file of high quality."""
    return _jpeg(picture, _quality(random, 98, 100), subsampling=int(random.integers(3)))


def png_of_fine_jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """Such a file saved as PNG."""
    quality = _quality(random, 98, 100)
    cropped, how = _cropped(encoded(picture, "JPEG", quality=quality)[1], random)
    return _png(cropped, f"quality {quality}, {how}")


def enlarged(picture: Image.Image, random: np.random.Generator) -> Case:
    """A picture that was enlarged already, by interpolation or by repeating pixels."""
    factor = int(random.choice([2, 3, 4, 8]))
    method = random.choice([Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
    side = 640 // factor
    part = picture.crop((0, 0, min(side, picture.width), min(side, picture.height)))
    result = part.resize((part.width * factor, part.height * factor), Image.Resampling(int(method)))
    return _png(result, f"x{factor}, {Image.Resampling(int(method)).name.lower()}")


def reduced_jpeg(picture: Image.Image, random: np.random.Generator) -> Case:
    """A JPEG file of good quality that was reduced, which removes its blocks."""
    quality, factor = _quality(random, 85, 95), random.uniform(2, 3)
    decoded = encoded(picture, "JPEG", quality=quality)[1]
    size = [max(LEAST_SIDE, round(side / factor)) for side in decoded.size]
    reduced = decoded.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    return _png(reduced, f"quality {quality}, reduced by {factor:.2f}")


def gif(picture: Image.Image, random: np.random.Generator) -> Case:
    """A GIF file, dithered or not."""
    colors, dither = int(random.choice([32, 128, 256])), bool(random.integers(2))
    method = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    return Case(encoded(picture.quantize(colors, dither=method), "GIF")[0], ".gif", f"{colors} colors")


def noisy(picture: Image.Image, random: np.random.Generator) -> Case:
    """A PNG file with noise."""
    deviation = random.uniform(1, 10)
    values = np.asarray(picture) + random.normal(0, deviation, (picture.height, picture.width, 3))
    return _png(Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)), f"deviation {deviation:.1f}")


def small_png(picture: Image.Image, random: np.random.Generator) -> Case:
    """A small part as PNG."""
    side = int(random.integers(16, 97))
    return _png(picture.crop((0, 0, side, side)), f"{side}x{side}")


def _page(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A page of text in one of some colors."""
    paper, ink = [("white", "black"), ("#202428", "#d0d4d8"), ("#fdf6e3", "#586e75")][int(random.integers(3))]
    page = Image.new("RGB", size, paper)
    draw, height = ImageDraw.Draw(page), int(random.integers(9, 22))
    font = ImageFont.load_default(height)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz     ,.ABC012"))
    for top in range(4, size[1], height + 5):
        draw.text((8, top), "".join(random.choice(letters, size[0] // 6)), fill=ink, font=font)
    return page


def pages(random: np.random.Generator) -> Iterator[Case]:
    """Screenshots of text."""
    for number in range(12):
        yield _png(_page(random, (480, 320)), f"page {number}")


def sprites(random: np.random.Generator) -> Iterator[Case]:
    """Pixel art of tiles of 8x8 pixels, as game consoles draw it, some of it enlarged."""
    for number in range(12):
        colors = random.integers(0, 256, (int(random.choice([16, 64, 256])), 3), np.uint8)
        tiles = colors[random.integers(0, len(colors), (int(random.choice([16, 64, 200])), 8, 8))]
        if number % 2:
            tiles[:, :, 4:] = tiles[:, :, 3::-1]  # symmetric ones
        rows = tiles[random.integers(0, len(tiles), (28, 32))]
        picture = rows.swapaxes(1, 2).reshape(28 * 8, 32 * 8, 3)
        factor = int(random.choice([1, 2, 3]))
        yield _png(Image.fromarray(picture.repeat(factor, 0).repeat(factor, 1)), f"sprites {number}, x{factor}")


def gradients(random: np.random.Generator) -> Iterator[Case]:
    """Smooth ramps, waves and disks, and tiles of ramps."""
    down, across = np.mgrid[:320, :480]
    for number in range(12):
        angle, period = random.uniform(0, np.pi), random.choice([8, 16, 37, 300])
        phase = across * np.cos(angle) + down * np.sin(angle)
        shapes = [phase / phase.max(), np.sin(2 * np.pi * phase / period) / 2 + 0.5, np.hypot(down - 160, across - 240)]
        shape = (shapes[number % 3] / shapes[number % 3].max() if number % 4 else phase % 8 / 8)[..., None]
        color = random.uniform(60, 255, 3)
        yield _png(Image.fromarray(np.clip(shape * color, 0, 255).astype(np.uint8)), f"shape {number}")


DEGRADED: Mapping[str, Maker] = {
    "JPEG": jpeg,
    "JPEG, gray": gray_jpeg,
    "JPEG, tables not of the standard": own_tables,
    "TIFF with JPEG compression": jpeg_in_tiff,
    "JPEG cropped, saved as PNG": png_of_jpeg,
    "small part of a JPEG as PNG": small_png_of_jpeg,
    "JPEG cropped, saved as lossless WebP": webp_of_jpeg,
    "JPEG saved again at 97 to 100": jpeg_again,
    "JPEG cropped, saved again at 97 to 100": cropped_jpeg_again,
    "WebP, quality 30 to 82": lossy_webp,
    "screenshot with a JPEG": screenshot_of_jpeg,
}
"""Files that the photo weights should upscale; JPEG qualities are 20 to 92."""
CLEAN: Mapping[str, Maker] = {
    "PNG": clean_png,
    "TIFF": clean_tiff,
    "WebP, lossless": clean_webp,
    "WebP, quality 92 to 100": fine_webp,
    "JPEG, quality 98 to 100": fine_jpeg,
    "JPEG of quality 98 to 100 as PNG": png_of_fine_jpeg,
    "PNG, enlarged before": enlarged,
    "JPEG of quality 85 to 95, reduced, as PNG": reduced_jpeg,
    "GIF": gif,
    "PNG with noise": noisy,
    "small PNG": small_png,
}
"""Files that the classic weights should upscale."""
GRAPHICS: Mapping[str, Callable[[np.random.Generator], Iterator[Case]]] = {
    "text as PNG": pages,
    "pixel art as PNG": sprites,
    "ramps, waves and disks as PNG": gradients,
}
"""The same without a photograph."""
