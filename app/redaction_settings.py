"""The settings of redaction: which kinds of secrets are taken out; `app.security_settings` holds them as `security.redaction`."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, field_validator

__all__ = ["RedactionSettings"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_MOST = 32
_KEY_CHARS = 256


class RedactionSettings(BaseModel):
    """Which secrets are taken out of errors before anything is stored, and out of what the process itself logs; docs/data.md shows what each rule takes."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    enabled: bool = True
    """Whether anything is redacted. On by default: what senders put into messages, they seldom chose to. Off stores errors as they came."""
    keys: bool = True
    """Attributes whose name says that the value is a secret, such as `password`, `authorization`, `cookie` and `x-api-key`, also behind a dot (`http.request.header.cookie`)."""
    private_keys: bool = True
    """Blocks of private keys in PEM, whole or cut off."""
    urls: bool = True
    """Users and passwords in URLs, and signatures and keys in their queries."""
    authorization: bool = True
    """Values of Authorization and Cookie, as headers and in texts that show headers."""
    bearer: bool = True
    """What follows `Bearer` and `Basic`; words of a sentence stay."""
    assignments: bool = True
    """Values of passwords, secrets, keys and tokens in `key=value`, `key: value` and JSON. A value without quotes ends at a space, or where the next name begins."""
    aws: bool = True
    """Ids of AWS access keys."""
    jwts: bool = True
    """JSON Web Tokens."""
    vendors: bool = True
    """Tokens of Foreshock itself, and those that begin as those of GitHub, GitLab, Slack, Stripe, Google, OpenAI, SendGrid, npm, PyPI and others do."""
    cards: bool = True
    """Numbers of 13 to 19 digits that begin and add up (Luhn) as those of payment cards do. One in ten ordinary numbers of that size adds up too."""
    emails: bool = False
    """E-mail addresses. Off by default: they are personal, but no secrets, and often the one clue to who was hit."""
    addresses: bool = False
    """IP addresses. Off by default: which host failed is what an error is read for."""
    attribute_keys: tuple[str, ...] = ()
    """Names of attributes of your own whose values are redacted, as whole keys or as what follows their last dot; letters in either case. None by default."""
    patterns: dict[str, str] = {}
    """Regular expressions of your own, by a name; a group `secret` in one redacts only that part. Each is tried at the start on hard texts of 4096 characters and stops it if it takes longer than 0.1 s on one; longer texts are shown to it in pieces of that length which overlap by half. None by default, 32 at most; each costs its time on every error."""

    @field_validator("attribute_keys")
    @classmethod
    def _short(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if not 0 < len(key) <= _KEY_CHARS:
                raise ValueError(f"a key must have 1 to {_KEY_CHARS} characters, and one has {len(key)}")
        return keys

    @field_validator("patterns")
    @classmethod
    def _named(cls, patterns: dict[str, str]) -> dict[str, str]:
        for name in patterns:
            if not _NAME.fullmatch(name) or name in cls.model_fields:
                raise ValueError(
                    f"a name must be 1 to 32 of a-z 0-9 _, begin with a letter and be no rule's, and one is {name!r}"
                )
        if len(patterns) > _MOST:
            raise ValueError(f"there must be at most {_MOST}, and there are {len(patterns)}")
        return patterns
