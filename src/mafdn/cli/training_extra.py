"""Guard around everything that needs the extras ``train`` or ``quantize``.

Public names: :func:`training_extra`.
"""

from collections.abc import Generator
from contextlib import contextmanager

from mafdn.errors import MissingPackageError


@contextmanager
def training_extra(what: str, *, extra: str = "train") -> Generator[None]:
    """Turn a failed import of torch, onnx or nncf into one line that names the extra; for use around imports only."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{what} needs {error.name}: pip install 'mafdn[{extra}]'") from None
