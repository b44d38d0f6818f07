"""Secrets of every kind that redaction knows, with what stands around them, and settings with one rule alone."""

from __future__ import annotations

from typing import Any

from app.auth.token import token_id, write_token
from app.redaction_settings import RedactionSettings
from app.secret_rules import RULES

__all__ = ["PLANTED", "only"]

_B64 = "dXNlcjpodW50ZXIyLW9mLWJvYg=="
_HEX = "0f3a9c4be1d27755aa01b2c3d4e5f607"
_RANDOM = "Zx81qLmN04pQrStUvWxY7zAbCdEfGhIj9kLm"
_JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.{_RANDOM}"

PLANTED: dict[str, tuple[tuple[str, str, str], ...]] = {
    "private_keys": (
        ("key is -----BEGIN RSA PRIVATE KEY-----\n", f"{_RANDOM}\n{_RANDOM}", "\n-----END RSA PRIVATE KEY-----\nnext"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\\n", _RANDOM, ""),  # cut off
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----", _RANDOM, "-----END PGP PRIVATE KEY BLOCK-----"),
    ),
    "urls": (
        ("cannot reach postgres://shop:", "hunter2", "@db:5432/shop"),
        ("cannot reach https://", _RANDOM, "@git.example/repo.git"),
        ("amqp://bob:", "p@ss:w0rd", "@queue"),
        ("GET https://files.example/a?X-Amz-Signature=", _HEX, "&b=1"),
        ("GET /a?sig=", "aB%2Fc%3D", " failed"),
    ),
    "authorization": (
        ("Authorization: Bearer ", _RANDOM, ""),
        ('{"authorization": "Basic ', _B64, '", "host": "a"}'),
        ("proxy-authorization=", _RANDOM, " x"),
        ('Authorization: Digest username="bob", response="', _HEX, '"'),
        ("Cookie: theme=dark; sid=", _RANDOM, "; a=b\nHost: c"),
        ("set-cookie: id=", _RANDOM, "; HttpOnly"),
    ),
    "bearer": (
        ("sent bearer ", _RANDOM, " to it"),
        ("got Basic ", _B64, ""),
        ("Bearer%20", _RANDOM, "&a=b"),
        ("Bearer ", "x" * 24, ""),
    ),
    "assignments": (
        ("login with password=", "hunter2", " failed"),
        ('{"password": "', 'hun\\"ter 2', '"}'),
        ('{\\"client_secret\\":\\"', _RANDOM, '\\"}'),
        ("{api_key: ", _RANDOM, ", user: bob}"),
        ("Server=db;Uid=sa;Pwd=", "hunter2", ";Encrypt=yes"),
        ("AWS_SECRET_ACCESS_KEY=", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
        ("Pwd=", "a;b,c&d'e\\f", ";Encrypt=yes"),
        ("a?password=", "Tr0ub4dor&3", "&b=1"),
        ("?access_token=", _RANDOM, "&page=2"),
        ("unknown token: ", _RANDOM, ""),
        ("passphrase => '", "correct horse battery", "'"),
        ("AccountKey=", "Zm9vYmFy+/==", ";EndpointSuffix=core"),
        ("X-Api-Key: ", _RANDOM, ""),
        ("JSESSIONID=", _HEX, ""),
    ),
    "aws": (("key ", "AKIAIOSFODNN7EXAMPLE", " is not active"), ("", "ASIAY34FZKBOKMUTVV7A", "")),
    "jwts": (("claims of ", _JWT, " expired"), ("half of ", _JWT[:30], "")),
    "vendors": tuple(
        ("used ", secret, " twice")
        for secret in (
            write_token(token_id("collector"), lambda n: bytes(range(n))),
            f"ghp_{_RANDOM}",
            f"github_pat_{_RANDOM}",
            f"glpat-{_RANDOM[:20]}",
            "xoxb-1234567890-" + _RANDOM[:20],
            f"hooks.slack.com/services/T0/B0/{_RANDOM[:20]}",
            f"sk_live_{_RANDOM[:24]}",
            f"whsec_{_RANDOM}",
            f"AIza{_RANDOM[:35]}",
            f"sk-proj-{_RANDOM}",
            f"SG.{_RANDOM[:22]}.{_RANDOM}",
            f"key-{_HEX}",
            f"npm_{_RANDOM}",
            f"pypi-AgEIcHlwaS5vcmc{_RANDOM}",
            f"dop_v1_{_HEX}",
            f"hf_{_RANDOM}",
            f"hvs.{_RANDOM}",
            f"shpat_{_HEX}",
            f"dapi{_HEX}",
            f"sq0atp-{_RANDOM[:22]}",
            f"110201543:AA{_RANDOM[:33]}",
            f"dckr_pat_{_RANDOM}",
        )
    ),
    "cards": (
        ("card ", "4111111111111111", " declined"),
        ("card ", "5500 0000 0000 0004", ""),
        ("card=", "3400-0000-0000-009", ","),
    ),
    "emails": (("mail to ", "bob.w+x@mail.example.com", " bounced"), ("?user=", "bob%40example.com", "&a=b")),
    "addresses": (
        ("from ", "10.20.30.40", ":8080"),
        ("from ", "2001:db8:85a3::8a2e:370:7334", " refused"),
        ("from ", "2001:0db8:85a3:0000:0000:8a2e:0370:7334", ""),
    ),
}
"""By rule: what stands before a secret, the secret, and what stands behind it."""


def only(name: str) -> RedactionSettings:
    """Return settings with one rule alone."""
    switched: dict[str, Any] = {rule.name: rule.name == name for rule in RULES}
    return RedactionSettings(keys=name == "keys", **switched)
