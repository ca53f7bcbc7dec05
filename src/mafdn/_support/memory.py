"""Recognize when memory ran out, and say what to do about it."""

import re
from collections.abc import Generator
from contextlib import contextmanager

from mafdn.errors import MafdnError, OutOfMemoryError

MESSAGES = re.compile(
    r"can't allocate memory|out of memory|not enough memory|failed to allocate|unable to allocate|bad_alloc"
    r"|alloc(ation)? fail|cannot allocate memory",
    re.IGNORECASE,
)
"""What libraries say that raise no `MemoryError`: torch on CPUs and GPUs, onnxruntime, OpenVINO, libvips."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the CPU or on a GPU."""
    if isinstance(error, MafdnError):
        return isinstance(error, OutOfMemoryError)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, Exception) and bool(MESSAGES.search(str(error)))


@contextmanager
def explain_memory(what: str, advice: str) -> Generator[None]:
    """Turn any out-of-memory error within the context into one line that says what to do.

    Args:
        what: What was being done, such as `training at run.batch = 8`.
        advice: What to lower, such as `lower run.batch or data.patch`.

    Raises:
        OutOfMemoryError: Memory ran out; not raised again where an inner context has explained it.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, MafdnError) or not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(f"out of memory while {what}; {advice}") from None
