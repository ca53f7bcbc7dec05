"""A viewer process: reads headers, and draws parts of pictures and results for the page.

The server never decodes anything itself: a file that crashes or stalls a decoder only costs a viewer.
"""

import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mafdn._support.atomic import replacing
from mafdn._support.machine import available_mib
from mafdn._support.memory import is_out_of_memory
from mafdn.errors import PictureError, UsageError
from mafdn.pictures.encoding import Encoder, check_colors
from mafdn.pictures.formats import FORMATS
from mafdn.pictures.limits import Limits
from mafdn.pictures.metadata import with_new_size
from mafdn.pictures.picture import Picture
from mafdn.pictures.reading import read_header
from mafdn.pictures.spill import LARGE
from mafdn.upscaling.intended import intended_result
from mafdn.upscaling.output import choose_format, default_target
from mafdn.upscaling.preflight import check_encodable
from mafdn.upscaling.size import Size
from mafdn.web.options import build_options
from mafdn.web.processes.channel import become_child, describe_failure
from mafdn.web.processes.views import Window, encode, enlarged_window, reduced_window, thumbnail

MOST_OPEN = 4
"""Decoded pictures that are kept for the next parts of them."""
CROP_ROWS = 256
"""Rows that are cropped at a time."""


@dataclass(frozen=True)
class _Key:
    """What identifies a decoded picture."""

    path: Path
    modified: int
    frame: int | None


class Viewer:
    """Answers the requests of the server, one after the other.

    Args:
        limits: Limits for each picture.
        folder: Private folder for temporary files.
    """

    def __init__(self, limits: Limits, folder: Path) -> None:
        self._limits, self._folder = limits, folder
        self._open: OrderedDict[_Key, Picture] = OrderedDict()

    def inspect(self, message: dict[str, Any]) -> dict[str, Any]:
        """Read the header of an upload and check what can be known beforehand, as `mafdn upscale` does.

        Returns:
            `format`, `size`, `frames`, `sizes` (of all pictures, before and after; empty if the scale is unknown) and
            `target` (the name of the result).

        Raises:
            MafdnError: What upscaling the picture would raise.
        """
        options = build_options(message["options"], self._limits)
        header = read_header(Path(message["source"]), limits=options.limits, number=options.frame)
        size = options.requested_size or (Size(scale=message["scale"]) if message["scale"] else None)
        found: dict[str, Any] = {
            "format": header.format.name,
            "size": (header.width, header.height),
            "frames": 1,
            "sizes": [],
        }
        if size is None:
            choose_format(header, None, options.output)  # refuses what cannot be written so, at any size
            return found
        intended = intended_result(header, None, options.output, size, limits=options.limits, frame=options.frame)
        kind, sizes = intended.kind, intended.sizes
        target = default_target(header.path, size, sizes.after[0], kind)
        for width, height in set(sizes.after):
            check_encodable(target, kind, width=width, height=height)
        check_colors(target, header.code_points, kind)
        return {**found, "frames": sizes.count, "sizes": list(zip(sizes.before, sizes.after, strict=True))}

    def view(self, message: dict[str, Any]) -> bytes:
        """Draw a window of a result (`path`), or of a picture enlarged to `new_size`."""
        picture = self._picture(Path(message["path"]), message["frame"])
        window = Window(**message["window"])
        if message["new_size"] is None:
            part = reduced_window(picture.planes, _inside(window, picture.width, picture.height))
        else:
            width, height = message["new_size"]
            part = enlarged_window(picture.planes, (width, height), _inside(window, width, height))
        return encode(picture, part, self._folder, kind=message["kind"])

    def thumbnail(self, message: dict[str, Any]) -> bytes:
        """Draw a whole picture with at most `side` pixels a side."""
        picture = self._picture(Path(message["path"]), message["frame"])
        return encode(picture, thumbnail(picture.planes, message["side"]), self._folder, kind=message["kind"])

    def crop(self, message: dict[str, Any]) -> None:
        """Crop a PNG file to its middle, in place."""
        path, (width, height) = Path(message["path"]), message["size"]
        limits = self._limits.begun()
        picture = read_header(path, limits=limits, number=None).decode(limits=limits, scratch=self._folder)
        left, top = picture.width // 2 - width // 2, picture.height // 2 - height // 2
        named = with_new_size(picture, width=width, height=height, cropped=True)
        with replacing(path) as temporary:
            encoder = Encoder(named, temporary, FORMATS["PNG"], width=width, height=height, report_as=path)
            try:
                for start in range(0, height, CROP_ROWS):
                    rows = picture.planes[top + start : top + min(height, start + CROP_ROWS)]
                    encoder.write(np.ascontiguousarray(rows[:, left : left + width]))
            except BaseException:
                encoder.cancel()
                raise
            encoder.finish()

    def _picture(self, path: Path, frame: int | None) -> Picture:
        """Decode a picture, or take it from those that are open; large ones are in a temporary file."""
        try:
            key = _Key(path, path.stat().st_mtime_ns, frame)
        except OSError as error:
            raise PictureError.from_os_error(f"cannot read {path}", error) from None
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        while len(self._open) >= MOST_OPEN:
            self._open.popitem(last=False)
        limits = self._limits.begun()
        header = read_header(path, limits=limits, number=frame)
        free = available_mib()
        if header.format.whole and free is not None and header.pixel_bytes > max(LARGE, free * 2**19):
            raise PictureError(f"{path} is too large for a preview; download it")
        self._open[key] = header.decode(limits=limits, scratch=self._folder)
        return self._open[key]

    def drop(self) -> None:
        """Close all pictures."""
        self._open.clear()


def _inside(window: Window, width: int, height: int) -> Window:
    found = window.within(width, height)
    if found is None:
        raise UsageError(f"the window is outside of the picture of {width}x{height} pixels")
    return found


def main() -> None:
    """Answer until the server ends."""
    channel = become_child()
    messages = channel.messages()
    setup = next(messages, None)
    if setup is None:
        return
    with tempfile.TemporaryDirectory(dir=setup["folder"], prefix="viewer-") as folder:
        viewer = Viewer(Limits(**setup["limits"]), Path(folder))
        channel.send("ready")
        for message in messages:
            number = message["request"]
            try:
                if message["do"] == "inspect":
                    channel.send("answer", request=number, found=viewer.inspect(message))
                elif message["do"] == "crop":
                    viewer.crop(message)
                    channel.send("answer", request=number)
                elif message["do"] == "view":
                    channel.send("answer", payload=viewer.view(message), request=number)
                else:
                    channel.send("answer", payload=viewer.thumbnail(message), request=number)
            except Exception as error:
                if is_out_of_memory(error):
                    viewer.drop()
                channel.send("answer", request=number, failure=describe_failure(error))


if __name__ == "__main__":
    main()
