"""Which pages may send from a browser."""

from __future__ import annotations

import pytest

from app.ingest.cors import Cors
from app.settings import IngestSettings

SHOP = "https://shop.example.com"


def test_without_origins_nothing_is_allowed_and_nothing_said() -> None:
    cors = Cors(IngestSettings())
    assert (cors.is_on, cors.allows(SHOP), cors.of_answer(SHOP)) == (False, False, ())


@pytest.mark.parametrize(
    ("allowed", "origin", "may"),
    [
        (SHOP, SHOP, True),
        (SHOP, SHOP + ".evil.com", False),
        (SHOP, "https://shopxexample.com", False),
        ("https://*.example.com", SHOP, True),
        ("https://*.example.com", "http://shop.example.com", False),
        ("*", "null", True),
        (SHOP, "", False),
    ],
)
def test_an_origin_is_compared_as_a_whole(allowed: str, origin: str, may: bool) -> None:
    assert Cors(IngestSettings(cors_origins=("https://other.example", allowed))).allows(origin) == may


def test_an_answer_to_another_origin_says_only_that_it_depends_on_it() -> None:
    assert Cors(IngestSettings(cors_origins=(SHOP,))).of_answer("https://other.example") == ((b"vary", b"origin"),)


@pytest.mark.parametrize("credentials", [False, True])
def test_the_origin_is_echoed_and_credentials_are_allowed_when_told(credentials: bool) -> None:
    found = dict(Cors(IngestSettings(cors_origins=(SHOP,), cors_credentials=credentials)).of_answer(SHOP))
    assert (found[b"access-control-allow-origin"], found[b"vary"]) == (SHOP.encode(), b"origin")
    assert (b"access-control-allow-credentials" in found) == credentials


def test_a_preflight_names_the_headers_of_otlp_and_those_of_the_settings() -> None:
    settings = IngestSettings(cors_origins=("*",), cors_headers=("X-Team", "Authorization"), cors_max_age_s=5)
    found = dict(Cors(settings).of_preflight(SHOP))
    names = b"content-type, content-encoding, authorization, x-scope-orgid, x-team"
    assert (found[b"access-control-allow-headers"], found[b"access-control-max-age"]) == (names, b"5")
