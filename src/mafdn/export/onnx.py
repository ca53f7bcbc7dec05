"""Export a trained network to an ONNX file that runs without torch."""

import contextlib
import io
import json
import logging
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxslim  # pyright: ignore[reportMissingTypeStubs]
import torch

import mafdn.errors
from mafdn._support.atomic import replacing
from mafdn._support.memory import explain_memory, is_out_of_memory
from mafdn._support.progress import ignore
from mafdn._support.text import first_line
from mafdn.errors import OutOfMemoryError, WeightsError
from mafdn.inference import ENGINES
from mafdn.inference.engines import GATES, HEADER, WEIGHTS_DIGEST, Batch
from mafdn.networks import Network, architecture, weights_digest
from mafdn.networks.exported import exported_form
from mafdn.networks.gated import Gated, influence, is_gated, receptive_radius
from mafdn.pixels import imresize

OPSET = 18
CHECK = "mafdn.export.check"
KILLED = 9
"""Number of the signal SIGKILL."""
MEMORY_ADVICE = "close other programs, or export on a machine with more memory"
CHECKED_SIZES = ((48, 40), (37, 65))
"""Heights and widths of the inputs on which every exported file is compared with the network."""
TOLERANCE = 1e-4
"""Largest allowed difference, as a share of white: a fortieth of an 8-bit level."""
AXES = ("batch", "channels", "height", "width")
"""Names of the axes of the input; those of fixed size do not use theirs."""
NEGLIGIBLE = 1e-6
"""The halo is the distance beyond which pixels change test pictures by less than this, as a share of white: a fifteenth
of a 16-bit level."""


def export_onnx(network: Network, path: Path, *, on_progress: Callable[[str, int, int], None] | None = None) -> float:
    """Export `network` to ONNX, and check the file in every engine at two sizes.

    The graph maps `lr` (1, 3, H, W) to `sr` (1, 3, scale*H, scale*W) for any H and W; its header holds the settings and
    the digest of the weights. If the gates can be held (`mafdn.networks.gated`), they are an optional input, NaN by
    default, and a second output, and the header holds the radius and halo of the stencil.

    Args:
        network: In training or folded form.
        path: The file, which is replaced on success only.
        on_progress: Called with a description of each stage before it begins, the number of stages done and their
            total.

    Returns:
        The largest difference between any engine and the network, as a share of white.

    Raises:
        WeightsError: The difference exceeds `TOLERANCE`, an engine crashes, or the file cannot be written.
        OutOfMemoryError: Memory ran out.
    """
    with explain_memory(f"exporting to {path}", MEMORY_ADVICE):
        return _export(network, path, on_progress or ignore)


def _export(network: Network, path: Path, on_stage: Callable[[str, int, int], None]) -> float:
    stages = 2 + len(ENGINES)
    on_stage("building the graph", 0, stages)
    folded = network.fold().cpu()
    checked = checked_pictures(folded)
    worst = math.nan
    try:
        with replacing(path) as temporary:
            if all(np.isfinite(values).all() for values in checked.values()):
                model = _graph(folded, weights_digest(network), lambda stage: on_stage(stage, 1, stages))
                onnx.save(model, temporary)
                found = differences(
                    temporary, checked, lambda number, name: on_stage(f"checking in {name}", 2 + number, stages)
                )
                worst = float(np.max(found))  # NaN if any is NaN
            on_stage("checked", stages, stages)
            if not worst <= TOLERANCE:
                raise WeightsError(f"the exported file differs from the network by {worst:.2g}: {path} was not written")
    except OSError as error:
        raise WeightsError.from_os_error(f"cannot write {path}", error) from None
    return worst


def _graph(folded: Network, digest: str, on_stage: Callable[[str], None]) -> onnx.ModelProto:
    header = header_of(folded, digest)
    if is_gated(folded):
        gated = Gated(exported_form(folded))
        model = traced(gated, (torch.full(gated.shape, torch.nan),), names=(("lr", GATES), ("sr", f"{GATES}_used")))
        # The default is added after onnxslim, which would treat it as a constant.
        nan = np.full(gated.shape, np.nan, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(nan, GATES))
        on_stage("measuring the halo")
        radius = receptive_radius(folded)
        header["stencil"] = {"radius": radius, "halo": _halo(folded, radius)}
    else:
        model = traced(exported_form(folded), names=(("lr",), ("sr",)))
    onnx.helper.set_model_props(model, {HEADER: json.dumps(header)})
    return model


def header_of(folded: Network, digest: str) -> dict[str, Any]:
    """The entries that the header of every exported file has; `digest` is that of the weights it was made from."""
    settings = folded.settings
    return {"architecture": architecture(settings), "settings": asdict(settings), WEIGHTS_DIGEST: digest}


def traced(
    network: torch.nn.Module, gates: tuple[torch.Tensor, ...] = (), *, names: tuple[tuple[str, ...], tuple[str, ...]]
) -> onnx.ModelProto:
    """The graph of a network whose inputs are a picture and any `gates`, with these names of inputs and outputs."""
    dynamic = torch.export.Dim.DYNAMIC
    # To find gates, several windows of one picture are run as a batch.
    free = {0: dynamic, 2: dynamic, 3: dynamic} if gates else {2: dynamic, 3: dynamic}
    with _quiet():
        try:
            program = torch.onnx.export(
                network,
                (torch.zeros(2 if gates else 1, 3, *CHECKED_SIZES[0]), *gates),
                dynamo=True,
                dynamic_shapes=(free, *(None for _ in gates)),
                input_names=list(names[0]),
                output_names=list(names[1]),
                opset_version=OPSET,
            )
        except Exception as error:  # an own network may use what ONNX does not have
            if is_out_of_memory(error):
                raise
            reason = first_line(error)
            name = type(network).__name__
            raise WeightsError(
                f"{name} cannot be exported to ONNX: {reason} (set MAFDN_DEBUG=1 to see the traceback)"
            ) from error
        assert program is not None
        model = cast(onnx.ModelProto, onnxslim.slim(program.model_proto))
    _name_axes(model.graph)
    for node in model.graph.node:  # remove paths of the exporting machine
        del node.metadata_props[:]
        node.doc_string = ""
    return model


def _name_axes(graph: onnx.GraphProto) -> None:
    """Name the free axes of the picture `AXES`, and those that follow from them accordingly, such as `2*height`."""
    given = [axis.dim_param for axis in graph.input[0].type.tensor_type.shape.dim]
    names = {symbol: name for symbol, name in zip(given, AXES, strict=True) if symbol}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = re.sub(r"\w+", lambda found: names.get(found[0], found[0]), axis.dim_param)


def _halo(folded: Network, radius: int) -> int:
    """The least even width, at most `radius`, beyond which test pictures change by less than `NEGLIGIBLE`."""
    side = 2 * radius + 2
    harsh = np.random.default_rng(0).integers(0, 2, (1, 3, side, side)).astype(np.float32)
    changes = [influence(folded, torch.from_numpy(x), radius) for x in (_picture(side, side), harsh)]
    relevant = [distance for distance in range(radius) if not max(change[distance] for change in changes) < NEGLIGIBLE]
    return min(radius, 2 * (max(relevant, default=0) // 2 + 1))


def checked_pictures(folded: Network) -> dict[str, Batch]:
    """Pictures `lr0`, `lr1`, ... and the network's results, `sr0`, `sr1`, ..."""
    pictures: dict[str, Batch] = {}
    for i, (height, width) in enumerate(CHECKED_SIZES):
        x = _picture(height, width)
        with torch.inference_mode():
            pictures |= {f"lr{i}": x, f"sr{i}": folded(torch.from_numpy(x)).numpy()}
    return pictures


def differences(path: Path, pictures: dict[str, Batch], on_engine: Callable[[int, str], None]) -> list[float]:
    """The largest difference of each engine from the network, in separate processes (see `mafdn.export.check`)."""
    found: list[float] = []
    with tempfile.TemporaryDirectory(prefix="mafdn-") as folder:
        stored = Path(folder, "pictures.npz")
        with stored.open("wb") as file:
            np.savez(file, **pictures)  # pyright: ignore[reportArgumentType] - one could be savez's allow_pickle
        for number, name in enumerate(ENGINES):
            on_engine(number, name)
            found.append(_checked(name, path, stored))
    return found


def _checked(engine_name: str, path: Path, pictures: Path) -> float:
    """The largest difference of one engine; raises the engine's error, or `WeightsError` if its process crashes."""
    packages = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", CHECK, engine_name, str(path), str(pictures)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | {"PYTHONPATH": packages},
    )
    if done.returncode < 0:
        how = signal.strsignal(-done.returncode) or f"signal {-done.returncode}"
        if -done.returncode == KILLED:  # as the system does when memory runs out
            raise OutOfMemoryError(f"{engine_name} was killed while it checked the exported file; {MEMORY_ADVICE}")
        raise WeightsError(f"{engine_name} crashed on the exported file ({how}); export it again, or report it")
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise WeightsError(f"{engine_name} failed on the exported file ({reason}); please report it")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "error" in answer:
        raise getattr(mafdn.errors, answer["error"])(answer["message"])
    return answer["difference"]


def _picture(height: int, width: int) -> Batch:
    """Soft spots with a little noise, (1, 3, H, W) in [0, 1]; on pure noise a peer's released weights overflow."""
    rng = np.random.default_rng(height * width)
    spots = imresize(rng.random((-(-height // 4), -(-width // 4), 3)), shape=(height, width))
    picture = 0.9 * spots + 0.1 * rng.random((height, width, 3))
    return np.ascontiguousarray(picture.clip(0, 1).transpose(2, 0, 1)[None], np.float32)


@contextmanager
def _quiet() -> Generator[None]:
    """Suppress the exporter's progress and its remarks about missing packages."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
