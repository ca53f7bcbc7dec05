"""JPEG XL: pixels by imagecodecs, and by itself what imagecodecs does not tell or write: colors and metadata."""
