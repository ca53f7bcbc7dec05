"""The size of results for which networks are counted and timed."""

OUTPUT = (720, 1280)
"""Height and width."""


def input_size(scale: int) -> tuple[int, int]:
    """Height and width of the input: `OUTPUT` divided by the scale, rounded down."""
    return OUTPUT[0] // scale, OUTPUT[1] // scale
