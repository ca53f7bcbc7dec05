"""The one way to measure networks on bench sets: named, opened only when needed, and not measured twice.

Public names: :func:`evaluate`, :func:`named`, :func:`results`.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mafdn._support.progress import counted, each
from mafdn.errors import UsageError
from mafdn.evaluation.benchset import (
    BenchPicture,
    Method,
    Pixels,
    Protocol,
    SetScore,
    bench_name,
    bench_pairs,
    measure,
    read_bench,
)
from mafdn.evaluation.cache import digest_of_set, entry_key, load_entry, store_entry
from mafdn.evaluation.methods import ZERO_LINES, Means, network_label, open_method

OnSetResult = Callable[[str, str, BenchPicture, Pixels], None]
"""Called with the names of set and network, a picture and what the network made of its LR."""
SHOWN = 3
"""Names that a note spells out."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One set: the key of every network's entry, and the scores that are known."""

    folder: Path
    bench: str
    pictures: tuple[str, ...]
    keys: dict[str, str]
    known: dict[str, SetScore] = field(default_factory=dict[str, SetScore])

    @property
    def missing(self) -> list[str]:
        return [name for name in self.keys if name not in self.known]


def evaluate(
    networks: Sequence[str],
    benches: Sequence[Path],
    protocol: Protocol,
    *,
    means: Means | None = None,
    lr: Path | None = None,
    fresh: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    on_result: OnSetResult | None = None,
) -> list[SetScore]:
    """The scores of ``networks`` (as :func:`find_network` takes them) on every set, set by set, networks in order.

    Scores that were measured before are taken from the cache unless ``fresh`` or ``on_result`` asks to measure; what is
    measured is stored. ``lr`` is the folder of LR pictures for a single set. ``on_note`` gets what a reader of the
    scores should know, a sentence each. What is missing, unknown or of another scale is told before any measuring;
    raises what :func:`measure` and :func:`open_method` raise. ``means`` are what networks are run with.
    """
    if lr and len(benches) > 1:
        raise UsageError("a folder of LR pictures belongs to one bench set; give one")
    names = named(networks, protocol)
    plan = [
        _plan(folder, bench, names, protocol, means, lr=lr, cached=not fresh and on_result is None)
        for folder, bench in zip(benches, _bench_names(benches), strict=True)
    ]
    wanted = {name for work in plan for name in work.missing}
    methods = {name: _method(network, protocol, means) for name, network in names.items() if name in wanted}
    tick = counted(on_progress, sum(len(work.pictures) * len(work.missing) for work in plan))
    unwritable = ""
    for work in plan:
        missing = {name: methods[name] for name in work.missing}
        if not missing:
            continue
        told = partial(on_result, work.bench) if on_result else None
        for score in measure(missing, work.folder, protocol, lr=lr, on_progress=each(tick), on_result=told):
            work.known[score.network] = replace(score, bench=work.bench)
            try:
                store_entry(work.keys[score.network], score)
            except OSError as error:
                unwritable = f"scores could not be kept for the next time: {error}"
    scores = [work.known[name] for work in plan for name in names]
    if on_note:
        for note in filter(None, (_grey(scores), unwritable)):
            on_note(note)
    return scores


def named(networks: Sequence[str], protocol: Protocol) -> dict[str, str]:
    """``networks`` by what tables call them, with "+" for self-ensemble; of two with one name, the second by its path.

    Raises what :func:`find_network` raises.
    """
    names: dict[str, str] = {}
    for network in dict.fromkeys(networks):
        label = network_label(network, scale=protocol.scale)
        plus = "+" if protocol.self_ensemble and network not in ZERO_LINES else ""
        choices = (choice + plus for choice in (label, network, str(Path(network).resolve())))
        names[next(choice for choice in choices if choice not in names)] = network
    return names


def results(
    names: dict[str, str],
    bench: Path,
    pictures: Collection[str],
    protocol: Protocol,
    *,
    lr: Path | None = None,
) -> Iterator[tuple[BenchPicture, dict[str, Pixels]]]:
    """Some pictures of a set, and what each network of ``names`` (by :func:`named`) makes of them."""
    methods = {name: _method(network, protocol) for name, network in names.items()}
    for picture in read_bench(bench, protocol.scale, lr=lr, only=pictures):
        yield picture, {name: method(picture.lr) for name, method in methods.items()}


def _method(network: str, protocol: Protocol, means: Means | None = None) -> Method:
    return open_method(network, scale=protocol.scale, self_ensemble=protocol.self_ensemble, means=means)[1]


def _plan(
    folder: Path,
    bench: str,
    names: dict[str, str],
    protocol: Protocol,
    means: Means | None,
    *,
    lr: Path | None,
    cached: bool,
) -> _Work:
    pairs = bench_pairs(folder, protocol.scale, lr=lr)
    digest = digest_of_set(pairs.values())
    keys = {name: entry_key(network, digest, protocol, means) for name, network in names.items()}
    work = _Work(folder=folder, bench=bench, pictures=tuple(pairs), keys=keys)
    for name, key in keys.items() if cached else ():
        blank = SetScore(network=name, bench=bench, scale=protocol.scale, pictures=())
        found = load_entry(key, blank)
        if found and tuple(picture.name for picture in found.pictures) == work.pictures:
            work.known[name] = found
    return work


def _bench_names(benches: Sequence[Path]) -> list[str]:
    """Their names; of two sets with one name, the second goes by as much of its path as tells it apart."""
    names: list[str] = []
    for number, folder in enumerate(benches):
        whole = folder.resolve()
        if whole in (other.resolve() for other in benches[:number]):
            raise UsageError(f"{folder} is given twice; a bench set is measured once")
        name = bench_name(folder)
        choices = (name, *("/".join(whole.parts[-n:]) for n in range(2, len(whole.parts) + 1)))
        names.append(next(choice for choice in choices if choice not in names))
    return names


def _grey(scores: Sequence[SetScore]) -> str:
    """What is said of grey pictures, if there are any."""
    names = list(dict.fromkeys(f"{score.bench}/{name}" for score in scores for name in score.grey))
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"grey pictures were measured as RGB with three equal channels: {', '.join(names[:SHOWN])}{more}"
