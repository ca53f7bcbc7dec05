"""What is checked about a result before any work."""

from pathlib import Path

import pytest

from mafdn.errors import PictureError
from mafdn.pictures.formats import FORMATS
from mafdn.upscaling.preflight import check_encodable


def test_sizes_beyond_a_format_are_refused() -> None:
    check_encodable(Path("a.webp"), FORMATS["WebP"], width=16_383, height=16_383)
    with pytest.raises(PictureError, match="16383"):
        check_encodable(Path("a.webp"), FORMATS["WebP"], width=16_384, height=10)
