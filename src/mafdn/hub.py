"""MAFDN with the methods of the Hugging Face hub: `save_pretrained`, `from_pretrained`, `push_to_hub`.

    network = mafdn.hub.HubMAFDN.of("x4")
    network.save_pretrained("mafdn-x4")  # model.safetensors, config.json, README.md
    network = mafdn.hub.HubMAFDN.from_pretrained("mafdn-x4")  # the folder; any other name is fetched from the hub

Needs the extras `hub` and `train`. Nothing is sent or fetched unless `push_to_hub` is called, or `from_pretrained` with
a name that is no folder.
"""

import os
from dataclasses import asdict

from mafdn._support.extras import pip_install
from mafdn.errors import MissingPackageError, UsageError

try:
    from huggingface_hub import PyTorchModelHubMixin
except ModuleNotFoundError as error:
    raise MissingPackageError(f"mafdn.hub needs {error.name}: {pip_install('hub,train')}") from None

from mafdn.networks import MAFDN, MAFDNSettings
from mafdn.pytorch import load_network

CARD = """
---
{{ card_data }}
---

# MAFDN: image super-resolution on ordinary processors

A *reconstruction*, from the abstract alone, of the multi-attention feature distillation network of Zhang et al. 2024
(doi 10.1155/2024/3255233). It is not the published architecture, and the weights are not its authors'.

```python
from mafdn.hub import HubMAFDN

network = HubMAFDN.from_pretrained("FOLDER_OR_NAME")  # pip install "mafdn[hub,train]"
larger = network(image).clamp(0, 1)  # image: (B, 3, H, W) float32 RGB in [0, 1]
```

The code is licensed under Apache-2.0. For the weights, see the model card of the project: part of the training pictures
is licensed for non-commercial research only or has unclear terms.
"""
"""The text of the README.md that `save_pretrained` writes; the metadata is added by huggingface_hub."""


class HubMAFDN(
    MAFDN,
    PyTorchModelHubMixin,
    library_name="mafdn",
    pipeline_tag="image-to-image",
    license="other",
    tags=["super-resolution", "image-to-image", "pytorch"],
    model_card_template=CARD,
):
    """(B, 3, H, W) float32 RGB in [0, 1] to (B, 3, scale*H, scale*W), not clipped; on the hub or in a folder.

    Args: as the fields of `MAFDNSettings`, which `config.json` stores. By default in folded form.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        width: int = 50,
        blocks: int = 6,
        pixel_attention: bool = True,
        channel_attention: bool = True,
        spatial_attention: bool = True,
        over_parameterized: bool = False,
    ) -> None:
        super().__init__(
            MAFDNSettings(
                scale=scale,
                width=width,
                blocks=blocks,
                pixel_attention=pixel_attention,
                channel_attention=channel_attention,
                spatial_attention=spatial_attention,
                over_parameterized=over_parameterized,
            )
        )

    @classmethod
    def of(cls, network: str | os.PathLike[str] = "x4") -> "HubMAFDN":
        """The network of a name, a file or a run, as `mafdn.load_network` takes them, in folded form.

        Raises:
            UsageError: It is another network than a MAFDN, or unknown.
            WeightsError: The file is missing or unusable.
        """
        loaded = load_network(network)
        if not isinstance(loaded, MAFDN):
            raise UsageError(f"{os.fspath(network)} is a {type(loaded).__name__}; only MAFDN has these methods")
        made = cls(**asdict(loaded.settings))
        made.load_state_dict(loaded.state_dict())
        return made.eval()
