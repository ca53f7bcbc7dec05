"""Who may use a server: every route refuses foreign hosts, foreign origins, and clients without the token."""

import re
import time
from itertools import product

import pytest

from mafdn.web.http import sessions
from mafdn.web.http.security import HEADERS
from mafdn.web.http.sessions import Sessions
from mafdn.web.routes.automatic1111 import EMPTY_LISTS
from tests.web.conftest import Client, Serve

TOKEN = "correct-horse-battery"
JOB = "0" * 32
ROUTES = [
    ("GET", "/"),
    ("GET", "/static/page.js"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/info"),
    ("POST", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
    ("POST", "/api/v1/upscale"),
    ("POST", "/api/v1/jobs"),
    ("GET", "/api/v1/jobs"),
    ("GET", f"/api/v1/jobs/{JOB}"),
    ("DELETE", f"/api/v1/jobs/{JOB}"),
    ("POST", f"/api/v1/jobs/{JOB}/retry"),
    ("GET", f"/api/v1/jobs/{JOB}/result"),
    ("GET", f"/api/v1/jobs/{JOB}/preview/before"),
    ("GET", f"/api/v1/jobs/{JOB}/thumbnail"),
    ("GET", "/api/v1/results.zip"),
    ("GET", "/api/v1/events"),
    ("POST", "/api/v1/estimate"),
    ("POST", "/sdapi/v1/extra-single-image"),
    ("POST", "/sdapi/v1/extra-batch-images"),
    *(("GET", f"/sdapi/v1/{name}") for name in ("upscalers", "options", "progress", "scripts", *EMPTY_LISTS)),
]
OPEN = {"/", "/static/page.js", "/docs", "/openapi.json", "/healthz", "/readyz"}
FOREIGN_HOSTS = ["evil.example", "127.0.0.1.evil.example", "evil.example:8484", "10.0.0.1", "", "[::ffff:a]", "a b"]
FOREIGN_ORIGINS = [
    "http://evil.example",
    "https://127.0.0.1:8485",
    "http://localhost:8484",
    "null",
    "http://[",
    "file://",
]


def test_all_routes_are_tested_here(client: Client) -> None:
    known = {(method, re.sub(r"\{.*?\}", "*", re.sub(r"[0-9a-f]{32}", "*", path))) for method, path in ROUTES}
    known = {(m, p.replace("/before", "/*").replace("/page.js", "/*")) for m, p in known}
    routes = set[tuple[str, str]]()
    for path, methods in client.server.openapi()["paths"].items():
        routes |= {(method.upper(), re.sub(r"\{.*?\}", "*", path)) for method in methods}
    assert routes <= known
    hidden = {"/", "/static/*", "/docs", "/openapi.json"}
    assert {path for _, path in known - routes} == hidden


def test_foreign_hosts_are_refused(client: Client) -> None:
    for (method, path), host in product(ROUTES, FOREIGN_HOSTS):
        answer = client.request(method, path, headers={"Host": host})
        assert answer.status_code == 403, (method, path, host)
        assert "host" in answer.json()["error"], (method, path, host)


def test_foreign_origins_are_refused(client: Client) -> None:
    for (method, path), origin in product(ROUTES, FOREIGN_ORIGINS):
        answer = client.request(method, path, headers={"Origin": origin})
        assert answer.status_code == 403, (method, path, origin)
        assert "other sites" in answer.json()["error"], (method, path, origin)
        assert "access-control-allow-origin" not in answer.headers, (method, path, origin)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_requests_that_other_sites_cause_are_refused(client: Client, site: str) -> None:
    for method, path in ROUTES:
        assert client.request(method, path, headers={"Sec-Fetch-Site": site}).status_code == 403, (method, path)
        followed = client.request(method, path, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})
        expected = 200 if path in ("/", "/docs") else 403  # a link to the page is fine
        assert followed.status_code == expected, (method, path)


def test_every_answer_has_the_headers(client: Client) -> None:
    for method, path in ROUTES:
        if path.endswith("/events"):
            continue  # which does not end
        answers = [client.request(method, path), client.request(method, path, headers={"Host": "evil.example"})]
        answers.append(client.request("PATCH", path))
        assert answers[2].status_code == 405, (method, path)
        for answer in answers:
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (method, path, name)
            assert "cache-control" in answer.headers, (method, path)
            assert "server" not in answer.headers, (method, path)


def test_the_token_is_asked_for(serve: Serve) -> None:
    client = serve(token=TOKEN)
    for method, path in ROUTES:
        if path in OPEN:
            assert client.request(method, path).status_code == 200, (method, path)
            continue
        for given in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN):
            answer = client.request(method, path, headers={"Authorization": given} if given else {})
            assert answer.status_code == 401, (method, path, given)
            assert answer.headers["www-authenticate"] == "Bearer", (method, path, given)
        assert client.request(method, f"{path}?token={TOKEN}").status_code == 401, (method, path)
        if not path.endswith("/events"):
            answer = client.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status_code != 401, (method, path)
        client.cookies.clear()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "127.0.0.1:8484", "[::1]:8484", "LOCALHOST"])
def test_own_names_are_known(client: Client, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_further_names_and_addresses_are_known_if_the_server_was_told(serve: Serve) -> None:
    client = serve(host="0.0.0.0", token=TOKEN, allowed_hosts=("Pictures.example",))
    for host, status in {
        "pictures.example": 200,
        "192.168.1.2:80": 200,
        "other.example": 403,
        "[fe80::1]": 200,
    }.items():
        assert client.get("/healthz", headers={"Host": host}).status_code == status, host


def test_the_own_origin_is_accepted(client: Client) -> None:
    headers = {"Origin": "http://127.0.0.1:8484", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/session", headers=headers).status_code == 204
    headers = {"Origin": "https://localhost", "Host": "localhost"}  # behind a proxy with TLS
    assert client.post("/api/v1/session", headers=headers).status_code == 204


def test_one_origin_can_be_allowed(serve: Serve) -> None:
    client = serve(allowed_origins=("https://app.example",), token=TOKEN)
    headers = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    preflight = client.options("/api/v1/info", headers={**headers, "Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert client.get("/api/v1/info", headers=headers).status_code == 401
    answer = client.get("/api/v1/info", headers={**headers, "Authorization": f"Bearer {TOKEN}"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "origin" in answer.headers["vary"].lower()
    assert "access-control-allow-credentials" not in answer.headers
    other = client.get("/api/v1/info", headers={**headers, "Origin": "https://other.example"})
    assert other.status_code == 403


def test_the_token_becomes_a_cookie_for_browsers(serve: Serve) -> None:
    client = serve(token=TOKEN)
    answer = client.post("/api/v1/session", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    assert client.get("/api/v1/info").status_code == 200
    assert client.get("/api/v1/info", headers={"Origin": "http://evil.example"}).status_code == 403
    client.delete("/api/v1/session")
    assert client.get("/api/v1/info").status_code == 401
    proxied = client.post("/api/v1/session", headers={"Authorization": f"Bearer {TOKEN}", "X-Forwarded-Proto": "https"})
    assert "Secure" in proxied.headers["set-cookie"]


def test_cookies_are_signed_and_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Sessions(TOKEN, 80)
    cookie = own.new_cookie(secure=False).partition(";")[0]
    assert own.has_session(cookie)
    assert own.has_session(f"a=b; {cookie}; c=d")
    assert Sessions(TOKEN, 80).has_session(cookie)  # after a restart
    assert not Sessions("another-long-token", 80).has_session(cookie)
    name, _, value = cookie.partition("=")
    expiry, nonce, signature = value.split(".")
    for forged in (f"{int(expiry) + 1}.{nonce}.{signature}", f"{expiry}.{signature}", "..", "", "é", signature):
        assert not own.has_session(f"{name}={forged}")
    assert not own.has_session("")
    later = time.time() + sessions.LIFETIME + 1
    monkeypatch.setattr(sessions.time, "time", lambda: later)
    assert not own.has_session(cookie)


def test_paths_of_requests_never_reach_files(client: Client) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/..%2fapp.py", "/app.py"):
        assert client.get(path).status_code == 404, path
    for name in ("..", "%2e%2e%2f", "a" * 3000, JOB):
        assert client.get(f"/api/v1/jobs/{name}").status_code in (404, 405, 414), name


def test_the_page_is_served_with_tags(client: Client) -> None:
    first = client.get("/")
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert client.get("/static/page.js").headers["content-type"].startswith("text/javascript")


def test_an_unexpected_error_is_one_line(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError("secret detail")

    monkeypatch.setattr(client.service.queue, "snapshot", fail)
    answer = client.get("/api/v1/jobs")
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error; the log of the server says more"}
    assert answer.headers["x-content-type-options"] == "nosniff"
