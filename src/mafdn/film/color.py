"""Convert decoded frames to RGB, and results to the pixel format that is encoded.

FFmpeg's scaler converts 8-bit formats (within half a code value) and interpolates chroma, for whose position it is
told. For more bits, where it scales white by a shift and is up to one code value of 8 bits off, the matrix is applied
here, in float32.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
from av import VideoFrame
from av.filter import Graph
from av.video.format import VideoFormat
from numpy.typing import NDArray

from mafdn.film.frame import Pixels
from mafdn.film.source.info import Color

Plane = NDArray[Any]
SCALER = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact:sws_dither=none"
"""Without these flags, FFmpeg repeats chroma samples and rounds less exactly."""
MATRICES = {1: "bt709", 4: "fcc", 5: "smpte170m", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
"""Matrices by their number in ITU-T H.273, with the name that FFmpeg's scaler gives them; 10 stands in for 9."""
UNTAGGED = 2
"""The number for "unspecified" of matrix, primaries and transfer in ITU-T H.273."""
WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020": (0.2627, 0.0593),
}
"""Share of red and of blue in luma."""
DEPTHS = (8, 9, 10, 12, 14, 16)
"""Bits per sample for which FFmpeg has formats with and without chroma subsampling."""
ROWS_AT_A_TIME = 32
"""Rows that are converted together, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class Samples:
    """How the samples of a frame are stored.

    Attributes:
        kind: `yuv`, `rgb` or `gray`.
        bits: Bits per sample.
        subsampling: log2 of the horizontal and vertical chroma subsampling.
        alpha: Whether there is transparency.
    """

    kind: str
    bits: int
    subsampling: tuple[int, int]
    alpha: bool

    @staticmethod
    @cache
    def of(pixel_format: str) -> "Samples":
        """Look up a pixel format by FFmpeg's name."""
        form = VideoFormat(pixel_format, 64, 64)
        parts = form.components
        rgb = form.is_rgb or form.has_palette or form.is_bayer or pixel_format.startswith("xyz")
        kind = "rgb" if rgb else "gray" if len(parts) < 3 else "yuv"
        chroma = (form.chroma_width(64), form.chroma_height(64)) if kind == "yuv" else (64, 64)
        return Samples(
            kind=kind,
            bits=8 if form.has_palette or form.is_bit_stream else max(part.bits for part in parts),
            subsampling=(64 // chroma[0] // 2, 64 // chroma[1] // 2),
            alpha=any(part.is_alpha for part in parts),
        )


class ToRgb:
    """Converts frames of one film to RGB; frames of several formats and sizes may alternate.

    Args:
        color: Matrix, range and chroma position; the pixel format is taken from each frame.
        size: Width and height of the pixels; frames of another size (in damaged or spliced films) are scaled.
        crop: Pixels that are cut off at the left, top, right and bottom.
    """

    def __init__(self, color: Color, size: tuple[int, int], *, crop: tuple[int, int, int, int] = (0, 0, 0, 0)) -> None:
        self.color = color
        self.size = size
        self._crop = crop
        self._graphs: dict[tuple[str, int, int], tuple[Samples, _Scaler]] = {}

    def __call__(self, frame: VideoFrame) -> Pixels:
        """Return (H, W, 3) RGB: uint8 for up to 8 bits, else uint16 over the full range."""
        pixels = self._uncropped(frame)
        left, top, right, bottom = self._crop
        if any(self._crop):
            pixels = np.ascontiguousarray(pixels[top : len(pixels) - bottom, left : pixels.shape[1] - right])
        return pixels

    def _uncropped(self, frame: VideoFrame) -> Pixels:
        key = (frame.format.name, frame.width, frame.height)
        if key not in self._graphs:
            samples = Samples.of(frame.format.name)
            self._graphs[key] = samples, self._scaler(samples, key)
        samples, scaler = self._graphs[key]
        scaled = scaler(frame)
        full = self.color.full_range or frame.format.name.startswith("yuvj")
        if scaled.format.name == "rgb24":
            return np.ascontiguousarray(_plane(scaled, 0, 3))
        if self.color.bits <= 8:
            return _to_rgb(scaled, self.color, samples, full).astype(np.uint8)
        return _to_rgb(scaled, self.color, samples, full)

    def _scaler(self, samples: Samples, key: tuple[str, int, int]) -> "_Scaler":
        form, width, height = key
        full = self.color.full_range or form.startswith("yuvj")
        wide = self.color.bits > 8
        if samples.kind == "yuv":
            target = _yuv444(samples.bits, full) if wide else "rgb24"
        elif samples.kind == "rgb":
            planes = "gbrap" if samples.alpha else "gbrp"  # dropping alpha, the scaler copies half of each row
            target = f"{planes}{_depth(samples.bits)}le" if wide else "rgb24"
        else:
            target = f"gray{_depth(samples.bits)}le" if samples.bits > 8 else "gray"
        matrix = MATRICES.get(self.color.matrix, "bt709")
        options = [f"in_color_matrix={matrix}", f"out_color_matrix={matrix}"] if samples.kind == "yuv" else []
        options.append(f"in_range={_range(full)}:out_range={_range(full or target == 'rgb24')}")
        if samples.subsampling != (0, 0):
            options.append(f"in_chroma_loc={self.color.chroma_location or 'left'}")
        left, top, right, bottom = self._crop
        whole = self.size[0] + left + right, self.size[1] + top + bottom
        return _Scaler(form, (width, height), whole, options, target)


class FromRgb:
    """Converts results to frames of one pixel format.

    Args:
        color: Matrix, range and chroma position of the result.
        pixel_format: FFmpeg's name of the pixel format.
        size: Width and height of the results.
    """

    def __init__(self, color: Color, pixel_format: str, size: tuple[int, int]) -> None:
        self.color = color
        self.pixel_format = pixel_format
        self.size = size
        self.samples = Samples.of(pixel_format)
        matrix = MATRICES.get(color.matrix, "bt709")
        self.weights = WEIGHTS[matrix]
        place = [f"out_chroma_loc={color.chroma_location or 'left'}"] if self.samples.subsampling != (0, 0) else []
        span = _range(color.full_range)
        direct = [f"in_range=pc:out_range={span}:in_color_matrix={matrix}:out_color_matrix={matrix}", *place]
        full = [f"in_range={span}:out_range={span}:in_color_matrix={matrix}:out_color_matrix={matrix}", *place]
        self._direct = _Scaler("rgb24", size, size, direct, pixel_format)
        self._middle = _yuv444(self.samples.bits, color.full_range)
        self._second = _Scaler(self._middle, size, size, full, pixel_format)

    def __call__(self, pixels: Pixels) -> VideoFrame:
        """Convert (H, W, 3) RGB, uint8 or uint16 over the full range."""
        if self.samples.kind == "rgb":
            return self._rgb(pixels)
        if self.samples.kind == "gray":
            return self._gray(pixels)
        if pixels.dtype == np.uint8 and self.samples.bits == 8:
            return self._direct(_packed(pixels))
        exact = self.samples.subsampling == (0, 0)
        middle = VideoFrame(*self.size, self.pixel_format if exact else self._middle)
        _store_yuv(pixels, middle, self.weights, full=self.color.full_range)
        return middle if exact else self._second(middle)

    def _rgb(self, pixels: Pixels) -> VideoFrame:
        if self.samples.bits == 8:
            return self._direct(_packed(pixels if pixels.dtype == np.uint8 else _rounded_to(pixels, 8)))
        frame = VideoFrame(*self.size, self.pixel_format)
        values = _rounded_to(pixels, self.samples.bits)
        for plane, channel in enumerate((1, 2, 0)):
            _plane(frame, plane)[:] = values[..., channel]
        return frame

    def _gray(self, pixels: Pixels) -> VideoFrame:
        frame = VideoFrame(*self.size, self.pixel_format)
        low, span = _luma_range(self.samples.bits, full=self.color.full_range)
        unit = pixels.astype(np.float32) * np.float32(span / _white(pixels.dtype))
        red, blue = self.weights
        _plane(frame, 0)[:] = np.rint(unit @ np.array([red, 1 - red - blue, blue], np.float32) + np.float32(low))
        return frame


class _Scaler:
    """FFmpeg's scaler between two formats."""

    def __init__(
        self, form: str, size: tuple[int, int], new_size: tuple[int, int], options: list[str], target: str
    ) -> None:
        self._arguments = form, size, new_size, options, target
        self._graph: Graph | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """Convert a frame; its tags do not matter, and its time stamp is lost."""
        graph = self._graph = self._graph or self._built()
        frame.color_primaries = frame.color_trc = UNTAGGED  # with numbers of damaged frames, it would fail
        pts, frame.pts = frame.pts, 0
        graph.vpush(frame)
        frame.pts = pts
        return graph.vpull()

    def _built(self) -> Graph:
        form, (width, height), (new_width, new_height), options, target = self._arguments
        graph = Graph()
        graph.threads = 1
        scale = ":".join([f"w={new_width}:h={new_height}", SCALER, *options])
        nodes = (
            graph.add("buffer", f"video_size={width}x{height}:pix_fmt={form}:time_base=1/1:pixel_aspect=1/1"),
            graph.add("scale", scale),
            graph.add("format", target),
            graph.add("buffersink"),
        )
        graph.link_nodes(*nodes).configure()
        return graph


def _to_rgb(frame: VideoFrame, color: Color, samples: Samples, full: bool) -> Pixels:
    """Apply the matrix to a frame with full chroma resolution."""
    bits = Samples.of(frame.format.name).bits
    result = np.empty((frame.height, frame.width, 3), np.uint16)
    white = 255 if color.bits <= 8 else 65_535
    planes = [_plane(frame, number) for number in range(len(frame.planes))]
    low, span = _luma_range(bits, full=full)
    middle, chroma_span = 2 ** (bits - 1), _chroma_span(bits, full=full)
    red, blue = WEIGHTS[MATRICES.get(color.matrix, "bt709")]
    green = 1 - red - blue
    for top in range(0, frame.height, ROWS_AT_A_TIME):
        rows = slice(top, top + ROWS_AT_A_TIME)
        if samples.kind == "rgb":
            values = [planes[n][rows] * np.float32(white / (2**bits - 1)) for n in (2, 0, 1)]
        else:
            y = (planes[0][rows] - np.float32(low)) * np.float32(white / span)
            if samples.kind == "gray":
                values = [y, y, y]
            else:
                u, v = ((planes[n][rows] - np.float32(middle)) * np.float32(white / chroma_span) for n in (1, 2))
                r = y + np.float32(2 * (1 - red)) * v
                b = y + np.float32(2 * (1 - blue)) * u
                values = [r, (y - np.float32(red) * r - np.float32(blue) * b) / np.float32(green), b]
        for channel, value in enumerate(values):
            result[rows, :, channel] = np.rint(np.clip(value, 0, white))
    return result


def _store_yuv(pixels: Pixels, frame: VideoFrame, weights: tuple[float, float], *, full: bool) -> None:
    """Apply the inverse matrix and store the planes in a frame with full chroma resolution."""
    bits = Samples.of(frame.format.name).bits
    planes = [_plane(frame, number) for number in range(3)]
    low, span = _luma_range(bits, full=full)
    middle, chroma_span = 2 ** (bits - 1), _chroma_span(bits, full=full)
    red, blue = weights
    unit, top_value = np.float32(1 / _white(pixels.dtype)), 2**bits - 1
    for top in range(0, len(pixels), ROWS_AT_A_TIME):
        rows = slice(top, top + ROWS_AT_A_TIME)
        r, g, b = (pixels[rows, :, channel] * unit for channel in range(3))
        y = np.float32(red) * r + np.float32(1 - red - blue) * g + np.float32(blue) * b
        u = (b - y) * np.float32(chroma_span / 2 / (1 - blue)) + np.float32(middle)
        v = (r - y) * np.float32(chroma_span / 2 / (1 - red)) + np.float32(middle)
        for plane, value in zip(planes, (y * np.float32(span) + np.float32(low), u, v), strict=True):
            plane[rows] = np.rint(np.clip(value, 0, top_value))


def _plane(frame: VideoFrame, number: int, channels: int = 1) -> Plane:
    """View a plane of a frame as (H, W), or (H, W, channels) if it is packed."""
    plane = frame.planes[number]
    buffer = cast(Any, plane)  # it is one, but numpy's types do not know
    dtype = np.dtype(np.uint8 if Samples.of(frame.format.name).bits <= 8 else "<u2")
    shape, strides = (plane.height, plane.width), (plane.line_size, channels * dtype.itemsize)
    if channels == 1:
        return np.ndarray(shape, dtype, buffer, strides=strides)
    return np.ndarray((*shape, channels), dtype, buffer, strides=(*strides, dtype.itemsize))


def _packed(pixels: Pixels) -> VideoFrame:
    """Copy uint8 RGB to a frame, whose rows are padded: FFmpeg may read beyond their ends."""
    frame = VideoFrame(pixels.shape[1], pixels.shape[0], "rgb24")
    _plane(frame, 0, 3)[:] = pixels
    return frame


def _rounded_to(pixels: Pixels, bits: int) -> Pixels:
    """Scale values over the full range of their type to `bits` bits."""
    top = 2**bits - 1
    if top == _white(pixels.dtype):
        return pixels
    scaled = np.rint(pixels * np.float64(top / _white(pixels.dtype)))
    return scaled.astype(np.uint8 if bits <= 8 else np.uint16)


def _white(dtype: np.dtype[Any]) -> int:
    return int(np.iinfo(dtype).max)


def _luma_range(bits: int, *, full: bool) -> tuple[float, float]:
    """Return black, and white minus black."""
    return (0, 2**bits - 1) if full else (16 * 2 ** (bits - 8), 219 * 2 ** (bits - 8))


def _chroma_span(bits: int, *, full: bool) -> float:
    return 2**bits - 1 if full else 224 * 2 ** (bits - 8)


def _yuv444(bits: int, full: bool) -> str:
    """Return the format in which chroma is interpolated: with 16 bits, unless the scaler's shift would be wrong."""
    if bits <= 8 and full:
        return "yuv444p"
    return "yuv444p16le" if not full else f"yuv444p{_depth(bits)}le"


def _depth(bits: int) -> int:
    return next(depth for depth in DEPTHS[1:] if depth >= min(bits, 16))


def _range(full: bool) -> str:
    return "pc" if full else "tv"
