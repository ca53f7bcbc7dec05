"""The table of published figures."""

from pathlib import Path

import pytest

from mafdn.compare.published import read_published
from mafdn.errors import ConfigError


def test_every_published_figure_has_a_source() -> None:
    figures = read_published()
    assert {figure.like for figure in figures} == {"mafdn", "afan", "ddistill", "imdn"}
    assert all(figure.source for figure in figures)
    imdn = {figure.scale: figure for figure in figures if figure.like == "imdn"}
    assert imdn.keys() == {2, 3, 4}
    assert imdn[4].scores["Set14"] == (28.58, 0.7811)
    assert next(f for f in figures if f.like == "mafdn").inferred


@pytest.mark.parametrize(
    "text",
    [
        "network = 3",
        "[[network]]\nname = 'a'\n[network.x4]\nparameters = 1",
        "[[network]]\nnme = 'a'",
        "[[network]]\nname = 'a'\nsource = 'b'\n[network.x4]\nparameters = nan",
        "[[network]]\nname = 'a'\nsource = 'b'\n[network.x4]\nmulti_adds = -3",
        "[[network]]\nname = 'a'\nsource = 'b'\n[network.x4]\nmultiadds = 3e9",
        "[[network]]\nname = 'a'\nsource = 'b'\n[network.x4]\nSet5 = [30.0, inf]",
        "[",
        "x = \xff",
    ],
)
def test_an_invalid_table_of_published_figures_gives_a_one_line_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        read_published(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
