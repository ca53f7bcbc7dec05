"""Servers for tests: in this process without engines, and with one."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mafdn.web.app import create_app
from mafdn.web.settings import ServerSettings
from tests.support import use_cache

ADDRESS = "http://127.0.0.1:8484"


class Client(TestClient):
    """A client of a server in this process, with its settings at hand."""

    def __init__(self, settings: ServerSettings, page: Path) -> None:
        page.mkdir(exist_ok=True)
        (page / "index.html").write_text("<!doctype html><title>page</title>")
        (page / "page.js").write_text("export {};")
        self.server = create_app(settings, page_folder=page)
        self.settings = settings
        super().__init__(self.server, ADDRESS, raise_server_exceptions=False)

    @property
    def service(self) -> Any:
        """The service behind the routes."""
        return self.server.state.service


Serve = Callable[..., Client]


@pytest.fixture
def serve(tmp_path: Path) -> Generator[Serve]:
    """Start servers with these settings, without engines unless `processes` says otherwise."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Client:
            values: dict[str, Any] = {"folder": tmp_path / "server", "processes": 0, **settings}
            return stack.enter_context(Client(ServerSettings(**values), tmp_path / "page"))

        yield start


@pytest.fixture
def client(serve: Serve) -> Client:
    """A client of a server without engines: whatever is queued stays so."""
    return serve()


@pytest.fixture(scope="module")
def engine_client(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Generator[Client]:
    """A client of a server with one engine process, which runs the small x2 network."""
    folder = tmp_path_factory.mktemp("web")
    with pytest.MonkeyPatch.context() as patch:
        use_cache(folder / "cache", patch)
        settings = ServerSettings(folder=folder / "server", network=str(exported))
        with Client(settings, folder / "page") as client:
            yield client
