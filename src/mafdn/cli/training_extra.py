"""Guard around everything that needs the ``train`` extra.

Public names: :func:`training_extra`.
"""

from collections.abc import Generator
from contextlib import contextmanager

from mafdn.errors import MissingPackageError


@contextmanager
def training_extra(what: str) -> Generator[None]:
    """Turn a failed import of torch or onnx into one line that names the extra; for use around imports only."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{what} needs {error.name}: pip install 'mafdn[train]'") from None
