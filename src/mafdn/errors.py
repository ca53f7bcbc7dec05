"""The errors this package raises on purpose; each message is one line a person can act on.

Public names: :class:`MafdnError` and its children :class:`PictureError`, :class:`DamagedError`,
:class:`WeightsError`, :class:`ConfigError`, :class:`UsageError`, :class:`MissingPackageError`.
"""


class MafdnError(Exception):
    """Something went wrong that is not a bug: the message says what, with which file, and what to do."""


class PictureError(MafdnError):
    """A picture could not be read or written."""


class DamagedError(PictureError):
    """A picture file is not whole, or holds no known picture at all."""


class WeightsError(MafdnError):
    """A weights or ONNX file is missing, damaged or of an unknown network."""


class ConfigError(MafdnError):
    """A settings file holds an unknown key or an impossible value."""


class UsageError(MafdnError):
    """The request itself makes no sense, whatever the files hold."""


class MissingPackageError(MafdnError):
    """An optional dependency is needed and absent; the message names the extra that brings it."""
