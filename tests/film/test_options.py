from typing import Any

import pytest

from mafdn.errors import UsageError
from mafdn.film.options import FilmOptions


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"codec": "h264"}, "unknown codec 'h264'; choose from auto, x264, x265, av1, ffv1"),
        ({"preset": "fastest"}, "unknown preset 'fastest'; choose from ultrafast,"),
        ({"container": "avi"}, "unknown container 'avi'; choose from mp4, mov, mkv, webm, ts"),
        ({"crf": 64}, "crf must be between 0 and 63, not 64"),
        ({"crf": "18"}, "crf must be a number"),
        ({"codec": "ffv1", "crf": 3}, "ffv1 is lossless and has no crf"),
        ({"codec": "ffv1", "preset": "fast"}, "ffv1 has no presets"),
        ({"start": -1}, "start must be between 0 and"),
        ({"start": 5, "end": 5}, r"end \(5 s\) must be later than start \(5 s\)"),
        ({"end": 0}, r"end \(0 s\) must be later than start \(0 s\)"),
        ({"deinterlace": "yes"}, "deinterlace must be True, False or 'fields', not 'yes'"),
        ({"segment_frames": 0}, "segment_frames must be between 1 and 100000, not 0"),
        ({"upscale": None}, "upscale must be a mafdn.UpscaleOptions"),
    ],
)
def test_wrong_values_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FilmOptions(**given)


def test_numbers_of_any_type_are_taken() -> None:
    options = FilmOptions(crf=20, start=1, end=2.5, segment_frames=3)
    assert (options.crf, options.start, options.end, options.segment_frames) == (20, 1, 2.5, 3)
