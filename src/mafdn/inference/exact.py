"""Float32 that is computed as such on NVIDIA GPUs."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock
from typing import Any

Setting = tuple[Any, str, Any]
"""An object, the name of an attribute, and its value."""


class _Settings:
    """What torch was set to before the first of the threads that compute exactly now."""

    changing = Lock()
    threads = 0
    before: tuple[Setting, ...] = ()


@contextmanager
def exact_float32() -> Generator[None]:
    """Compute float32 in torch without TF32, which rounds the factors of products to 10 bits.

    torch does so in convolutions by default. The setting belongs to the process; it is restored when the last of
    several threads leaves.
    """
    with _Settings.changing:
        if not _Settings.threads:
            exact = _exact()
            _Settings.before = tuple((owner, name, getattr(owner, name)) for owner, name, _ in exact)
            _set(exact)
        _Settings.threads += 1
    try:
        yield
    finally:
        with _Settings.changing:
            _Settings.threads -= 1
            if not _Settings.threads:
                _set(_Settings.before)


def _exact() -> tuple[Setting, ...]:
    """The attributes that switch TF32 off: of torch's older interface, unless the newer one is in use."""
    import torch

    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    older: tuple[Setting, ...] = tuple((part, "allow_tf32", False) for part in (cudnn, products))
    try:
        for part, name, _ in older:
            getattr(part, name)
    except RuntimeError:  # torch refuses to mix them
        newer: Any = cudnn
        return tuple((part, "fp32_precision", "ieee") for part in (newer.conv, newer.rnn, products))
    return older


def _set(values: tuple[Setting, ...]) -> None:
    for owner, name, value in values:
        setattr(owner, name, value)
