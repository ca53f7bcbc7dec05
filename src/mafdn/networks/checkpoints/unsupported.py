"""Recognize well-known networks that this package does not have, to name them in messages."""

import re
from collections.abc import Collection

UNSUPPORTED: dict[str, tuple[str, ...]] = {
    "HAT": (r"layers\.0\.residual_group\.overlap_attn\.",),
    "Swin2SR": (r"layers\.0\.residual_group\.blocks\.0\.attn\.cpb_mlp\.",),
    "MambaIR": (r"layers\.0\.residual_group\.\w+\.0\.self_attention\.A_logs",),
    "SwinIR": (r"layers\.0\.residual_group\.blocks\.0\.attn\.relative_position_bias_table",),
    "DAT": (r"layers\.0\.blocks\.0\.attn\.attns\.0\.",),
    "OmniSR": (r"residual_layer\.0\.residual_layer\.0\.layer\.0\.",),
    "ELAN": (r"body\.0\.modules_gmsa\.",),
    "RCAN": (
        r"body\.0\.body\.0\.body\.3\.conv_du\.0\.weight",
        r"body\.0\.residual_group\.0\.rcab\.0\.weight",
    ),
    "EDSR": (r"body\.0\.body\.2\.weight",),
    "EDSR or SRResNet (BasicSR)": (r"body\.0\.conv2\.weight",),
    "RRDBNet (ESRGAN)": (
        r"(RRDB_trunk|body)\.0\.(RDB|rdb)1\.conv1\.weight",
        r"1\.sub\.0\.RDB1\.conv1\.0\.weight",
    ),
    "RDN": (r"RDBs\.0\.convs\.0\.",),
    "SPAN": (r"block_1\.c1_r\.(sk|eval_conv)\.weight",),
    "RLFN": (r"block_1\.c1_r\.weight",),
    "BSRN": (r"B1\.c1_r\.(pw|dw)\.weight",),
    "RFDN": (r"B1\.c1_r\.weight",),
    "PAN": (r"SCPA_trunk\.0\.conv1_a\.weight",),
    "SAFMN": (r"feats\.0\.safm\.",),
    "PLKSR": (r"feats\.\d+\.lk\.", r"feats\.1\.channe_mixer\."),
    "VapSR": (r"VABs\.0\.proj_1\.weight",),
    "CARN": (r"b1\.b1\.body\.0\.weight",),
    "ECBSR": (r"backbone\.0\.conv3x3\.weight",),
    "VDSR": (r"residual_layer\.0\.conv\.weight",),
    "FSRCNN": (r"first_part\.0\.weight",),
}
"""By network, patterns of tensor names, one of which its checkpoints have; of several that match, the first counts."""
PATTERNS = {name: re.compile("|".join(f"({pattern})" for pattern in texts)) for name, texts in UNSUPPORTED.items()}
WHOLE = {
    "SRCNN": re.compile(r"conv[1-3]\.(weight|bias)"),
    "SRVGGNetCompact (Real-ESRGAN)": re.compile(r"body\.\d+\.(weight|bias)"),
}
"""By network, a pattern that all names of tensors match, because each alone is too common."""


def unsupported_network(names: Collection[str]) -> str | None:
    """The network whose tensors have these names; `None` if it is not known either."""
    for network, pattern in PATTERNS.items():
        if any(pattern.match(name) for name in names):
            return network
    return next((network for network, pattern in WHOLE.items() if all(map(pattern.fullmatch, names))), None)
