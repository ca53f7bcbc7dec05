"""What goes wrong in a server, beside the errors of `mafdn.errors`."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from mafdn import errors
from mafdn.errors import MafdnError


class InternalError(MafdnError):
    """An unexpected error in one of the server's processes, whose log says more."""


class RefusedError(Exception):
    """A request that is refused.

    Args:
        status: HTTP status.
        message: One line, as the command line would put it.
        retry_after: Seconds after which the request may succeed.
    """

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after


class ClosingError(RefusedError):
    """A request that comes, or waits, while the server is closing."""

    def __init__(self) -> None:
        super().__init__(503, "the server is closing; try again later", retry_after=10)


@contextmanager
def storing() -> Generator[None]:
    """Turn an error of the file system into a `RefusedError` with status 507."""
    try:
        yield
    except OSError as error:
        raise RefusedError(507, f"the upload cannot be stored: {error.strerror or error}") from None


def error_of(failure: Mapping[str, str]) -> MafdnError:
    """Return the error that a process reported by its class (`fault`) and message (`error`)."""
    kind = getattr(errors, failure["fault"], InternalError)
    return kind(failure["error"])
