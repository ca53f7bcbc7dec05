"""The rules that the settings of every network keep.

Public names: :func:`check_sizes`.
"""


def check_sizes(*, scale: int, width: int, blocks: int, multiple: int) -> None:
    """Raise ``ValueError`` unless there is a block, the scale is 2, 3 or 4 and the width fits ``multiple``."""
    if scale not in (2, 3, 4):
        raise ValueError(f"scale must be 2, 3 or 4, not {scale}")
    if width < multiple or width % multiple:
        fits = {1: "", 2: "even and "}.get(multiple, f"a multiple of {multiple} and ")
        raise ValueError(f"width must be {fits}at least {multiple}, not {width}")
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, not {blocks}")
