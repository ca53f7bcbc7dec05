"""What a network costs: the result of every count, whatever was counted."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Count:
    """One row of a count: learnable parameters, and multiply-adds for one 1280x720 output.

    The fields named `training_...` are those of the training form, with DO-Conv's extra parameters, which add no
    multiply-adds, or AFAN's extra convolutions, which do. The others are those of the folded form.
    """

    part: str
    parameters: int
    training_parameters: int
    conv_macs: int
    training_conv_macs: int
    thop_macs: int
    training_thop_macs: int

    @classmethod
    def of_one_form(cls, *, part: str = "total", parameters: int, conv_macs: int, thop_macs: int) -> "Count":
        """The count of a network whose training form is the same, or unknown."""
        return cls(
            part=part,
            parameters=parameters,
            training_parameters=parameters,
            conv_macs=conv_macs,
            training_conv_macs=conv_macs,
            thop_macs=thop_macs,
            training_thop_macs=thop_macs,
        )
