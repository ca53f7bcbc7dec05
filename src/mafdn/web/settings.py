"""The settings of a server, validated on creation."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from mafdn._support.validate import as_number, as_whole
from mafdn.errors import UsageError
from mafdn.inference import EngineOptions
from mafdn.pictures.limits import Limits
from mafdn.weights.resolve import NAMES_OF_SCALES, SHIPPED_NAMES, resolve
from mafdn.weights.shipped import shipped_scales

LEAST_TOKEN = 16
"""Least length of a token in characters."""
MOST_PROCESSES = 64
DAY = 86_400.0
"""Seconds of a day."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How a server works and what it allows.

    Args:
        folder: Private folder for uploads, results and the queue.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        token: What clients have to present; `None` to ask for nothing.
        insecure: Whether anyone may connect without a token on an address other than loopback.
        allowed_hosts: Further names by which the server is reached, such as that of a proxy.
        allowed_origins: Origins of other pages that may use the interface, such as `https://example.org`.
        network: The network that is used unless a request names another one: as for `mafdn.upscale_file`.
        engine: Engine, device, precision and threads (default: all cores, divided among the processes).
        processes: Number of engine processes.
        limits: Limits for each picture; a request can only lower them.
        queue: Most pictures that wait or are being uploaded.
        disk_mb: Most millions of bytes of uploads and results together.
        pixels_in_flight: Most pixels of results that are in the engine processes together; a larger one is alone.
        keep_seconds: How long results are kept.
        keep_delivered_seconds: How long they are kept after they were downloaded.

    Raises:
        UsageError: If a value is out of range, or the address needs a token.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8484
    token: str | None = None
    insecure: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    network: str = "auto"
    engine: EngineOptions = field(default_factory=EngineOptions)
    processes: int = 1
    limits: Limits = field(default_factory=lambda: Limits(file_mb=1_000, seconds=3_600))
    queue: int = 500
    disk_mb: float = 20_000
    pixels_in_flight: int = 800_000_000
    keep_seconds: float = DAY
    keep_delivered_seconds: float = 3_600.0

    def __post_init__(self) -> None:
        as_whole("port", self.port, least=0, most=65_535)
        as_whole("the number of engine processes", self.processes, least=0, most=MOST_PROCESSES)
        as_whole("the length of the queue", self.queue, least=1, most=100_000)
        for name in ("disk_mb", "keep_seconds", "keep_delivered_seconds"):
            as_number(name, getattr(self, name), least=0, most=1e12)
        as_number("file_mb", self.limits.file_mb, least=0, most=1e12)
        if self.token is not None and (len(self.token) < LEAST_TOKEN or not _is_token(self.token)):
            raise UsageError(f"the token must have at least {LEAST_TOKEN} printable ASCII characters without spaces")
        if self.token is None and not self.insecure and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} can be reached from other machines: protect it by --token-file, or state "
                "--insecure-no-auth if anyone there may use it"
            )
        for origin in self.allowed_origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise UsageError(f"an origin is a scheme and a host such as https://example.org, not {origin!r}")
        resolve(self.network)

    @property
    def upload_bytes(self) -> int:
        """Most bytes of an upload."""
        return int(self.limits.file_mb * 1e6)

    @property
    def networks(self) -> dict[str, str]:
        """The networks that requests may name, and what `mafdn.upscale_file` is given for them.

        A request never names a file: one that the server was started with is called by its file name without ending.
        """
        fixed = {name for name, (variant, scale) in NAMES_OF_SCALES.items() if scale in shipped_scales(variant)}
        names = [name for name, variant in SHIPPED_NAMES.items() if shipped_scales(variant)]
        known = {name: name for name in (*names, *sorted(fixed))}
        return known if self.network in known else {self.default_network: self.network, **known}

    @property
    def default_network(self) -> str:
        """The name of the network that is used unless a request names another one."""
        return self.network if resolve(self.network).kind == "shipped" else resolve(self.network).stem


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
