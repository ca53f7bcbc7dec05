"""Evaluate networks on benchmark datasets; each is opened only if needed and never measured twice."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mafdn._support.memory import explain_memory
from mafdn._support.progress import counted, each
from mafdn.degradation.chain import Degradation, labeled
from mafdn.errors import UsageError
from mafdn.evaluation.benchset import (
    WHOLE_AREA,
    BenchPicture,
    Method,
    Pixels,
    Protocol,
    SetScore,
    describe_lr,
    measure_set,
    read_bench,
)
from mafdn.evaluation.cache import digest_of_set, entry_key, load_entry, store_entry
from mafdn.evaluation.layouts import BenchFiles, LrChoice, bench_name, find_bench
from mafdn.evaluation.methods import network_label, open_method, weights_note
from mafdn.inference import EngineOptions
from mafdn.weights.resolve import BASELINES

OnSetResult = Callable[[str, str, BenchPicture, Pixels], None]
"""Called with the name of a set, the label of a network, a picture and the network's result for its LR."""
EVALUATING = (
    "measuring",
    "pictures are upscaled whole: use fewer threads, such as 1, leave out the ensemble, or measure datasets of "
    "smaller pictures",
)
"""What is being done and what to lower when memory runs out (`mafdn._support.memory.explain_memory`)."""
NAMES_IN_NOTE = 3
"""Pictures that a note lists by name; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One set, degraded or not: the cache key of every network, by label, and the scores that are known."""

    folder: Path
    bench: str
    files: BenchFiles
    degrade: Degradation | None
    keys: dict[str, str]
    known: dict[str, SetScore] = field(default_factory=dict[str, SetScore])

    @property
    def missing(self) -> list[str]:
        return [label for label in self.keys if label not in self.known]


def evaluate(
    networks: Sequence[str],
    benches: Sequence[Path],
    protocol: Protocol,
    *,
    options: EngineOptions | None = None,
    lr: LrChoice = None,
    degrade: Sequence[Degradation | None] = (None,),
    fresh: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    on_result: OnSetResult | None = None,
) -> list[SetScore]:
    """The scores of networks on benchmark datasets. All arguments are checked before anything is measured.

    Args:
        networks: Names as in `mafdn.weights.resolve`.
        benches: Folders of benchmark datasets.
        protocol: What is measured.
        options: The engine for ONNX files; by default the first installed one on the CPU
            (`mafdn.evaluation.methods.reproducible_options`).
        lr: The LR pictures to use (`mafdn.evaluation.layouts.LrChoice`); a folder belongs to a single set.
        degrade: How to degrade them: every set is measured with each of these degradations, `None` for none.
        fresh: Ignore cached scores.
        on_progress: Called with the number of results scored and their total; not called for cached scores.
        on_note: Called with each note that readers of the scores should know.
        on_result: Called with every result; implies `fresh`.

    Returns:
        The scores set by set, degradation by degradation, networks in order.

    Raises:
        UsageError: A set is missing or listed twice, or a network is unknown or of another scale.
        WeightsError: A network cannot be opened.
        PictureError: A picture cannot be read or measured.
        MissingPackageError: An engine is not installed.
    """
    if isinstance(lr, Path) and len(benches) > 1:
        raise UsageError(
            "a folder of LR pictures belongs to one benchmark dataset; pass it with a single one", setting="lr"
        )
    labels = label_networks(networks, protocol)
    plan = [
        _plan(folder, bench, labels, protocol, options, lr=lr, degrade=step, cached=not fresh and on_result is None)
        for folder, bench in zip(benches, bench_names(benches), strict=True)
        for step in degrade
    ]
    needed = {label for work in plan for label in work.missing}
    methods = {label: _method(network, protocol, options) for label, network in labels.items() if label in needed}
    tick = counted(on_progress, sum(len(work.files.pairs) * len(work.missing) for work in plan))
    cache_error = ""
    for work in plan:
        missing = {label: methods[label] for label in work.missing}
        if not missing:
            continue
        on_bench_result = partial(on_result, work.bench) if on_result else None
        with explain_memory(*EVALUATING):
            found = measure_set(
                missing,
                work.folder,
                protocol,
                lr=lr,
                degrade=work.degrade,
                on_scored=each(tick),
                on_result=on_bench_result,
            )
        for score in found:
            work.known[score.network] = replace(score, bench=work.bench)
            try:
                store_entry(work.keys[score.network], score)
            except OSError as error:
                cache_error = f"scores could not be cached: {error.strerror or error}"
    scores = [work.known[label] for work in plan for label in labels]
    if on_note:
        one_each = zip(bench_names(benches), plan[:: len(degrade)], strict=True)
        unused = [_unused_note(bench, work.files, protocol.scale) for bench, work in one_each]
        files = [weights_note(network, scale=protocol.scale) for network in labels.values()]
        for note in filter(None, (grey_note(scores), _large_note(scores), *unused, *files, cache_error)):
            on_note(note)
    return scores


def label_networks(networks: Sequence[str], protocol: Protocol) -> dict[str, str]:
    """`networks` by their labels in tables, each once, with "+" for self-ensemble.

    If two networks share a label, the second is labeled by the end of its path that sets it apart.

    Raises:
        UsageError: A name is unknown.
        WeightsError: A file is missing.
    """
    labels: dict[str, str] = {}
    paths = {network: Path(network).resolve().parts for network in networks}
    for network, parts in paths.items():
        label = network_label(network, scale=protocol.scale)
        plus = "+" if protocol.self_ensemble and network not in BASELINES else ""
        others = [other for name, other in paths.items() if name != network]
        ends = [n for n in range(1, len(parts) + 1) if all(other[-n:] != parts[-n:] for other in others)]
        texts = (label, *("/".join(parts[-n:]) for n in ends), network, str(Path(network).resolve()))
        choices = (text + plus for text in texts)
        labels[next(choice for choice in choices if choice not in labels)] = network
    return labels


def upscale_pictures(
    labels: dict[str, str],
    bench: Path,
    pictures: Collection[str],
    protocol: Protocol,
    *,
    lr: LrChoice = None,
    degrade: Degradation | None = None,
) -> Iterator[tuple[BenchPicture, dict[str, Pixels]]]:
    """Selected pictures of a set, and the result of each network (`labels` from `label_networks`)."""
    methods = {label: _method(network, protocol) for label, network in labels.items()}
    for picture in read_bench(bench, protocol.scale, lr=lr, degrade=degrade, only=pictures):
        yield picture, {label: method(picture.lr) for label, method in methods.items()}


def _method(network: str, protocol: Protocol, options: EngineOptions | None = None) -> Method:
    return open_method(network, scale=protocol.scale, self_ensemble=protocol.self_ensemble, options=options)[1]


def _plan(
    folder: Path,
    bench: str,
    labels: dict[str, str],
    protocol: Protocol,
    options: EngineOptions | None,
    *,
    lr: LrChoice,
    degrade: Degradation | None,
    cached: bool,
) -> _Work:
    files = find_bench(folder, protocol.scale, lr=lr)
    digest = digest_of_set(files.pairs.values(), degrade)
    keys = {label: entry_key(network, digest, protocol, options) for label, network in labels.items()}
    work = _Work(folder=folder, bench=labeled(bench, degrade), files=files, degrade=degrade, keys=keys)
    for label, key in keys.items() if cached else ():
        blank = SetScore(
            network=label,
            bench=work.bench,
            scale=protocol.scale,
            pictures=(),
            lr=describe_lr(files, degrade, sha256=""),
            degrade=degrade.name if degrade else "",
        )
        found = load_entry(key, blank)
        if found and tuple(picture.name for picture in found.pictures) == tuple(files.pairs):
            work.known[label] = found
    return work


def bench_names(benches: Sequence[Path]) -> list[str]:
    """Their names; if two share one, the second is named by the shortest distinct suffix of its path."""
    names: list[str] = []
    for number, folder in enumerate(benches):
        resolved = folder.resolve()
        if resolved in (other.resolve() for other in benches[:number]):
            raise UsageError(f"{folder} is listed twice; list each benchmark dataset once")
        name = bench_name(folder)
        choices = (name, *("/".join(resolved.parts[-n:]) for n in range(2, len(resolved.parts) + 1)))
        names.append(next(choice for choice in choices if choice not in names))
    return names


def _unused_note(bench: str, files: BenchFiles, scale: int) -> str:
    if not files.unused:
        return ""
    return (
        f"the LR pictures of {bench} were made by bicubic reduction: {', '.join(files.unused)} has none for x{scale} "
        "under a known name; set lr to that folder to use it"
    )


def grey_note(scores: Sequence[SetScore]) -> str:
    """A note about pictures in grayscale; empty if there are none."""
    names = _named(scores, lambda score: score.grey)
    return f"grayscale pictures were measured as RGB with three equal channels: {names}" if names else ""


def _large_note(scores: Sequence[SetScore]) -> str:
    names = _named(scores, lambda score: score.large if score.network not in BASELINES else ())
    if not names:
        return ""
    return (
        f"in LR pictures of more than {WHOLE_AREA:,} pixels, networks whose channel gates can be held upscaled tiles, "
        f"with gates sampled from the picture: {names}"
    )


def _named(scores: Sequence[SetScore], pictures: Callable[[SetScore], Sequence[str]]) -> str:
    """The first of these pictures by name; those of a degraded set are listed once. Empty if there are none."""
    names = list(
        dict.fromkeys(f"{s.bench.removesuffix(f' {s.degrade}')}/{name}" for s in scores for name in pictures(s))
    )
    more = f" and {len(names) - NAMES_IN_NOTE} more" if len(names) > NAMES_IN_NOTE else ""
    return ", ".join(names[:NAMES_IN_NOTE]) + more
