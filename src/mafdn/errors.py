"""Errors raised by this package.

Each message is one line: what is wrong, with which file, and what to do about it.
"""

from typing import Self


class MafdnError(Exception):
    """Base class of all errors that are raised on purpose.

    Attributes:
        errno: Error number if the operating system caused the error, else `None`. To tell errors apart, use the class
            and this number, not the message.
        setting: The parameter that the message says to change, such as `overwrite`; empty if it is about none. The
            command line adds the option of this name.
    """

    def __init__(self, message: str = "", *, errno: int | None = None, setting: str = "") -> None:
        super().__init__(message)
        self.errno, self.setting = errno, setting

    @property
    def reason(self) -> str:
        """The message with the name of the parameter to change, for reports, in which it stands alone."""
        return f"{self} (option {self.setting})" if self.setting else str(self)

    @classmethod
    def from_os_error(cls, what: str, error: Exception, advice: str = "") -> Self:
        """Create an error from an `OSError`, or from what a library raised for one.

        Args:
            what: The start of the message, such as "cannot write FILE".
            error: What was raised.
            advice: The end of the message: what to do.
        """
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return cls(f"{what}: {reason}" + (f"; {advice}" if advice else ""), errno=getattr(error, "errno", None))


class PictureError(MafdnError):
    """A picture could not be read or written."""


class DamagedError(PictureError):
    """A picture file is damaged, incomplete, or not a picture of a known format."""


class UnsupportedError(PictureError):
    """A picture, document or film is of a format that is known, but not read."""


class EncodeError(PictureError):
    """A picture could not be encoded or written; the codec may not report the cause, such as a full disk."""


class WeightsError(MafdnError):
    """A weights or ONNX file is missing, damaged, or does not contain a known network."""


class ConfigError(MafdnError):
    """A configuration file has an unknown key or an invalid value."""


class UsageError(MafdnError):
    """An argument or a combination of arguments is invalid."""


class MissingPackageError(MafdnError):
    """A required optional package is not installed; the message says how to install it."""


class OutOfMemoryError(MafdnError):
    """The memory of this machine or of its GPU does not suffice; the message says which setting to lower."""
