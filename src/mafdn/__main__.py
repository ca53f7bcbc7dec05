"""``python -m mafdn``."""

from mafdn.cli import main

main()
