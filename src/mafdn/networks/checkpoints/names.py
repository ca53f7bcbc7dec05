"""The names of tensors in the files of other authors."""

import re

from mafdn.networks.architectures import Settings, architecture

IMDN_NAMES = {
    "head": "fea_conv",
    "blocks.#.refines.#": "IMDB{}.c{}",
    "blocks.#.merge": "IMDB{}.c5",
    "blocks.#.channel.squeeze": "IMDB{}.cca.conv_du.0",
    "blocks.#.channel.expand": "IMDB{}.cca.conv_du.2",
    "fuse": "c.0",
    "smooth": "LR_conv",
    "tail": "upsampler.0",
}
"""Names of modules and parameters here, and in the authors' files; `#` stands for a number."""
UNIT_NAMES = {
    "conv": "dbb_reparam",
    "residual.squeeze": "dy_branch.fc.0",
    "residual.gate": "dy_branch.fc.1.fc.0",
    "residual.mix": "dy_branch.fc_phi",
    "residual.scale": "dy_branch.fc_scale",
    "residual.enter": "dy_branch.q",
    "residual.norm1": "dy_branch.bn1",
    "residual.norm2": "dy_branch.bn2",
    "residual.leave": "dy_branch.p",
}
DDISTILL_NAMES = {
    "head": "fea_conv",
    "blocks.#.keeps.#": "B{}.c{}_d",
    **{f"blocks.#.units.#.{ours}": f"B{{}}.c{{}}_r.unit.{theirs}" for ours, theirs in UNIT_NAMES.items()},
    "blocks.#.last": "B{}.c4",
    "blocks.#.merge": "B{}.c5",
    "blocks.#.gather": "B{}.conv1x1",
    "blocks.#.gate": "B{}.PAconv",
    "blocks.#.attention.reduce": "B{}.esa.conv1",
    "blocks.#.attention.shrink": "B{}.esa.conv2",
    "blocks.#.attention.coarse.0": "B{}.esa.conv_max",
    "blocks.#.attention.coarse.1": "B{}.esa.conv3",
    "blocks.#.attention.coarse.2": "B{}.esa.conv3_",
    "blocks.#.attention.direct": "B{}.esa.conv_f",
    "blocks.#.attention.expand": "B{}.esa.conv4",
    "fuse": "c.0",
    "fuse_residuals": "cres.0",
    "gate": "PAconv",
    **{f"smooth.{ours}": f"LR_conv.unit.{theirs}" for ours, theirs in UNIT_NAMES.items()},
    "tail": "upsamplerx{scale}.0",
    "finish": "upsamplerx{scale}.2",
}
SMFANET_NAMES = {
    "head": "to_feat",
    "blocks.#.modulate.split": "feats.{}.smfa.linear_0",
    "blocks.#.modulate.coarse": "feats.{}.smfa.dw_conv",
    "blocks.#.modulate.coarse_factor": "feats.{}.smfa.alpha",
    "blocks.#.modulate.variance_factor": "feats.{}.smfa.belt",
    "blocks.#.modulate.gate": "feats.{}.smfa.linear_1",
    "blocks.#.modulate.detail.depthwise": "feats.{}.smfa.lde.conv_0.0",
    "blocks.#.modulate.detail.expand": "feats.{}.smfa.lde.conv_0.1",
    "blocks.#.modulate.detail.reduce": "feats.{}.smfa.lde.conv_1",
    "blocks.#.modulate.merge": "feats.{}.smfa.linear_2",
    "blocks.#.feed.expand": "feats.{}.pcfn.conv_0",
    "blocks.#.feed.partial": "feats.{}.pcfn.conv_1",
    "blocks.#.feed.reduce": "feats.{}.pcfn.conv_2",
    "tail": "to_img.0",
}
FOREIGN_NAMES = {"imdn": (IMDN_NAMES, 1), "ddistill": (DDISTILL_NAMES, 1), "smfanet": (SMFANET_NAMES, 0)}
"""Names by architecture, and the number from which the authors count blocks and layers (here 0)."""


def their_name(ours: str, settings: Settings) -> str:
    """The name in a .pth file of the tensor that is called `ours` here."""
    if architecture(settings) not in FOREIGN_NAMES:
        return ours
    table, first = FOREIGN_NAMES[architecture(settings)]
    # Numbers of blocks and steps are replaced by #; numbers in ESA's list are part of a name.
    pattern = re.sub(r"(blocks|refines|keeps|units)\.\d+", r"\1.#", ours)
    numbers = [int(n) + first for n in re.findall(r"(?:blocks|refines|keeps|units)\.(\d+)", ours)]
    if pattern in table:
        return table[pattern].format(*numbers, scale=settings.scale)
    module, _, kind = pattern.rpartition(".")
    return f"{table[module].format(*numbers, scale=settings.scale)}.{kind}"
