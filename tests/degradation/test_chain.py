"""Chains of degradations by name."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mafdn.degradation.chain import PRESETS, RULES, Degradation, Step, parse_degradation, parse_degradations
from mafdn.degradation.operations import blurred
from mafdn.errors import PictureError, UsageError
from tests.degradation.pictures import picture

STEPS = st.one_of(
    st.builds(Step, st.just("blur"), st.integers(1, 10_000).map(lambda n: n / 1000)),
    st.builds(
        Step,
        st.just("noise"),
        st.integers(1, 100_000).map(lambda n: n / 1000),
        st.sampled_from(RULES["noise"].variants),
    ),
    st.builds(Step, st.just("jpeg"), st.integers(1, 100).map(float), st.sampled_from(RULES["jpeg"].variants)),
    st.builds(Step, st.just("webp"), st.integers(1, 100).map(float)),
)


def parsed(text: str) -> Degradation:
    found = parse_degradation(text)
    assert found is not None
    return found


@given(st.lists(STEPS, min_size=1, max_size=6))
def test_a_written_chain_is_read_as_it_was(steps: list[Step]) -> None:
    text = "+".join(map(str, steps))
    found = parsed(text)
    assert found == Degradation(text, tuple(steps))
    assert found.spec == text
    assert parsed(f" {text.upper()} ") == found


@given(
    st.text(max_size=30) | st.lists(st.sampled_from([*"0123456789.:+-e ", *RULES, *PRESETS]), max_size=9).map("".join)
)
def test_any_text_is_a_chain_or_refused_in_one_line(text: str) -> None:
    message = ""
    found = None
    try:
        found = parse_degradation(text)
    except UsageError as error:
        message = str(error)
    if message:
        assert message.startswith("degradation '")
        assert "\n" not in message
    elif found is None:
        assert text.strip().lower() == "none"
    else:
        assert parse_degradation(found.name) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "unknown step ''; choose from blur, noise, jpeg, webp, camera"),
        ("jpg:75", "unknown step 'jpg'; choose from blur"),
        ("jpeg", "jpeg needs a quality from 1 to 100, as in jpeg:75"),
        ("jpeg:0", "jpeg needs a quality"),
        ("jpeg:101", "jpeg needs a quality"),
        ("jpeg:75.5", "jpeg needs a quality"),
        ("webp:75:444", "after webp:75 follows nothing else, not '444'"),
        ("jpeg:75:411", "after jpeg:75 follows :420 or :422 or :444, not '411'"),
        ("blur:0", "blur needs a standard deviation above 0 and up to 10 pixels"),
        ("noise:nan", "noise needs a standard deviation"),
        ("noise:-5", "noise needs a standard deviation"),
        ("blur:0.5+none", "none cannot be part of a chain"),
        ("blur:0.5++jpeg:75", "unknown step ''"),
        ("camera:3", "camera takes no number; it stands for blur:0.4"),
        ("+".join(["jpeg:75"] * 17), "17 steps; a chain has at most 16"),
    ],
)
def test_wrong_chains_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_degradation(text)
    assert words in str(caught.value)


def test_the_shortest_names_and_presets() -> None:
    assert parsed("JPEG:75:4:2:0").name == parsed("jpeg:075").name == "jpeg:75"
    assert parsed("noise:5.0:sensor+jpeg:80:4:4:4").name == "noise:5+jpeg:80:444"
    found = parsed("messenger+jpeg:60")
    assert found.name == "messenger+jpeg:60"
    assert found.spec == f"{PRESETS['messenger'].chain}+jpeg:60"
    for name, preset in PRESETS.items():
        assert parsed(name).steps == parsed(preset.chain).steps
        assert parsed(preset.chain).spec == preset.chain
    assert parse_degradations([]) == (None,)
    assert parse_degradations(["none", "jpeg:75", "JPEG:75:420", "none"]) == (None, parsed("jpeg:75"))


def test_steps_are_applied_from_left_to_right() -> None:
    lr = picture(40, 48)

    def pillow(pixels: np.ndarray, quality: int, subsampling: int | None = None) -> np.ndarray:
        file = io.BytesIO()
        options = {} if subsampling is None else {"subsampling": subsampling}
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, **options)
        return np.array(Image.open(file))

    assert np.array_equal(parsed("jpeg:75").apply(lr, name="a"), pillow(lr, 75)), "4:2:0 is Pillow's default"
    assert np.array_equal(parsed("jpeg:75:444").apply(lr, name="a"), pillow(lr, 75, 0))
    assert np.array_equal(parsed("jpeg:75:422").apply(lr, name="a"), pillow(lr, 75, 1))
    both = parsed("blur:0.5+jpeg:80+jpeg:60").apply(lr, name="a")
    assert np.array_equal(both, pillow(pillow(blurred(lr, 0.5), 80), 60))
    assert not np.array_equal(both, parsed("jpeg:80+blur:0.5+jpeg:60").apply(lr, name="a"))
    assert not np.array_equal(parsed("webp:75").apply(lr, name="a"), lr)


def test_noise_is_seeded_by_the_name() -> None:
    lr = picture(40, 48)
    for text in ("noise:5", "noise:5:correlated", "noise:5:white", "noise:3+noise:4"):
        chain = parsed(text)
        assert np.array_equal(chain.apply(lr, name="a"), chain.apply(lr, name="a"))
        assert not np.array_equal(chain.apply(lr, name="a"), chain.apply(lr, name="b"))
    assert not np.array_equal(parsed("noise:5").apply(lr, name="a"), parsed("noise:5:white").apply(lr, name="a"))
    assert parsed("noise:5").apply(lr, name="\udcff").shape == lr.shape


def test_a_picture_that_an_encoder_refuses_is_named() -> None:
    with pytest.raises(PictureError, match="long cannot be degraded by webp:75: "):
        parsed("webp:75").apply(np.zeros((1, 16_384, 3), np.uint8), name="long")
