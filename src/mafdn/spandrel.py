"""MAFDN for spandrel, and so for programs that load networks with it: ComfyUI, chaiNNer, Stable Diffusion web UIs.

    import mafdn.spandrel, spandrel

    mafdn.spandrel.install()
    model = spandrel.ModelLoader().load_from_file("mafdn-x4.safetensors")

Needs the extra `spandrel`. The network is recognized by its tensors alone, in training or folded form and of any size.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

from mafdn._support.extras import pip_install
from mafdn.errors import MissingPackageError

try:
    from spandrel import (  # pyright: ignore[reportMissingImports]
        MAIN_REGISTRY,
        Architecture,
        ArchRegistry,
        ArchSupport,
        ImageModelDescriptor,
        ModelTiling,
        SizeRequirements,
    )
    from spandrel.util import KeyCondition, get_seq_len  # pyright: ignore[reportMissingImports]
    from torch import Tensor
except ModuleNotFoundError as error:
    raise MissingPackageError(f"mafdn.spandrel needs {error.name}: {pip_install('spandrel')}") from None

from mafdn.networks import MAFDN, MAFDNSettings

KEYS = ("head.weight", "fuse.weight", "smooth.weight", "blocks.0.merge.weight", "blocks.0.distills.3.conv.weight")
"""Names of tensors that a MAFDN has in every form."""
TAIL = "tail.weight"


def install(registry: Any = None) -> list[Any]:
    """Add MAFDN to the networks that spandrel recognizes; a second call changes nothing.

    Args:
        registry: A `spandrel.ArchRegistry`; by default that of every `ModelLoader`.

    Returns:
        The `spandrel.ArchSupport` entries that were added.

    Raises:
        MissingPackageError: On import, if spandrel or torch is not installed.
    """
    target: ArchRegistry = MAIN_REGISTRY if registry is None else registry
    return target.add(ArchSupport.from_architecture(MAFDNArch()), ignore_duplicates=True)


def settings_of(state: Mapping[str, Tensor]) -> MAFDNSettings:
    """The settings of the MAFDN with these tensors, in training or folded form.

    Raises:
        ValueError: The tensors describe no MAFDN.
    """
    try:
        rows, width = state[TAIL].shape[0], state["head.weight"].shape[0]
    except (KeyError, IndexError):
        raise ValueError(f"tensors without {TAIL} and head.weight are no MAFDN") from None
    scale = math.isqrt(rows // 3)
    if 3 * scale**2 != rows:
        raise ValueError(f"{TAIL} has {rows} rows, which is no scale")
    return MAFDNSettings(
        scale=scale,
        width=width,
        blocks=get_seq_len(cast(Any, state), "blocks"),
        pixel_attention="blocks.0.distills.0.attention.conv.weight" in state,
        channel_attention="blocks.0.channel.squeeze.weight" in state,
        spatial_attention="blocks.0.spatial.conv.weight" in state,
        over_parameterized="blocks.0.refines.0.conv.parametrizations.weight.0.D" in state,
    )


class MAFDNArch(Architecture[MAFDN]):
    """The reconstruction of MAFDN as an architecture of spandrel; the loaded network is in folded form."""

    def __init__(self) -> None:
        super().__init__(id="MAFDN", detect=KeyCondition.has_all(*KEYS, TAIL))

    def load(self, state_dict: Any) -> ImageModelDescriptor[MAFDN]:
        """The network with these tensors, and what a host has to know of it.

        With channel attention, tiles are discouraged, as each would get other gates; a file of
        `mafdn export --plain` has none.
        """
        settings = settings_of(state_dict)
        network = MAFDN(settings)
        network.load_state_dict(state_dict)
        folded = network.fold()
        return ImageModelDescriptor(
            folded,
            folded.state_dict(),
            architecture=self,
            purpose="SR",
            tags=[f"{settings.width}nf", f"{settings.blocks}nb"],
            supports_half=True,
            supports_bfloat16=True,
            scale=settings.scale,
            input_channels=3,
            output_channels=3,
            size_requirements=SizeRequirements(),
            tiling=ModelTiling.DISCOURAGED if settings.channel_attention else ModelTiling.SUPPORTED,
        )


__all__ = ["MAFDNArch", "install", "settings_of"]
