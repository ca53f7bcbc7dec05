"""Read films: `open_film` gives a `FilmSource` with its `FilmInfo` and its frames."""

from mafdn.film.source.info import Color, FilmInfo, Light, StreamInfo

__all__ = ["Color", "FilmInfo", "Light", "StreamInfo"]
