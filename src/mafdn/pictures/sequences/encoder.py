"""Encoding pictures one after the other into one file."""

import contextlib
import math
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from mafdn._support.atomic import printable
from mafdn.errors import PictureError
from mafdn.pictures.encoding import EncodeOptions, Encoder
from mafdn.pictures.limits import Limits
from mafdn.pictures.picture import Format, Picture, Pixels
from mafdn.pictures.sequences.sequence import Timing
from mafdn.pictures.spill import LARGE
from mafdn.pictures.writing import part_of
from mafdn.pixels.rows import PIECE

if TYPE_CHECKING:
    from mafdn.pictures.sequences.join_avif import AvifJoiner
    from mafdn.pictures.sequences.join_png import PngJoiner
    from mafdn.pictures.sequences.join_tiff import TiffJoiner
    from mafdn.pictures.sequences.join_webp import WebpJoiner

    Joiner = AvifJoiner | PngJoiner | TiffJoiner | WebpJoiner


class SequenceEncoder:
    """Encodes one picture, the frames of an animation or the pages of a document, while they are being computed.

    Args:
        path: The file to write, which exists and is empty.
        kind: Its format.
        count: Number of pictures; more than one only for a format that holds several.
        timing: Timing of frames; `None` for pages.
        report_as: The name to use in errors where `path` is a temporary file.
        options: Quality and metadata.
        limits: Their time limit ends encoding.

    Attributes:
        bits: Bits per channel of the file; the most of any page.
    """

    def __init__(
        self,
        path: Path,
        kind: Format,
        *,
        count: int = 1,
        timing: Timing | None = None,
        report_as: Path | None = None,
        options: EncodeOptions | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._path, self._kind, self._count, self._timing = path, kind, count, timing if count > 1 else None
        self._report_as, self._options, self._limits = report_as or path, options or EncodeOptions(), limits or Limits()
        self._part = path if count == 1 or kind.name == "GIF" else part_of(path)
        self._encoder: Encoder | None = None
        self._joiner: Joiner | None = None
        self._file: BinaryIO | None = None
        self._kept: BinaryIO | None = None
        self._picture: Picture | None = None
        self._shape = (0, 0, 0)
        self._notes: dict[str, None] = {}
        self.bits = 0

    def begin(self, picture: Picture, *, width: int, height: int, repeated: bool = False) -> None:
        """Begin the next picture.

        Args:
            picture: The original, from which profile, metadata, depth and channels are taken.
            width: Columns of the result; the same for all frames.
            height: Rows of the result; the same for all frames.
            repeated: Whether `repeat` will be called after it.
        """
        self._picture, self._shape = picture, (height, width, picture.planes.shape[2])
        if self._joined:
            self._encoder = self._open_encoder(picture, None)
        else:
            self._encoder = self._encoder or self._open_encoder(picture, self._timing)
            self._forget()
            self._kept = _spool(self._path.parent) if repeated else None
        self.bits = max(self.bits, self._encoder.bits)

    def write(self, band: Pixels) -> None:
        """Hand over the next rows of the picture; as `Encoder.write`."""
        assert self._encoder is not None
        self._encoder.write(band)
        if self._kept is not None:
            with self._system_errors():
                self._kept.write(np.ascontiguousarray(band).data)

    def end(self) -> None:
        """End the picture; raises what `Encoder.finish` does, and `PictureError` if the file becomes too large."""
        if not self._joined:
            return
        assert self._encoder is not None
        self._notes |= dict.fromkeys(self._encoder.finish())
        self._encoder = None
        self._join()

    def repeat(self) -> None:
        """Write the frame before once more."""
        if self._joined:
            self._join()
            return
        assert self._encoder is not None
        assert self._kept is not None
        assert self._picture is not None
        dtype, (height, width, channels) = self._picture.planes.dtype, self._shape
        step = max(1, PIECE // (width * channels))
        with self._system_errors():
            self._kept.seek(0)
            for top in range(0, height, step):
                shape = min(step, height - top), width, channels
                data = self._kept.read(math.prod(shape) * dtype.itemsize)
                self._encoder.write(np.frombuffer(data, dtype).reshape(shape))

    def finish(self) -> tuple[str, ...]:
        """Wait until the file is complete; result and errors as for `Encoder.finish`."""
        self._forget()
        if self._encoder is not None:
            return self._encoder.finish()
        assert self._joiner is not None
        assert self._file is not None
        with self._system_errors():
            self._joiner.finish()
            self._file.close()
            self._part.unlink(missing_ok=True)
        return (*self._notes, *self._joiner.notes)

    def cancel(self) -> None:
        """Stop encoding as soon as possible; the file is left incomplete."""
        if self._encoder is not None:
            self._encoder.cancel()
        with contextlib.suppress(OSError):  # what made it necessary is already on its way
            self._forget()
            if self._file is not None:
                self._file.close()
            if self._joined:
                self._part.unlink(missing_ok=True)

    def _forget(self) -> None:
        """Release the frame that was kept for `repeat`."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @property
    def _joined(self) -> bool:
        """Whether each picture is encoded to a file of its own first."""
        return self._part != self._path

    def _open_encoder(self, picture: Picture, timing: Timing | None) -> Encoder:
        height, width, _ = self._shape
        return Encoder(
            picture,
            self._part,
            self._kind,
            width=width,
            height=height,
            report_as=self._report_as,
            options=self._options,
            limits=self._limits,
            timing=timing,
        )

    def _join(self) -> None:
        assert self._picture is not None
        with self._system_errors():
            if self._joiner is None:
                self._file = self._path.open("r+b")
                self._joiner = self._open_joiner(self._file)
            self._joiner.add(self._part, self._picture)

    def _open_joiner(self, file: BinaryIO) -> "Joiner":
        if self._timing is None:
            from mafdn.pictures.sequences.join_tiff import TiffJoiner

            return TiffJoiner(file, self._count)
        if self._kind.name == "PNG":
            from mafdn.pictures.sequences.join_png import PngJoiner

            return PngJoiner(file, self._timing)
        if self._kind.name == "AVIF":
            from mafdn.pictures.sequences.join_avif import AvifJoiner

            return AvifJoiner(file, self._timing)
        from mafdn.pictures.sequences.join_webp import WebpJoiner

        return WebpJoiner(file, self._timing, self._report_as)

    @contextlib.contextmanager
    def _system_errors(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise PictureError.from_os_error(f"cannot write {printable(self._report_as)}", error) from None


def _spool(folder: Path) -> BinaryIO:
    """A file in memory, or in `folder` once it is large."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(LARGE, dir=str(folder)))
