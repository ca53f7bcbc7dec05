"""Report missing optional packages in one line."""

from collections.abc import Generator
from contextlib import contextmanager

from mafdn._support.extras import pip_install
from mafdn.errors import MissingPackageError


@contextmanager
def needs_extra(what: str, *, extra: str) -> Generator[None]:
    """Turn a failed import within the context into an error that names the extra to install.

    Args:
        what: What needs the package, the subject of the message.
        extra: The extra that installs it.

    Raises:
        MissingPackageError: An import failed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{what} needs {error.name}: {pip_install(extra)}") from None
