"""The generated parts of README.md, docs and configs, from stored measurements (`python -m tools.figures`)."""
