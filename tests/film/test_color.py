"""Colors against the equations of the standards, in double precision."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from av import VideoFrame

from mafdn.film.color import FromRgb, Samples, ToRgb
from mafdn.film.source.info import Color, Light

COEFFICIENTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
PLACES = {"left": (0, 0.5), "center": (0.5, 0.5), "topleft": (0, 0), "top": (0.5, 0), "bottomleft": (0, 1)}
SIZE = (48, 32)
Values = np.ndarray[Any, np.dtype[np.float64]]


def color_of(pixel_format: str, **changes: Any) -> Color:
    samples = Samples.of(pixel_format)
    plain = Color(
        pixel_format=pixel_format,
        bits=samples.bits,
        subsampling=samples.subsampling,
        kind=samples.kind,
        alpha=samples.alpha,
        full_range=False,
        matrix=1,
        matrix_tag=1,
        range_tag=1,
        primaries=1,
        transfer=1,
        chroma_location="left",
        light=Light(),
    )
    return replace(plain, **changes)


def decoded(planes: list[Values], bits: int, matrix: int, *, full: bool) -> Values:
    """YCbCr to R'G'B' in [0, 1], by ITU-T H.273."""
    red, blue = COEFFICIENTS[matrix]
    scale, top = 2.0 ** (bits - 8), 2.0**bits - 1
    y, u, v = (plane.astype(np.float64) for plane in planes)
    if full:
        y, u, v = y / top, (u - 128 * scale) / top, (v - 128 * scale) / top
    else:
        y, u, v = (y - 16 * scale) / (219 * scale), (u - 128 * scale) / (224 * scale), (v - 128 * scale) / (224 * scale)
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], axis=-1)


def encoded(rgb: Values, bits: int, matrix: int, *, full: bool) -> list[Values]:
    """R'G'B' in [0, 1] to YCbCr, not rounded."""
    red, blue = COEFFICIENTS[matrix]
    scale, top = 2.0 ** (bits - 8), 2.0**bits - 1
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    if full:
        return [y * top, u * top + 128 * scale, v * top + 128 * scale]
    return [(16 + 219 * y) * scale, (128 + 224 * u) * scale, (128 + 224 * v) * scale]


def frame_of(pixel_format: str, planes: list[Any], size: tuple[int, int] = SIZE) -> VideoFrame:
    frame = VideoFrame(*size, pixel_format)
    for plane, values in zip(frame.planes, planes, strict=True):
        dtype = np.uint8 if Samples.of(pixel_format).bits <= 8 else np.uint16
        rows = np.zeros((plane.height, plane.line_size // dtype(0).itemsize), dtype)
        rows[:, : plane.width] = values
        plane.update(rows.tobytes())
    return frame


def planes_of(frame: VideoFrame) -> list[Values]:
    dtype = np.uint8 if Samples.of(frame.format.name).bits <= 8 else np.uint16
    return [np.frombuffer(bytes(p), dtype).reshape(p.height, -1)[:, : p.width].astype(np.float64) for p in frame.planes]


def patches(number: int) -> Values:
    corners = [[n >> 2 & 1, n >> 1 & 1, n & 1] for n in range(8)]
    return np.concatenate([np.array(corners, np.float64), np.random.default_rng(1).random((number - 8, 3))])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", sorted(COEFFICIENTS))
@pytest.mark.parametrize(
    "form", ["yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv420p10le", "yuv422p12le", "yuv444p10le", "yuv420p16le"]
)
def test_flat_colors_are_exact_to_half_a_code_value_in_both_directions(form: str, matrix: int, full: bool) -> None:
    color = color_of(form, matrix=matrix, full_range=full)
    to_rgb, from_rgb = ToRgb(color, SIZE), FromRgb(color, form, SIZE)
    white = 255 if color.bits == 8 else 65_535
    for rgb in patches(24):
        yuv = [np.clip(np.rint(value), 0, 2**color.bits - 1) for value in encoded(rgb, color.bits, matrix, full=full)]
        got = to_rgb(frame_of(form, yuv))
        assert got.shape == (SIZE[1], SIZE[0], 3)
        assert got.dtype == (np.uint8 if color.bits == 8 else np.uint16)
        want = np.clip(decoded(yuv, color.bits, matrix, full=full), 0, 1) * white
        within = 0.52 if color.bits == 8 else 1 if color.bits == 16 else 2
        assert np.abs(got - want).max() < within, (rgb, got[0, 0], want)

        pixels = np.empty_like(got)
        pixels[:] = np.rint(rgb * white)
        back = planes_of(from_rgb(pixels))
        exact = encoded(pixels[0, 0] / white, color.bits, matrix, full=full)
        for plane, value in zip(back, exact, strict=True):
            # The scaler's chroma of 8 bits and full range is rounded twice.
            within = 1.06 if full and color.bits == 8 else 0.54
            assert np.abs(plane - np.clip(value, 0, 2**color.bits - 1)).max() < within, (rgb, value)


@pytest.mark.parametrize("place", sorted(PLACES))
@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv420p10le"])
def test_chroma_is_taken_from_and_put_to_its_position(form: str, place: str) -> None:
    width, height = 64, 48
    right, down = PLACES[place]
    color = color_of(form, chroma_location=place)
    scale, white = 2 ** (color.bits - 8), 255 if color.bits == 8 else 65_535
    tall = Samples.of(form).subsampling[1] == 1

    def ramps(x: Values, y: Values) -> list[Values]:
        return [(100 + 0.5 * x + 0.4 * y) * scale, (150 - 0.5 * x - 0.4 * y) * scale]

    rows, columns = np.mgrid[0 : height // 2 if tall else height, 0 : width // 2].astype(np.float64)
    small = ramps(columns * 2 + right, rows * 2 + down if tall else rows)
    full_rows, full_columns = np.mgrid[0:height, 0:width].astype(np.float64)
    wide = ramps(full_columns, full_rows)
    luma = np.full((height, width), 128.0 * scale)
    want = np.clip(decoded([luma, *wide], color.bits, 1, full=False), 0, 1) * 255

    frame = frame_of(form, [luma, *(np.rint(plane) for plane in small)], (width, height))
    got = ToRgb(color, (width, height))(frame) * (255 / white)
    difference = (got - want)[8:-8, 8:-8].mean((0, 1))
    # Half a pixel too far to one side is 0.4 to 0.8 here.
    assert np.abs(difference).max() < 0.15

    pixels = np.rint(want * (white / 255)).astype(np.uint8 if white == 255 else np.uint16)
    back = planes_of(FromRgb(color, form, (width, height))(pixels))
    for plane, exact in zip(back[1:], small, strict=True):
        assert abs(float((plane - exact)[4:-4, 4:-4].mean())) / scale < 0.1


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("form", ["gray", "gray10le", "gray12le"])
def test_gray_is_exact(form: str, full: bool) -> None:
    color = color_of(form, full_range=full)
    white = 255 if color.bits == 8 else 65_535
    for value in (0, 40, 128, 200, 2**color.bits - 1):
        got = ToRgb(color, SIZE)(frame_of(form, [value]))
        scale = 2 ** (color.bits - 8)
        unit = value / (2**color.bits - 1) if full else (value - 16 * scale) / (219 * scale)
        assert np.abs(got - np.clip(unit, 0, 1) * white).max() <= 1
        back = planes_of(FromRgb(color, form, SIZE)(got))
        assert np.abs(back[0] - (value if full else np.clip(value, 16 * scale, 235 * scale))).max() <= 0.5


@pytest.mark.parametrize(("form", "stored"), [("gbrp", "bgr0"), ("rgb24", "bgr0"), ("gbrp10le", "gbrp10le")])
def test_rgb_stays_as_it_is(form: str, stored: str) -> None:
    color = color_of(form, full_range=True, matrix=0)
    top = 2**color.bits - 1
    values = np.random.default_rng(0).integers(0, top + 1, (SIZE[1], SIZE[0], 3))
    planes = [values.reshape(SIZE[1], -1)] if form == "rgb24" else [values[..., n] for n in (1, 2, 0)]
    frame = VideoFrame(*SIZE, form)
    for plane, part in zip(frame.planes, planes, strict=True):
        dtype = np.uint8 if color.bits == 8 else np.uint16
        rows = np.zeros((plane.height, plane.line_size // dtype(0).itemsize), dtype)
        rows[:, : part.shape[1]] = part
        plane.update(rows.tobytes())
    got = ToRgb(color, SIZE)(frame)
    assert np.abs(got - values * ((255 if top == 255 else 65_535) / top)).max() <= 0.5
    back = ToRgb(color, SIZE)(FromRgb(color, stored, SIZE)(got))
    assert np.array_equal(back, got)


@pytest.mark.parametrize("size", [SIZE, (64, 48), (63, 37)])
@pytest.mark.parametrize("form", ["gbrap", "gbrap10le", "gbrap12le", "gbrap14le", "gbrap16le", "gbrap16be", "rgba64le"])
def test_rgb_stays_as_it_is_without_its_alpha(form: str, size: tuple[int, int]) -> None:
    color = color_of(form, full_range=True, matrix=0)
    top = 2**color.bits - 1
    values = np.random.default_rng(0).integers(0, top + 1, (size[1], size[0], 4))
    packed = form == "rgba64le"
    planes = [values.reshape(size[1], -1)] if packed else [values[..., n] for n in (1, 2, 0, 3)]
    frame = VideoFrame(*size, form)
    for plane, part in zip(frame.planes, planes, strict=True):
        dtype = np.dtype("u1" if color.bits == 8 else ">u2" if form.endswith("be") else "<u2")
        rows = np.zeros((plane.height, plane.line_size // dtype.itemsize), dtype)
        rows[:, : part.shape[1]] = part
        plane.update(rows.tobytes())
    got = ToRgb(color, size)(frame)
    assert np.abs(got - values[..., :3] * ((255 if top == 255 else 65_535) / top)).max() < 0.51  # float32


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (63, 37), (641, 3), (16, 1)])
@pytest.mark.parametrize("form", ["yuv420p", "yuv420p10le", "yuv410p", "gray", "gbrp", "gbrp12le", "nv12", "p010le"])
def test_odd_and_tiny_sizes(form: str, size: tuple[int, int]) -> None:
    color = color_of(form)
    frame = VideoFrame(*size, form)
    for plane in frame.planes:
        plane.update(b"\x80" * plane.buffer_size)
    pixels = ToRgb(color, size)(frame)
    assert pixels.shape == (size[1], size[0], 3)
    for target in ("yuv420p", "yuv444p", "yuv420p10le", "gbrp10le", "gray"):
        made = FromRgb(color, target, size)(pixels)
        assert (made.width, made.height, made.format.name) == (*size, target)


def test_frames_of_another_size_or_format_are_made_to_fit() -> None:
    to_rgb = ToRgb(color_of("yuv420p"), SIZE)
    for form, size in (("yuv420p", SIZE), ("yuv422p", (24, 16)), ("yuv420p", SIZE), ("gray", (100, 50))):
        frame = frame_of(form, [126] + [128] * (len(VideoFrame(*size, form).planes) - 1), size)
        pixels = to_rgb(frame)
        assert pixels.shape == (SIZE[1], SIZE[0], 3)
        assert np.abs(pixels.astype(int) - 128).max() <= 1


def test_ten_bits_are_all_used() -> None:
    form = "yuv420p10le"
    color = color_of(form)
    luma = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0]) % (940 - 64 + 1) + 64
    frame = frame_of(form, [luma, 512, 512])
    pixels = ToRgb(color, SIZE)(frame)
    assert np.abs(pixels - ((luma - 64) * (65_535 / 876))[..., None]).max() <= 2
    assert np.array_equal(planes_of(FromRgb(color, form, SIZE)(pixels))[0], luma)
