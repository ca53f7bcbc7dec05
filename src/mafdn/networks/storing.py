"""Tensors as safetensors files hold them."""

from collections.abc import Mapping

from torch import Tensor


def storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that are contiguous and share no memory.

    A module that is registered under two names, or a parameter that two modules share, is stored twice.
    """
    seen: set[int] = set()
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stored[name] = tensor.contiguous()
        place = stored[name].untyped_storage().data_ptr()
        if place in seen:
            stored[name] = stored[name].clone()
        seen.add(place)
    return stored
