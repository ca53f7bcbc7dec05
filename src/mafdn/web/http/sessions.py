"""The token, and the signed cookies that stand for it in browsers."""

import base64
import hashlib
import hmac
import secrets
import time
from http.cookies import CookieError, SimpleCookie

LIFETIME = 30 * 86_400
"""Seconds for which a cookie is valid."""


class Sessions:
    """Checks who may use the server.

    Args:
        token: The token; `None` if everyone may.
        port: Port of the server: browsers share cookies between the ports of a machine.
    """

    def __init__(self, token: str | None, port: int) -> None:
        self._token = token
        self._key = hashlib.sha256(f"mafdn session {token}".encode()).digest()
        self.cookie = f"mafdn_session_{port}"

    @property
    def required(self) -> bool:
        """Whether clients have to present the token."""
        return self._token is not None

    def has_token(self, authorization: str) -> bool:
        """Whether a header `Authorization` has the token; takes the same time for all wrong ones."""
        scheme, _, given = authorization.partition(" ")
        if self._token is None or scheme.lower() not in ("bearer", "basic"):
            return self._token is None
        if scheme.lower() == "basic":  # the token is the password, the name does not matter
            try:
                given = base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
            except ValueError:
                given = ""
        return hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token.encode())

    def has_session(self, cookies: str) -> bool:
        """Whether a header `Cookie` has a valid cookie of `new_cookie`."""
        try:
            morsel = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            return False
        if morsel is None:
            return False
        content, _, signature = morsel.value.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(content).encode()):
            return False
        return int(content.partition(".")[0]) > time.time()

    def new_cookie(self, *, secure: bool) -> str:
        """Return the header that sets a cookie in place of the token."""
        content = f"{int(time.time()) + LIFETIME}.{secrets.token_hex(16)}"
        value = f"{content}.{self._sign(content)}"
        return self._header(value, LIFETIME, secure=secure)

    def no_cookie(self, *, secure: bool) -> str:
        """Return the header that removes the cookie."""
        return self._header("", 0, secure=secure)

    def _header(self, value: str, age: int, *, secure: bool) -> str:
        rest = "; Secure" if secure else ""
        return f"{self.cookie}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{rest}"

    def _sign(self, content: str) -> str:
        return hmac.new(self._key, content.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
