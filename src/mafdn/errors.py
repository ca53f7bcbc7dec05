"""The errors this package raises on purpose; each message is one line a person can act on.

Public names: :class:`MafdnError` and its children :class:`PictureError`, :class:`DamagedError`, :class:`EncodeError`,
:class:`WeightsError`, :class:`ConfigError`, :class:`UsageError`, :class:`MissingPackageError`.
"""

from typing import Self


class MafdnError(Exception):
    """Something went wrong that is not a bug: the message says what, with which file, and what to do.

    ``errno`` is the system's error number where the system refused something: code decides by it, never by the message.
    """

    def __init__(self, message: str = "", *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno

    @classmethod
    def from_os_error(cls, what: str, error: OSError) -> Self:
        """``what`` could not be done, for the system's reason; its error number is kept."""
        return cls(f"{what}: {error.strerror or error}", errno=error.errno)


class PictureError(MafdnError):
    """A picture could not be read or written."""


class DamagedError(PictureError):
    """A picture file is not whole, or holds no known picture at all."""


class EncodeError(PictureError):
    """A codec could not write a picture; it need not say why, and a full disk is one cause."""


class WeightsError(MafdnError):
    """A weights or ONNX file is missing, damaged or of an unknown network."""


class ConfigError(MafdnError):
    """A settings file holds an unknown key or an impossible value."""


class UsageError(MafdnError):
    """The request itself makes no sense, whatever the files hold."""


class MissingPackageError(MafdnError):
    """An optional dependency is needed and absent; the message names the extra that brings it."""
