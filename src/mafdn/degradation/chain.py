"""Chains of degradations by name: `jpeg:75`, `blur:0.5+noise:3+jpeg:80`, or a preset such as `messenger`.

A chain is applied from left to right. The same picture always gets the same noise: it is seeded by the picture's name.

===================  =================================================================================================
`blur:SIGMA`         Gaussian blur, standard deviation in LR pixels
`noise:SIGMA`        sensor noise (`mafdn.degradation.operations.noisy`), standard deviation of middle gray in 8-bit
                     levels; `noise:SIGMA:correlated` as after demosaicing; `noise:SIGMA:white` is Gaussian noise of the
                     same deviation everywhere, as in the literature
`jpeg:QUALITY`       JPEG by Pillow with 4:2:0 chroma subsampling; `jpeg:QUALITY:422` and `jpeg:QUALITY:444` with others
`webp:QUALITY`       lossy WebP by Pillow
a preset             one of `PRESETS`
===================  =================================================================================================
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from PIL import features

from mafdn._support.atomic import printable
from mafdn._support.machine import installed_version
from mafdn.degradation.operations import READ_NOISE, Pixels, blurred, coded, noisy, white_noise
from mafdn.errors import PictureError, UsageError

NONE = "none"
"""In place of a chain: the LR pictures as they are."""
LONGEST_CHAIN = 16
"""Maximum number of steps."""
LONGEST_QUOTE = 60
"""Maximum number of characters of a chain that a message quotes."""
NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?")
"""Numbers with up to three decimals, which `format(x, "g")` repeats exactly."""
Kind = Literal["blur", "noise", "jpeg", "webp"]


@dataclass(frozen=True)
class _Rule:
    """What a kind of step accepts."""

    amount: str
    """What its number is, for messages."""
    limit: int
    """Its largest number."""
    whole: bool = False
    """Whether its number is a whole one from 1, instead of any above 0."""
    variants: tuple[str, ...] = ()
    """What may follow the number; the first is the default."""

    def read(self, text: str) -> float | None:
        """The number that `text` stands for; `None` if it is none, or out of range."""
        if not NUMBER.fullmatch(text) or (self.whole and not text.isdigit()) or not 0 < float(text) <= self.limit:
            return None
        return float(text)


RULES: dict[Kind, _Rule] = {
    "blur": _Rule("a standard deviation above 0 and up to 10 pixels, as in blur:0.6", 10),
    "noise": _Rule(
        "a standard deviation above 0 and up to 100 levels, as in noise:5",
        100,
        variants=("sensor", "correlated", "white"),
    ),
    "jpeg": _Rule("a quality from 1 to 100, as in jpeg:75", 100, whole=True, variants=("420", "422", "444")),
    "webp": _Rule("a quality from 1 to 100, as in webp:75", 100, whole=True),
}


@dataclass(frozen=True)
class Preset:
    """A situation in which pictures are found."""

    chain: str
    situation: str


PRESETS = {
    "camera": Preset("blur:0.4+noise:2:correlated+jpeg:95:422", "a camera's own file, in good light"),
    "night": Preset("blur:0.4+noise:6:correlated+jpeg:92", "a camera's own file, at high sensitivity"),
    "web": Preset("noise:1+jpeg:80", "reduced for a page, and saved once more"),
    "messenger": Preset("blur:0.3+noise:1+jpeg:75", "reduced by a messenger"),
    "forwarded": Preset("blur:0.3+noise:1+jpeg:75+jpeg:70", "the same, saved again when it was sent on"),
    "old": Preset("blur:0.6+noise:3+jpeg:50", "a heavily compressed file of an old camera"),
}
"""Chains by name. Where a picture was reduced, that has averaged out most of the camera's own noise and coding."""


@dataclass(frozen=True)
class Step:
    """One step of a chain; `variant` is one of its rule's, or empty if there are none."""

    kind: Kind
    amount: float
    """Standard deviation, or quality."""
    variant: str = ""

    def __str__(self) -> str:
        variant = "" if self.variant in RULES[self.kind].variants[:1] else self.variant
        return ":".join(filter(None, (self.kind, f"{self.amount:g}", variant)))

    def apply(self, picture: Pixels, random: np.random.Generator) -> Pixels:
        """Degrade (H, W, 3)."""
        if self.kind == "blur":
            return blurred(picture, self.amount)
        if self.kind == "noise":
            if self.variant == "white":
                return white_noise(picture, self.amount, random)
            return noisy(picture, self.amount, random, read=READ_NOISE, correlated=self.variant == "correlated")
        if self.kind == "jpeg":
            return coded(picture, "JPEG", int(self.amount), sampling=":".join(self.variant))
        return coded(picture, "WEBP", int(self.amount))


@dataclass(frozen=True)
class Degradation:
    """A chain of steps.

    Args:
        name: As it was asked for, in its shortest form: `messenger`, `camera+jpeg:70`.
        steps: The steps in order.
    """

    name: str
    steps: tuple[Step, ...]

    @property
    def spec(self) -> str:
        """The chain with presets written out."""
        return "+".join(map(str, self.steps))

    def apply(self, picture: Pixels, *, name: str) -> Pixels:
        """Degrade an LR picture (H, W, 3) uint8.

        Args:
            picture: The picture.
            name: Its name, which is the seed of the noise and identifies it in messages.

        Raises:
            PictureError: An encoder refuses the picture, for example for its size.
        """
        seed = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        random = np.random.default_rng(int.from_bytes(seed[:8], "big"))
        try:
            for step in self.steps:
                picture = step.apply(picture, random)
        except (OSError, ValueError) as error:
            raise PictureError(f"{name} cannot be degraded by {self.spec}: {error}") from None
        return picture

    def fingerprint(self) -> list[str]:
        """Everything that determines the degraded pixels, besides the picture and its name."""
        return [self.spec, *(f"{name} {version}" for name, version in encoder_versions().items())]


def encoder_versions() -> dict[str, str]:
    """The versions of the libraries that determine degraded pixels."""
    packages = {name: installed_version(name) for name in ("numpy", "pillow")}
    libraries = {name: features.version(name) for name in ("libjpeg_turbo", "jpg", "webp")}
    return {name: version for name, version in (packages | libraries).items() if version}


def parse_degradation(text: str) -> Degradation | None:
    """Parse a chain as described at the top of this module.

    Args:
        text: The chain; upper and lower case are the same.

    Returns:
        The chain; `None` for `none`.

    Raises:
        UsageError: A step is unknown, or its number is out of range.
    """
    parts = [part.strip() for part in text.lower().split("+")]
    if parts == [NONE]:
        return None
    names: list[str] = []
    steps: list[Step] = []
    for part in parts:
        found = (
            [_step(step, text) for step in PRESETS[part].chain.split("+")] if part in PRESETS else [_step(part, text)]
        )
        names.append(part if part in PRESETS else str(found[0]))
        steps += found
    if len(steps) > LONGEST_CHAIN:
        raise _wrong(text, f"{len(steps)} steps; a chain has at most {LONGEST_CHAIN}")
    return Degradation("+".join(names), tuple(steps))


def parse_degradations(texts: Sequence[str]) -> tuple[Degradation | None, ...]:
    """Parse several chains, each once; without any, the LR pictures as they are.

    Raises:
        UsageError: As `parse_degradation`.
    """
    return tuple(dict.fromkeys(parse_degradation(text) for text in texts)) or (None,)


def labeled(bench: str, degradation: Degradation | None) -> str:
    """The name of a benchmark dataset with degraded LR pictures: `B100 jpeg:75`."""
    return f"{bench} {degradation.name}" if degradation else bench


def _step(part: str, text: str) -> Step:
    kind, _, rest = part.partition(":")
    rule = RULES.get(cast(Kind, kind))
    if kind in PRESETS:
        raise _wrong(text, f"{kind} takes no number; it stands for {PRESETS[kind].chain}")
    if kind == NONE:
        raise _wrong(text, f"{NONE} cannot be part of a chain")
    if rule is None:
        raise _wrong(text, f"unknown step {_quoted(kind)}; choose from {', '.join([*RULES, *PRESETS])}")
    number, _, variant = rest.partition(":")
    amount = rule.read(number)
    if amount is None:
        raise _wrong(text, f"{kind} needs {rule.amount}")
    variant = variant.replace(":", "") if kind == "jpeg" else variant
    if variant not in ("", *rule.variants):
        endings = " or ".join(f":{variant}" for variant in rule.variants) or "nothing else"
        raise _wrong(text, f"after {kind}:{number} follows {endings}, not {_quoted(variant)}")
    return Step(cast(Kind, kind), amount, variant or "".join(rule.variants[:1]))


def _wrong(text: str, problem: str) -> UsageError:
    return UsageError(f"degradation {_quoted(text)}: {problem}")


def _quoted(text: str) -> str:
    return f"'{printable(text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + '...')}'"
