"""JPEG XL: pixels by imagecodecs, and by itself what imagecodecs neither reports nor writes: colors and metadata."""
