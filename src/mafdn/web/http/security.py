"""Who may ask for what: checks of every request before anything else, and headers of every answer."""

import ipaddress
import json
import logging
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mafdn.web.http.sessions import Sessions
from mafdn.web.settings import ServerSettings, is_loopback

logger = logging.getLogger("mafdn.web")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page loads what this server has, and nothing else."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer."""
OPEN = re.compile(r"/|/static/.*|/healthz|/readyz|/docs|/openapi\.json")
"""Paths that need no token: they say nothing about pictures."""
NAVIGABLE = ("/", "/docs")
"""Paths to which other sites may link."""
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?", re.IGNORECASE)
SAFE_SITES = ("same-origin", "none")
"""Values of `Sec-Fetch-Site` of requests by the page itself and by the user."""
LONGEST_PATH = 2_048
"""Most characters of a path."""


class Security:
    """Middleware that checks host, origin and token, and adds the headers.

    Args:
        app: The application.
        settings: The settings of the server.
        sessions: Checks the token.
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSettings, sessions: Sessions) -> None:
        self._app, self._settings, self._sessions = app, settings, sessions
        self._origins = frozenset(origin.lower() for origin in settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "").lower()
        shared = origin in self._origins
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
                own.setdefault("Cache-Control", "no-store")
                if shared:
                    _share(own, origin)
            await send(message)

        refusal = self._refusal(scope, headers, shared=shared)
        if refusal:
            await _answer(send_with_headers, *refusal)
        elif shared and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _answer(send_with_headers, 204, "")
        else:
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception:
                logger.exception("internal error in %s %s", scope["method"], scope["path"])
                if started:
                    raise
                await _answer(send_with_headers, 500, "internal error; the log of the server says more")

    def _refusal(self, scope: Scope, headers: Headers, *, shared: bool) -> tuple[int, str] | None:
        """Return status and reason if a request is refused."""
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if not self._knows_host(host):
            return 403, f"unknown host {host[:100]!r}; if it is a name of this server, start it with --allow-host NAME"
        if len(scope["path"]) > LONGEST_PATH:
            return 414, "the path is too long"
        if not shared:
            origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none").lower()
            if origin is not None and urlsplit_netloc(origin) != host:
                return 403, "requests of other sites are refused; start the server with --allow-origin to permit one"
            link = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
            if site not in SAFE_SITES and not (link and scope["path"] in NAVIGABLE):
                return 403, "requests of other sites are refused; start the server with --allow-origin to permit one"
            preflight = False
        else:
            preflight = scope["method"] == "OPTIONS"
        if self._sessions.required and not preflight and not OPEN.fullmatch(scope["path"]):
            allowed = self._sessions.has_token(headers.get("authorization", "")) or self._sessions.has_session(
                headers.get("cookie", "")
            )
            if not allowed:
                return 401, "this server asks for its token: send it as Authorization: Bearer TOKEN"
        return None

    def _knows_host(self, host: str) -> bool:
        """Whether `Host` is a name of this server: an attacker's name that leads here is refused (DNS rebinding)."""
        found = HOST.fullmatch(host)
        if not found:
            return False
        name = found[1]
        if name in ("localhost", *(allowed.lower() for allowed in self._settings.allowed_hosts)):
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        # No name can lead to a page of an address; but only loopback addresses lead to a server that is bound to one.
        return is_loopback(name) or not is_loopback(self._settings.host)


def urlsplit_netloc(origin: str) -> str:
    """Return the host and port of an origin in lower case; empty if there is none, as in `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _share(headers: MutableHeaders, origin: str) -> None:
    """Let a page of an allowed origin read the answer."""
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Last-Event-ID"
    headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
    headers["Access-Control-Expose-Headers"] = "Content-Disposition, Location, Retry-After, X-Mafdn-Report"
    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    headers.add_vary_header("Origin")


async def _answer(send: Send, status: int, reason: str) -> None:
    """Answer with an error, or with nothing."""
    body = json.dumps({"error": reason}).encode() if reason else b""
    headers = [(b"content-length", str(len(body)).encode())]
    headers += [(b"content-type", b"application/json")] if body else []
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
