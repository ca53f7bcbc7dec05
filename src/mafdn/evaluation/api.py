"""Evaluate networks, modules and functions from Python."""

from __future__ import annotations  # so that `help` shows the names of types instead of their definitions

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from mafdn._support.machine import installed_version
from mafdn._support.memory import explain_memory
from mafdn._support.progress import counted, each
from mafdn._support.validate import as_path, as_whole
from mafdn.degradation.chain import Degradation, labeled, parse_degradations
from mafdn.errors import UsageError
from mafdn.evaluation.benchset import Method, Protocol, SetScore, finite, measure_set
from mafdn.evaluation.functions import function_method, is_module, name_of
from mafdn.evaluation.layouts import MADE, LrChoice, find_bench
from mafdn.evaluation.outputs import check_target, report
from mafdn.evaluation.paired import Difference, differences
from mafdn.evaluation.scoring import EVALUATING, bench_names, grey_note, label_networks
from mafdn.evaluation.scoring import evaluate as evaluate_names
from mafdn.evaluation.summary.formats import FORMATS, write_summary
from mafdn.evaluation.summary.rows import NetworkRow, Summary, as_json, hr_pictures, lr_pictures, network_rows
from mafdn.inference import EngineOptions
from mafdn.inference.ensemble import as_ensemble
from mafdn.inference.options import BF16, FP16, FP32, as_engine_options
from mafdn.weights.header import SCALES

PathLike = str | os.PathLike[str]
Network = PathLike | Callable[[NDArray[np.uint8]], Any]
"""A name or path, a PyTorch module, or a function of an (H, W, 3) uint8 array."""
Progress = Callable[[int, int], None]
PRECISION_NAMES = {"float32": FP32, "bfloat16": BF16, "float16": FP16}
"""Names of precisions by those of torch."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of `mafdn.evaluate`.

    Args:
        scores: The scores of each network on each benchmark dataset: dataset by dataset, networks in order.
        notes: What readers of the scores should know.
        scale: The scale.
        channels: `luma` or `rgb`.
        self_ensemble: Whether results were averaged over eight orientations.
    """

    scores: tuple[SetScore, ...]
    notes: tuple[str, ...]
    scale: int
    channels: Literal["luma", "rgb"]
    self_ensemble: bool
    rows: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def ensemble(self) -> Literal[1, 8]:
        """The number of orientations over which results were averaged."""
        return 8 if self.self_ensemble else 1

    @property
    def networks(self) -> tuple[str, ...]:
        """The labels of the networks, in order."""
        return tuple(dict.fromkeys(score.network for score in self.scores))

    @property
    def benches(self) -> tuple[str, ...]:
        """The names of the benchmark datasets, in order."""
        return tuple(dict.fromkeys(score.bench for score in self.scores))

    def score(self, network: str | None = None, bench: str | None = None) -> SetScore:
        """Return the scores of one network on one benchmark dataset.

        Args:
            network: Its label (default: the only one).
            bench: The name of the dataset (default: the only one).

        Raises:
            UsageError: If there is no such score, or there are several.
        """
        found = [s for s in self.scores if network in (None, s.network) and bench in (None, s.bench)]
        if len(found) != 1:
            known = f"networks {', '.join(self.networks)} and datasets {', '.join(self.benches)}"
            raise UsageError(f"network={network!r}, bench={bench!r} fit {len(found)} scores; choose one of {known}")
        return found[0]

    def differences(self, baseline: str | None = None) -> list[Difference]:
        """Compare every other network with a baseline, picture by picture.

        Args:
            baseline: The label of a network (default: the first).

        Returns:
            Mean differences with 95 % intervals, on each dataset and over all of them; above 0, the network is better
            than the baseline.

        Raises:
            UsageError: If there is no such network.
        """
        reference = self.networks[0] if baseline is None else baseline
        if reference not in self.networks:
            raise UsageError(f"there is no network {reference!r}; choose from {', '.join(self.networks)}")
        others = [network for network in self.networks if network != reference]
        return differences(self.scores, reference=reference, networks=others)

    def to_json(self) -> dict[str, Any]:
        """Return scores, differences and networks as `mafdn evaluate --json`, which also has its engine options."""
        protocol = Protocol(scale=self.scale, channels=self.channels, self_ensemble=self.self_ensemble)
        found = as_json(self._summary(None))
        measured = report(protocol, self.scores, self.differences(), self.notes)
        return measured | {"baseline": self.networks[0], "networks": found["rows"], "versions": found["versions"]}

    def save(self, path: PathLike, *, baseline: str | None = None, overwrite: bool = False) -> None:
        """Write a table with a row for each network: Markdown, LaTeX, CSV or JSON, as `mafdn evaluate -o`.

        Args:
            path: A file that ends in `.md`, `.tex`, `.csv` or `.json`.
            baseline: As for `differences`.
            overwrite: Whether to replace an existing file.

        Raises:
            UsageError: If the ending is another, or the folder does not exist.
            MafdnError: If the file exists or cannot be written.
        """
        target = as_path("path", path)
        check_target(target, *FORMATS, overwrite=overwrite)
        write_summary(target, self._summary(baseline))

    def _summary(self, baseline: str | None) -> Summary:
        return Summary(
            rows=self.rows,
            channels=self.channels,
            baseline={self.scale: baseline or self.networks[0]},
            differences={self.scale: self.differences(baseline)},
            lr={self.scale: lr_pictures(self.scores)},
            hr_sha256={self.scale: hr_pictures(self.scores)},
            notes=self.notes,
        )


def evaluate(
    networks: Network | Sequence[Network] | Mapping[str, Network],
    bench: PathLike | Sequence[PathLike],
    *,
    scale: int = 4,
    channels: Literal["luma", "rgb"] = "luma",
    ensemble: Literal[1, 8] = 1,
    self_ensemble: bool = False,
    lr: PathLike | None = None,
    degrade: str | Sequence[str] = (),
    engine: EngineOptions | str | None = None,
    fresh: bool = False,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Measure PSNR and SSIM of networks on benchmark datasets, as `mafdn evaluate` does.

    Protocol: 8-bit results of whole pictures, BT.601 luma that is not rounded, a crop border of `scale` pixels. On
    pictures of more than 4,000,000 LR pixels, network files whose channel gates can be held are run in tiles, with
    gates sampled from the picture; a note says so. The scores of names and files are cached.

    Example:
        result = mafdn.evaluate(my_module, bench="Set5", scale=4)
        print(result.score().psnr, result.score().ssim)
        result = mafdn.evaluate({"mine": my_module, "IMDN": "IMDN_x4.pth"}, bench=["Set5", "Set14"])
        result.save("table.tex")
        mafdn.evaluate("IMDN_x4.pth", bench="Set5", degrade=["none", "jpeg:75", "noise:5+jpeg:90"])

    Args:
        networks: One or several networks, or a dictionary of networks by label. A network is a name or path as for
            `mafdn.load`, `bicubic` or `lanczos`; a PyTorch module that maps (1, 3, H, W) in [0, 1] to
            (1, 3, scale*H, scale*W); or a function that maps an (H, W, 3) uint8 array to its result, an array or
            tensor as for `mafdn.psnr`.
        bench: One or several folders of benchmark datasets.
        scale: 2, 3 or 4.
        channels: `luma`, or `rgb` for all samples.
        ensemble: 8 averages each network's results over eight orientations; not for functions.
        self_ensemble: The same as `ensemble=8`.
        lr: Folder of the LR pictures of a single dataset, or `made` to make them from HR (default: those of the
            dataset if it has them, else made as by MATLAB's imresize).
        degrade: How to degrade the LR pictures, as `--degrade` of the command (`mafdn.degradation.chain`). With several
            degradations, every dataset is measured with each, and called `Set5 jpeg:75`, for example.
        engine: Engine for ONNX files (default: the first installed one on the CPU).
        fresh: Ignore cached scores.
        on_progress: Called as `on_progress(done, total)` after every picture.

    Returns:
        The scores, with paired differences and tables.

    Raises:
        UsageError: If an argument is invalid, a network is unknown or of another scale, or a dataset is missing.
        WeightsError: If a network file is missing or unusable.
        PictureError: If a picture cannot be read or measured.
        OutOfMemoryError: If a picture is too large for the memory.
        MissingPackageError: If an engine is not installed.
    """
    scale = as_whole("scale", scale)
    if scale not in SCALES:
        raise UsageError(f"scale must be 2, 3 or 4, not {scale}")
    if channels not in ("luma", "rgb"):
        raise UsageError(f"channels must be luma or rgb, not {channels!r}")
    options = None if engine is None else as_engine_options(engine)
    averaged = self_ensemble or as_ensemble(ensemble) > 1
    protocol = Protocol(scale=scale, channels=channels, self_ensemble=averaged)
    folders = [as_path("bench", folder) for folder in _as_list(bench)]
    if not folders:
        raise UsageError("bench must name at least one folder of a benchmark dataset")
    low: LrChoice = None if lr is None else MADE if lr == MADE else as_path("lr", lr)
    steps = _degradations(degrade)
    chosen = _labeled(networks, protocol)
    files = {label: network for label, network in chosen.items() if isinstance(network, str)}
    methods = {label: network for label, network in chosen.items() if not isinstance(network, str)}
    names, notes = [labeled(name, step) for name in bench_names(folders) for step in steps], list[str]()
    found: dict[tuple[str, str], SetScore] = {}
    if files:
        measured = evaluate_names(
            list(files.values()),
            folders,
            protocol,
            options=options,
            lr=low,
            degrade=steps,
            fresh=fresh,
            on_progress=on_progress,
            on_note=notes.append,
        )
        labels = {network: label for label, network in label_networks(list(files.values()), protocol).items()}
        by_label = {(score.network, score.bench): score for score in measured}
        found |= {
            (n, label): replace(by_label[labels[f], n], network=label) for label, f in files.items() for n in names
        }
    if methods:
        functions = {label: method for label, (method, _) in methods.items()}
        found |= {(s.bench, s.network): s for s in _measure(functions, folders, protocol, low, steps, on_progress)}
    ordered = tuple(found[name, label] for name in names for label in chosen)
    if methods:
        notes = list(dict.fromkeys([*filter(None, [grey_note(ordered)]), *notes]))
    rows = {row.network: row for row in network_rows(files, ordered, protocol, options)}
    rows |= {label: replace(row, scores=_means(label, ordered)) for label, (_, row) in methods.items()}
    return Evaluation(
        scores=ordered,
        notes=tuple(notes),
        scale=scale,
        channels=channels,
        self_ensemble=averaged,
        rows=tuple(rows[label] for label in chosen),
    )


def _labeled(
    networks: Network | Sequence[Network] | Mapping[str, Network], protocol: Protocol
) -> dict[str, str | tuple[Method, NetworkRow]]:
    """The networks by label: names and paths, and methods with their rows in tables."""
    if isinstance(networks, Mapping):
        entries = list(cast(Mapping[str, Network], networks).items())
    else:
        entries = [("", network) for network in _as_list(networks)]
    if not entries:
        raise UsageError("name at least one network")
    unlabeled = [_as_text(network) for label, network in entries if not label and _is_name(network)]
    own = {network: label for label, network in label_networks(unlabeled, protocol).items()}
    chosen: dict[str, str | tuple[Method, NetworkRow]] = {}
    for given, network in entries:
        if _is_name(network):
            text = _as_text(network)
            label, value = given or own[text], text
        else:
            label = given or name_of(network) + ("+" if protocol.self_ensemble else "")
            value = (function_method(network, protocol, name=label), _row(label, network, protocol))
        if label in chosen:
            raise UsageError(f"two networks are called {label!r}; pass a dictionary with a label for each")
        chosen[label] = value
    return chosen


def _is_name(network: object) -> bool:
    return isinstance(network, str | os.PathLike)


def _as_text(network: Any) -> str:
    return str(as_path("a network", network, wanted="a name, a path, a module or a function"))


def _measure(
    methods: Mapping[str, Method],
    folders: Sequence[Any],
    protocol: Protocol,
    lr: LrChoice,
    degrade: Sequence[Degradation | None],
    on_progress: Progress | None,
) -> list[SetScore]:
    pictures = sum(len(find_bench(folder, protocol.scale, lr=lr).pairs) for folder in folders)
    tick = each(counted(on_progress, pictures * len(degrade) * len(methods)))
    with explain_memory(*EVALUATING):
        return [
            replace(score, bench=labeled(name, step))
            for folder, name in zip(folders, bench_names(folders), strict=True)
            for step in degrade
            for score in measure_set(methods, folder, protocol, lr=lr, degrade=step, on_scored=tick)
        ]


def _row(label: str, network: Any, protocol: Protocol) -> NetworkRow:
    """The row of a module or function in a table, without scores."""
    if not is_module(network):
        return NetworkRow(network=label, scale=protocol.scale, scores={})
    first = next(iter(network.parameters()), None)
    kind = "" if first is None else str(first.dtype).removeprefix("torch.")
    return NetworkRow(
        network=label,
        scale=protocol.scale,
        engine=f"torch {installed_version('torch')}",
        device="" if first is None else str(first.device),
        precision=PRECISION_NAMES.get(kind, kind),
        self_ensemble=protocol.self_ensemble,
        parameters=_parameters(network),
        scores={},
    )


def _parameters(module: Any) -> int:
    """The number of parameters in inference form, as of files."""
    from mafdn.networks.counting import count_parameters

    return count_parameters(module.fold() if callable(getattr(type(module), "fold", None)) else module)


def _means(label: str, scores: Sequence[SetScore]) -> dict[str, tuple[float | None, float]]:
    return {score.bench: (finite(score.psnr), score.ssim) for score in scores if score.network == label}


def _degradations(degrade: Any) -> tuple[Degradation | None, ...]:
    texts = _as_list(degrade)
    for text in texts:
        if not isinstance(text, str):
            raise UsageError(f"degrade must be a string such as 'jpeg:75', or several, not {text!r}")
    return parse_degradations(texts)


def _as_list(value: Any) -> list[Any]:
    """One value, or the values of a list or tuple."""
    return list(cast(Sequence[Any], value)) if isinstance(value, list | tuple) else [value]
