"""A small provider of OpenID Connect on a real port: discovery, keys, the code flow with PKCE, and everything a test wants it to do wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

__all__ = ["CLIENT", "SECRET", "SmallProvider", "small_provider"]

CLIENT, SECRET = "foreshock", "a secret of the client"


@dataclass
class SmallProvider:
    """What it does; a test changes it while it runs."""

    url: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}))
    signs_with: RSAKey | OctKey | None = None
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "1", "email": "anna@example.com", "groups": ["ops"]})
    told: dict[str, Any] = field(default_factory=dict)
    """What its userinfo says."""
    changed: dict[str, Any] = field(default_factory=dict)
    """What its tokens say otherwise than they should."""
    algorithm: str = "RS256"
    document: dict[str, Any] = field(default_factory=dict)
    """What its description says otherwise."""
    refuses: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """Return its description."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            **self.document,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser of a person who agrees is sent."""
        back, state = query["redirect_uri"], query["state"]
        if self.refuses:
            return f"{back}?{urlencode({'error': self.refuses, 'state': state})}"
        code = base64.urlsafe_b64encode(hashlib.sha256(state.encode()).digest()).decode()
        self.codes[code] = query
        return f"{back}?{urlencode({'code': code, 'state': state, 'iss': self.url})}"

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Return the tokens of a code, once."""
        shown = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ""
        known = shown == f"{CLIENT}:{SECRET}".replace(" ", "%20") or shown == f"{CLIENT}:{SECRET}"
        known = known or (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        asked = self.codes.pop(form.get("code", ""), None)
        if not known or asked is None or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if (asked["code_challenge"], asked["code_challenge_method"]) != (challenge, "S256"):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        own = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        key: Any = self.signs_with or self.key
        token = jwt.encode({"alg": self.algorithm, "kid": key.kid}, {**own, **self.claims, **self.changed}, key)
        return 200, {"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": token}


@contextmanager
def small_provider() -> Generator[SmallProvider]:
    """Run one."""
    provider = SmallProvider()
    provider.key.ensure_kid()

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            provider.asked.append(parts.path)
            match parts.path:
                case "/.well-known/openid-configuration":
                    self.say(200, provider.described())
                case "/keys":
                    self.say(200, dict(KeySet([provider.key]).as_dict()))
                case "/authorize":
                    self.send_response(302)
                    self.send_header("location", provider.authorize(query))
                    self.send_header("content-length", "0")
                    self.end_headers()
                case "/userinfo" if self.headers["authorization"] == "Bearer access":
                    self.say(200, {"sub": "1", **provider.told})
                case _:
                    self.say(404, {"error": "not_found"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            provider.asked.append(self.path)
            self.say(*provider.exchange(form, self.headers.get("authorization", "")))

        def say(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
