"""Several pictures in one file: frames with their timing, and pages; read in order and written in order."""
