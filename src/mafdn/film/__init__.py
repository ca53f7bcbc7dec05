"""Films: decode, upscale frame by frame, encode, and put everything else back as it was.

PyAV, which brings its own FFmpeg, is the extra `film`. Of this package, only `options`, `frame`, `libav` and
`source.info` can be imported without it; call `libav.require_av` before importing anything else.
"""
