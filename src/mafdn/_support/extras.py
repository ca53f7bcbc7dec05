"""The command that installs an extra, for messages."""


def pip_install(extra: str) -> str:
    """Return the command that installs an extra of this package, in quotes that every shell knows, also cmd.exe."""
    return f'pip install "mafdn[{extra}]"'
