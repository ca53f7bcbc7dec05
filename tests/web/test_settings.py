"""Settings of servers: what they refuse, and which networks they offer."""

import math
from pathlib import Path
from typing import Any

import pytest

from mafdn.errors import UsageError, WeightsError
from mafdn.pictures.limits import Limits
from mafdn.web.settings import ServerSettings, is_loopback

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "example.org"])
def test_other_addresses_need_a_token_or_the_word_insecure(host: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--insecure-no-auth"):
        ServerSettings(folder=tmp_path, host=host)
    assert ServerSettings(folder=tmp_path, host=host, token=TOKEN).token == TOKEN
    assert ServerSettings(folder=tmp_path, host=host, insecure=True).token is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3", "[::1]"])
def test_loopback_needs_none(host: str, tmp_path: Path) -> None:
    assert is_loopback(host)
    ServerSettings(folder=tmp_path, host=host)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"token": "short"}, "at least 16"),
        ({"token": "with spaces inside it"}, "without spaces"),
        ({"token": "é" * 20}, "ASCII"),
        ({"port": 70_000}, "port must be between"),
        ({"queue": 0}, "queue must be between"),
        ({"limits": Limits(file_mb=math.inf)}, "file_mb must be between 0 and .*, not inf"),
        ({"disk_mb": math.nan}, "disk_mb must be between"),
        ({"keep_seconds": math.inf}, "keep_seconds must be between"),
        ({"keep_delivered_seconds": math.inf}, "keep_delivered_seconds must be between"),
        ({"keep_delivered_seconds": math.nan}, "keep_delivered_seconds must be between"),
        ({"allowed_origins": ("example.org",)}, "an origin is"),
        ({"allowed_origins": ("https://example.org/",)}, "an origin is"),
        ({"network": "nothing"}, "unknown network"),
    ],
)
def test_invalid_settings_are_refused(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        ServerSettings(folder=tmp_path, **values)


def test_a_missing_network_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        ServerSettings(folder=tmp_path, network=str(tmp_path / "x.onnx"))


def test_a_file_is_offered_by_its_name_only(tmp_path: Path, exported: Path) -> None:
    settings = ServerSettings(folder=tmp_path, network=str(exported))
    assert settings.default_network == "small"
    assert settings.networks["small"] == str(exported)
    assert {"auto", "x2", "x4"} <= set(settings.networks)
    assert all(value == name for name, value in settings.networks.items() if name != "small")
