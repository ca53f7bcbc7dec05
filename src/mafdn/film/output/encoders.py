"""The encoders: x264, x265, SVT-AV1 and FFV1, with their settings."""

import sys
from dataclasses import dataclass, replace

from mafdn._support.atomic import printable
from mafdn._support.machine import Machine, machine, usable_cores
from mafdn.errors import UsageError
from mafdn.film.options import FilmOptions
from mafdn.film.source.info import Color, FilmInfo, Light

LIBRARIES = {"x264": "libx264", "x265": "libx265", "av1": "libsvtav1", "ffv1": "ffv1"}
"""FFmpeg's names of the encoders."""
QUALITY = {"x264": 18.0, "x265": 20.0, "av1": 24.0}
"""Default `crf`: visually close to lossless."""
PRESET = {"x264": "fast", "x265": "fast", "av1": "fast"}
"""Default presets: on ordinary processors, they take a few percent of the time of the network."""
SVT_PRESETS = {
    "ultrafast": 12,
    "superfast": 11,
    "veryfast": 10,
    "faster": 9,
    "fast": 8,
    "medium": 6,
    "slow": 5,
    "slower": 4,
    "veryslow": 2,
}
"""SVT-AV1's presets for the names of those of x264."""
DEPTHS = {"x264": (8, 10), "x265": (8, 10, 12), "av1": (8, 10), "ffv1": (8, 9, 10, 12, 14, 16)}
"""Bits per sample that an encoder takes."""
MOST_THREADS = 16
"""More threads do not make one film faster; the number is part of the settings, because results depend on it."""
HIGHEST_CRF = {"x264": 51, "x265": 51, "av1": 63}
SSE = "MMX2,SSE,SSE2,SSE2Fast,SSE3,SSSE3,SSE4.1,SSE4,SSE4.2"
"""x264's names of instruction sets that every processor has on which networks run."""
AVX2 = f"{SSE},AVX,FMA3,BMI1,BMI2,AVX2"
"""The same for processors with AVX2."""
SUBSAMPLINGS = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}


@dataclass(frozen=True)
class Encoder:
    """An encoder and its settings; equal settings, sizes and versions give equal bytes on one machine.

    Attributes:
        name: One of `CODECS` except `auto`.
        library: FFmpeg's name of the encoder.
        pixel_format: FFmpeg's name of the pixel format that is encoded.
        settings: FFmpeg's options of the encoder, sorted by name.
    """

    name: str
    library: str
    pixel_format: str
    settings: tuple[tuple[str, str], ...]


def choose_encoder(info: FilmInfo, options: FilmOptions, *, webm: bool) -> tuple[Encoder, Color, list[str]]:
    """Choose encoder, pixel format and settings.

    Args:
        info: The film.
        options: `codec`, `crf` and `preset` are used.
        webm: Whether the result will be WebM, which holds AV1 only.

    Returns:
        The encoder, how the values of the result are to be understood, and notes for the user.

    Raises:
        UsageError: `crf` is out of the encoder's range.
    """
    name = options.codec
    if name == "auto":
        name = "av1" if webm else "x264" if info.color.bits <= 8 else "x265"
    color, notes = _result_color(name, info)
    settings = {
        "threads": str(min(usable_cores(), MOST_THREADS)),
        "color_range": "2" if color.full_range else "1",
        "colorspace": str(color.matrix_tag),
        "color_primaries": str(color.primaries),
        "color_trc": str(color.transfer),
    }
    if color.chroma_location and color.subsampling != (0, 0):
        settings["chroma_sample_location"] = color.chroma_location
    if name == "ffv1":
        settings |= {"level": "3", "slices": "12", "slicecrc": "1", "g": "1"}
    else:
        crf = QUALITY[name] if options.crf is None else options.crf
        if crf > HIGHEST_CRF[name]:
            raise UsageError(f"crf must be between 0 and {HIGHEST_CRF[name]} for {name}, not {crf:g}")
        preset = options.preset or PRESET[name]
        settings |= {"crf": f"{crf:g}", "preset": str(SVT_PRESETS[preset]) if name == "av1" else preset}
        settings |= _parameters(name, color.light, int(settings["threads"]))
    return Encoder(name, LIBRARIES[name], color.pixel_format, tuple(sorted(settings.items()))), color, notes


def _parameters(name: str, light: Light, threads: int) -> dict[str, str]:
    """Return parameters that FFmpeg passes on; it does not carry over the light levels of a film by itself."""
    if name == "x264":
        parts = [f"mastering-display={_mastering(light)}"] if light.primaries and light.luminance else []
        if light.max_cll is not None:
            parts.append(f"cll={light.max_cll},{light.max_fall or 0}")
        instructions = _instructions(machine())
        parts += [f"asm={instructions}"] if instructions else []
        return {"x264-params": ":".join(parts)} if parts else {}
    if name == "x265":
        parts = ["log-level=none", "open-gop=0", f"pools={threads}", "frame-threads=2"]
        if light.primaries and light.luminance:
            parts.append(f"master-display={_mastering(light)}")
        if light.max_cll is not None:
            parts.append(f"max-cll={light.max_cll},{light.max_fall or 0}")
        return {"x265-params": ":".join(parts)}
    parts = [f"lp={min(threads, 6)}"]
    if light.primaries and light.luminance:
        red, green, blue, white = _pairs(light, 1, "{:.6f}")
        low, high = (f"{float(value):.6f}" for value in light.luminance)
        parts.append(f"mastering-display=G({green})B({blue})R({red})WP({white})L({high},{low})")
    if light.max_cll is not None:
        parts.append(f"content-light={light.max_cll},{light.max_fall or 0}")
    return {"svtav1-params": ":".join(parts)}


def _instructions(host: Machine) -> str | None:
    """Return the instruction sets that x264 may use, `None` for all.

    Its code for AVX-512 (core 165) reads memory that was never written, so that results are not reproducible.
    """
    if not host.is_x86:
        return None
    if "avx512f" in host.features:
        return AVX2
    return None if "avx2" in host.features or sys.platform == "linux" else SSE


def _mastering(light: Light) -> str:
    """Write mastering data in units of 0.00002 and 0.0001 cd/m²."""
    assert light.luminance is not None
    red, green, blue, white = _pairs(light, 50_000, "{:.0f}")
    low, high = (round(value * 10_000) for value in light.luminance)
    return f"G({green})B({blue})R({red})WP({white})L({high},{low})"


def _pairs(light: Light, unit: int, form: str) -> list[str]:
    assert light.primaries is not None
    numbers = [form.format(float(value * unit)) for value in light.primaries]
    return [f"{x},{y}" for x, y in zip(numbers[::2], numbers[1::2], strict=True)]


def _result_color(name: str, info: FilmInfo) -> tuple[Color, list[str]]:
    """Return the color of the result: that of the film, with tags for what was assumed."""
    color, path = info.color, printable(info.path)
    notes: list[str] = []
    bits = next((depth for depth in DEPTHS[name] if depth >= color.bits), DEPTHS[name][-1])
    if bits < color.bits:
        notes.append(f"{path} has {color.bits} bits, of which {name} stores {bits}; ffv1 stores all")
    wide = f"{bits}le" if bits > 8 else ""
    if color.kind == "rgb" and name == "ffv1":
        form = f"gbrp{wide}" if wide else "bgr0"
        return replace(color, pixel_format=form, bits=bits, alpha=False, matrix=0, matrix_tag=0), notes
    if color.kind == "gray" and name == "ffv1":
        return replace(color, pixel_format=f"gray{wide}", bits=bits, alpha=False), notes
    subsampling = _subsampling(name, color)
    if color.kind == "rgb":
        notes.append(f"{path} has RGB colors, which are stored as YCbCr (BT.709); ffv1 stores RGB")
        if subsampling == (0, 0):
            notes.append("not all players show colors at full resolution (4:4:4); av1 stores half of it")
        color = replace(color, matrix=1, matrix_tag=1, full_range=False, chroma_location=None)
        if name == "av1":
            notes.append(f"{name} stores colors at half the resolution (4:2:0); x264, x265 and ffv1 do not")
    elif color.matrix_tag == 2:
        color = replace(color, matrix_tag=color.matrix)
    if name == "av1" and color.kind == "yuv" and color.subsampling not in ((1, 1), (2, 0), (2, 2)):
        notes.append(f"{name} stores colors at half the resolution (4:2:0); x264, x265 and ffv1 keep that of {path}")
    color = replace(
        color,
        pixel_format=f"yuv{SUBSAMPLINGS[subsampling]}p{wide}",
        bits=bits,
        subsampling=subsampling,
        kind="yuv",
        alpha=False,
        primaries=_primaries(color, info.height) if color.primaries == 2 else color.primaries,
    )
    return color, notes


def _subsampling(name: str, color: Color) -> tuple[int, int]:
    """Return the film's subsampling or, where encoders do not have it, a finer one; the result has more pixels."""
    if name == "av1" or color.kind == "gray":
        return (1, 1)
    across, down = color.subsampling
    if across == 0:
        return (0, 0)
    return (1, 0) if (across, down) == (1, 0) else (1, 1)


def _primaries(color: Color, height: int) -> int:
    """Return the primaries that players assume for the film, but might not for its enlarged frames."""
    if color.matrix in (9, 10):
        return 9
    if color.matrix in (5, 6):
        return 5 if height in (288, 576) else 6 if height in (240, 480, 486) else 1
    return 1
