"""Names of results: unique, independent of order, and never that of a source."""

import os
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mafdn.errors import UsageError
from mafdn.pictures.formats import FORMATS
from mafdn.upscaling.folder.naming import NameRequest, assign, place
from mafdn.upscaling.pattern import LONGEST_NAME, Pattern
from mafdn.upscaling.size import Size

X4 = Size(scale=4)
STEMS = st.sampled_from(["a", "A", "a_x4", "a_png", "a_x4_x4", "e\u0301", "\u00e9", "ß", "ss", "\udcff", "x" * 250, ""])
NAMES = st.builds("".join, st.tuples(STEMS, st.sampled_from([".png", ".PNG", ".jpg", ".jpeg", "", ".b"])))
PATHS = st.builds(Path, st.just("/nowhere"), st.sampled_from(["", "sub", "Sub"]), NAMES.filter(bool))


def request(path: Path, pattern: Pattern, *, folder: Path | None = None) -> NameRequest:
    kind = FORMATS["PNG"]

    def name(extra: str) -> str:
        return pattern.name(path, X4, (40, 30), kind, extra=extra)

    return NameRequest(source=path, relative=path.relative_to("/nowhere"), folder=folder or path.parent, name=name)


@given(
    st.sets(PATHS, min_size=1, max_size=14),
    st.sampled_from(["{stem}_x{scale}{ext}", "{stem}{ext}", "{stem}.png", "{stem}_{width}x{height}{ext}"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_results_never_share_a_name_or_take_that_of_a_source(
    sources: set[Path], text: str, flat: bool, shuffled: random.Random
) -> None:
    folder = Path("/nowhere/out") if flat else None
    pictures = [request(path, Pattern(text), folder=folder) for path in sorted(sources)]
    targets = assign(pictures, reserved=sources)
    assert targets.keys() == sources
    places = [place(target) for target in targets.values()]
    assert len(set(places)) == len(places)
    assert not set(places) & {place(path) for path in sources}
    assert all(len(os.fsencode(t.name)) <= LONGEST_NAME for t in targets.values())
    shuffled.shuffle(pictures)
    assert assign(pictures, reserved=sources) == targets


@given(st.sets(PATHS, min_size=2, max_size=10), st.data())
@settings(deadline=None)
def test_an_additional_picture_renames_no_result(sources: set[Path], data: st.DataObject) -> None:
    pattern, out = Pattern("{stem}_x{scale}{ext}"), Path("/nowhere/out")
    pictures = [request(path, pattern, folder=out) for path in sorted(sources)]
    earlier = data.draw(st.lists(st.sampled_from(pictures), unique_by=lambda w: w.source))
    before = assign(earlier, reserved=sources)
    after = assign(pictures, reserved=sources, earlier=lambda one: {before[one.source]} if one.source in before else ())
    assert {source: after[source] for source in before} == before


def test_a_collision_adds_the_ending_of_the_source() -> None:
    out = Path("/nowhere/out")
    paths = [Path("/nowhere") / name for name in ("a.jpg", "a.png", "A.PNG", "b/a.jpg")]
    names = [t.name for t in assign([request(p, Pattern("{stem}{ext}"), folder=out) for p in paths]).values()]
    assert sorted(names) == ["A_PNG.PNG", "a.png", "a_jpg.png", "a_png_2.png"]


def test_targets_of_other_pictures_are_not_used() -> None:
    one = request(Path("/nowhere/a.png"), Pattern("{stem}_x{scale}{ext}"))
    assert assign([one], allowed=lambda _, target: target.name != "a_x4.png")[one.source].name == "a_png_x4.png"


def test_a_long_name_stays_unique() -> None:
    paths = [Path(f"/nowhere/{'😀' * 61}{letter}.png") for letter in "abc"]
    targets = assign([request(path, Pattern("{stem}_x{scale}{ext}")) for path in paths])
    assert len({place(t) for t in targets.values()}) == 3
    assert all(len(os.fsencode(t.name)) <= LONGEST_NAME for t in targets.values())


def test_places_are_equal_if_any_file_system_says_so() -> None:
    assert place(Path("/x/É.png")) == place(Path("/x") / unicodedata.normalize("NFD", "é.PNG"))
    assert place(Path("/x/a.png")) != place(Path("/y/a.png"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("same{ext}", "{stem}"),
        ("{stem}_{tint}{ext}", "{tint}"),
        ("{stem}{}{ext}", "{}"),
        ("{stem!r}{ext}", "{stem}"),
        ("{stem:>9}{ext}", "{stem}"),
        ("{stem}{ext", "invalid"),
        ("../{stem}{ext}", "folders"),
        ("..\\{stem}{ext}", "folders"),
        (".{stem}{ext}", "dot"),
        ("{stem}_x{scale}", ".png"),
        ("{stem}.txt", ".png"),
        ("{stem}.heic", ".png"),
    ],
)
def test_invalid_patterns_are_refused(text: str, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        Pattern(text)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pattern_with_a_scale_needs_one() -> None:
    with pytest.raises(UsageError, match="needs a scale"):
        Pattern("{stem}_x{scale}{ext}").check_size(Size(width=90))
    Pattern("{stem}_{width}{ext}").check_size(Size(width=90))


def test_doubled_braces_are_literal() -> None:
    name = Pattern("{stem}{{}}{ext}").name(Path("a.PNG"), X4, (4, 4), FORMATS["PNG"])
    assert name == "a{}.PNG"
