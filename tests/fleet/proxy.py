"""A proxy before an S3 server that fails, waits, or refuses credentials as told."""

import http.client
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'

Fault = tuple[int, str] | float | None
"""A status and an S3 error code, seconds to wait, or nothing."""


@contextmanager
def proxy(server: str, fault: Callable[[str, str, int], Fault]) -> Generator[str]:
    """Run a proxy; yields its URL. `fault(method, path, number)` says what is done with each request."""
    upstream = urlsplit(server)
    lock, count = threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            with lock:
                count[0] += 1
                number = count[0]
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            what = fault(self.command, self.path, number)
            if isinstance(what, tuple):
                status, code = what
                content = ERROR.format(code=code).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)
                return
            if what is not None:
                time.sleep(what)
            assert upstream.hostname is not None
            connection = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            known = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", known or str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 - names of the library

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing."""
            del code, size

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}"
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
