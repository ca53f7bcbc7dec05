"""TIFF: the file, its directories, pages and metadata."""
