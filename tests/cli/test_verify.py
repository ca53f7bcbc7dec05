"""`mafdn verify`: what it prints, and its exit codes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mafdn
import mafdn.api
from tests.conftest import Run
from tests.support import draw, failed
from tests.upscaling.conftest import Networks
from tests.verification.support import save, smooth


@pytest.fixture
def _repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upscale without a network, which would take seconds to open."""

    def networks(*_: object) -> Networks:
        return Networks()

    monkeypatch.setattr(mafdn.api, "network_set", networks)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A JPEG file, and a bicubic enlargement of it."""
    source = save(tmp_path / "photo.jpg", smooth(120, 160), quality=75)
    image = Image.open(source).resize((320, 240), Image.Resampling.BICUBIC)
    image.save(tmp_path / "large.png")
    return source, tmp_path / "large.png"


def test_the_report(cli: Run, pair: tuple[Path, Path]) -> None:
    code, out, err = cli("verify", *pair)
    assert (code, err) == (0, "")
    for words in ("mean difference", "largest difference", "PSNR", "64x64 block", "DCT coefficients met", "chroma"):
        assert words in out
    assert out.startswith(f"{pair[1]}: 320x240, reduced to 160x120 and compared with {pair[0]}\n")
    assert cli("verify", *pair, "--quiet") == (0, "", "")


def test_json_is_what_python_returns(cli: Run, pair: tuple[Path, Path]) -> None:
    code, out, err = cli("verify", *pair, "--json")
    assert (code, err) == (0, "")
    assert mafdn.Verification.parse(json.loads(out)) == mafdn.verify(*pair)


def test_the_same_picture(cli: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, _ = cli("verify", pair[0], pair[0])
    assert (code, "no difference" in out, "100.00 %" in out) == (0, True, True)
    png = draw(tmp_path / "a.png")
    assert "coefficients" not in cli("verify", png, png)[1]


@pytest.mark.parametrize(
    ("option", "beyond", "within"),
    [
        ("--max-mean", 0, 9),
        ("--max-block", 0, 9),
        ("--min-psnr", 99, 20),
        ("--min-share", 100, 90),
        ("--min-nonzero-share", 100, 50),
    ],
)
def test_bounds(cli: Run, pair: tuple[Path, Path], option: str, beyond: float, within: float) -> None:
    changed = np.array(Image.open(pair[1]))
    changed[100:132, 100:132] = 255 - changed[100:132, 100:132]
    result = save(pair[1].with_name("changed.png"), changed)
    assert cli("verify", pair[0], result, option, within, "-q") == (0, "", "")
    failed(cli("verify", pair[0], result, option, beyond, "-q"), 1, "is not faithful", option)
    code, out, err = cli("verify", pair[0], result, option, beyond, "--json")
    assert (code, json.loads(out)["size"], err.count("\n")) == (1, [160, 120], 1)


def test_invalid_input_gives_one_line(cli: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(pair[0].read_bytes()[:900])
    png = draw(tmp_path / "a.png", size=(30, 30))
    failed(cli("verify", pair[0], tmp_path / "none.png"), 1, "none.png")
    failed(cli("verify", tmp_path / "bad.jpg", pair[1]), 1, "bad.jpg")
    failed(cli("verify", pair[0], png), 1, "their sides have different ratios")
    failed(cli("verify", png, png, "--min-share", 90), 2, "--min-share is for JPEG files", "a.png")
    failed(cli("verify", pair[0], pair[1], "--min-share", 101), 2, "--min-share")
    failed(cli("verify", pair[0], pair[1], "--max-pixels", 9), 1, "the limit is 9 (--max-pixels)")
    failed(cli("verify", pair[0]), 2, "RESULT")
    failed(cli("verify", "https://example.org/a.png", pair[1]), 2, "URLs are not read")
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0\0\0\x18ftypisom" + bytes(400))
    for first, second in ((film, film), (pair[0], film)):
        failed(cli("verify", first, second), 1, "film.mp4 is a film, and films cannot be verified")
    assert cli("verify", f"file://{pair[0]}", f"'{pair[1]}'", "-q")[0] == 0


@pytest.mark.usefixtures("_repeat")
def test_upscale_prints_one_line(cli: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, err = cli("upscale", pair[0], tmp_path / "out.png", "-s", 2, "--verify")
    assert (code, err) == (0, "")
    assert "\nverified: mean difference 0." in out, out
    assert re.search(r"\d % of the JPEG's coefficients \(\d+\.\d+ % of those not 0\) met\n", out)
    code, out, _ = cli("upscale", pair[0], tmp_path / "out.png", "-s", 2, "--verify", "--json", "--overwrite")
    found = mafdn.verify(pair[0], tmp_path / "out.png")
    assert mafdn.Verification.parse(json.loads(out)["verification"]) == found


@pytest.mark.usefixtures("_repeat")
def test_folders_print_one_line(cli: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    out_folder, report = tmp_path / "out", tmp_path / "report.json"
    command = ("upscale", *pair, "-o", out_folder, "--width", 200, "--verify", "--report", report)
    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert "verified 2 pictures: mean difference" in out
    assert "JPEG coefficients met (least: " in out
    stored = json.loads(report.read_text())
    assert stored["settings"]["verify"] is True
    first = {Path(item["source"]).name: item["verification"] for item in stored["pictures"]}
    assert mafdn.Verification.parse(first["photo.jpg"]) == mafdn.verify(pair[0], out_folder / "photo_200x150.jpg")
    assert first["large.png"]["coefficients"] is None
    assert "verified 2 pictures" in cli(*command)[1], "the manifest has the figures of results that are kept"
