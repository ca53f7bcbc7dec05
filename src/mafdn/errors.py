"""The errors of this package; each message is one line that says what was wrong, with which file, and what to do."""

from typing import Self


class MafdnError(Exception):
    """Base class of all errors that are raised on purpose.

    Attributes:
        errno: Error number if the operating system caused the error, else `None`. Code decides by the class and this
            number, never by the message.
    """

    def __init__(self, message: str = "", *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno

    @classmethod
    def from_os_error(cls, what: str, error: OSError) -> Self:
        """Create an error that says `what` failed and for which system error."""
        return cls(f"{what}: {error.strerror or error}", errno=error.errno)


class PictureError(MafdnError):
    """A picture could not be read or written."""


class DamagedError(PictureError):
    """A picture file is damaged, incomplete, or not a picture of a known format."""


class UnsupportedError(PictureError):
    """A picture, document or film is of a format that is known, but not read."""


class EncodeError(PictureError):
    """A codec could not write a picture; it may not say why, and a full disk is a possible cause."""


class WeightsError(MafdnError):
    """A weights or ONNX file is missing, damaged, or not a known network."""


class ConfigError(MafdnError):
    """A configuration file has an unknown key or an invalid value."""


class UsageError(MafdnError):
    """Invalid usage: an argument, or a combination of arguments, that no file could make valid."""


class MissingPackageError(MafdnError):
    """An optional dependency is needed and not installed; the message names the extra that installs it."""
