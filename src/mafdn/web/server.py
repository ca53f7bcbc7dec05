"""Running the application: the socket, signals, and the address that is printed."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from types import FrameType
from typing import Any

import uvicorn

from mafdn.errors import MafdnError
from mafdn.web.app import create_app
from mafdn.web.http.connections import TimedProtocol
from mafdn.web.service import Service
from mafdn.web.settings import ServerSettings

logger = logging.getLogger("mafdn.web")
MOST_CONNECTIONS = 512
"""Connections at the same time; further requests are answered with 503."""
BACKLOG = 128
"""Connections that the system may keep waiting."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(settings: ServerSettings, *, on_start: Callable[[str], None], access_log: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; pictures in progress are finished first, unless a second signal comes.

    Args:
        settings: The settings of the server.
        on_start: Called with the address of the page when it can be opened.
        access_log: Whether to log every request.

    Raises:
        MafdnError: If the port or the folder cannot be used.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access_log else logging.WARNING)
    sock = _listen(settings.host, settings.port)
    with sock:
        settings = replace(settings, port=sock.getsockname()[1])
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            http=TimedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=access_log,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=20,
        )
        server = _Server(config, app.state.service, on_start=lambda: on_start(address(settings)))
        asyncio.run(_run(server, app.state.service, sock))


async def _run(server: "_Server", service: Service, sock: socket.socket) -> None:
    with _signals(server.handle_exit):
        await service.start()
        try:
            await server.serve(sockets=[sock])
        finally:
            await service.close()


@contextlib.contextmanager
def _signals(handle: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """Handle signals in the event loop within this context."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def pass_on(sig: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(handle, sig, frame)

    before: dict[int, Any] = {number: signal.signal(number, pass_on) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def address(settings: ServerSettings) -> str:
    """Return the address of the page, with the token after the `#`, which browsers never send."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{settings.port}/" + (f"#token={settings.token}" if settings.token else "")


class _Server(uvicorn.Server):
    """A server that finishes its work at the first signal."""

    def __init__(self, config: uvicorn.Config, service: Service, *, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._on_start = service, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, or end at once if that had begun."""
        del frame
        if self.should_exit:
            self.force_exit = True
            self._service.hurry()
            return
        self.should_exit = True
        self._service.begin_closing()
        running = len(self._service.queue.running)
        if running:
            logger.warning("finishing %d pictures; another %s stops at once", running, signal.Signals(sig).name)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to `serve`, which handles them until the last picture is finished."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises `MafdnError`."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(where)
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
    except OSError as error:
        advice = "choose another one with --port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else ""
        raise MafdnError.from_os_error(f"cannot listen on {host} port {port}", error, advice) from None
    sock.setblocking(False)
    return sock
