"""Films are made and compared by helpers whose assertions say what they compare, too."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.film.support", "tests.film.oracle")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A small film with sound, of five segments."""
    from tests.film import films

    return films.make(tmp_path / "film.mp4", films.Film(frames=24, sounds=(films.Sound(),)))


@pytest.fixture
def right(film: Path) -> bytes:
    """What an undisturbed run gives."""
    from tests.film import support

    report = support.run(film, film.with_name("right.mp4"), **support.CODING)
    content = report.target.read_bytes()
    report.target.unlink()
    return content
