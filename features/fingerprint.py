"""Message templates without configuration, and the fingerprint that names a group of like errors.

`features.classify` gives every message to a `Templates` store and hashes the template's key with
service, kind, exception type and the top frames of the stack; windows count new fingerprints, and
the API groups errors by them.

What varies is masked first (`mask`). The rest is a shape, and a shape is a template. A word in which
otherwise equal shapes differ turns into a variable as soon as a like shape holds a masked value there,
or once `MIN_VARIANTS` words were seen there; the oldest shape of the family then stands for all later ones.

Stable names: an id counts up and lives in the snapshot; a key is the hash of a template's first shape.
It never changes while the template generalises, and a template that was forgotten for lack of room
has the same key when it returns.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from features.errors import InvalidValue, SnapshotMismatch

__all__ = ["MAX_CHARS", "MIN_VARIANTS", "WILDCARD", "Templates", "fingerprint", "mask"]

WILDCARD = "<*>"
"""What stands for anything that varies."""

MAX_CHARS = 2000
"""Characters of a message that are looked at; guessed: what tells two errors apart comes early."""

MIN_VARIANTS = 6
"""Different words in one place that turn it into a variable; guessed, 4 to 12 measure the same on LogHub."""

_MAX_TOKENS = 96  # guessed; a longer message is told apart by its first ones
_MIN_WORDS = 3  # other words that must agree before a place generalises; guessed: "error <*>" would eat too much
_VERSION = 1
_NO_ROOM = 8  # share of the templates forgotten when the store is full: one in eight, so that it is rare

_MASKS = re.compile(
    r"""
    <\*>
  | \b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s'"<>)\]]+                                       # URL
  | "(?!(?:GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS)\s)[^"\n]*"                            # quoted, but no request line
  | (?<!\w)'[^'\n]*'(?!\w)
  | (?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.[\w.-]+                                            # e-mail address
  | (?<![\w.=/-])(?>[\w.-]*)/[\w.*$~%-][\w.*$~%/:?=&@+-]*                                # path
  | (?<![\w.])\d[\d.,]*\s?(?:[KMGTP]i?B|B|bytes|[munµ]?s|sec|seconds|min|minutes|h|%)(?!\w)  # quantity with unit
  | (?<![\w-])(?>(?:[^\W\d]|-)*)\d[\w-]*(?:[.,:](?>(?:[^\W\d]|-)*)\d[\w-]*)*             # whatever holds a digit
  | (?<![\w.$-])(?![\w.$-]*(?:Exception|Error|\.[A-Z_]+)(?![\w.$-]))[^\W\d][\w-]*(?:\.[\w$-]+){2,}  # host, package
""",
    re.VERBOSE,
)
# Values of key=value, unless the key says that the value tells what went wrong.
_VALUES = re.compile(
    r"(?<![\w.\])-])(?!(?i:err|error|reason|cause|msg|message|exception|type|level)\s?=)"
    r"([\w.\]\[)-]+\s?=)\s?(?!=)(?:[\w$]*\{[^{}\n]*\}|[^\s,;(){}\[\]=<>]+)"
)
_RUNS = re.compile(r"<\*>(?:[\s,.:;_/#|-]*<\*>)+")
_TOKENS = re.compile(r"<\*>|\w+|[^\w\s]")
_FRAME = re.compile(r"0x[0-9a-fA-F]+|(?::|, line |\()\d+|\$\$?Lambda.*|\+\d+|\d{3,}")


def mask(message: str) -> str:
    """Replace what varies in one line by ``<*>``.

    URLs, quoted values, e-mail addresses, paths, quantities, whatever holds a digit (numbers, addresses,
    ids, times, UUIDs), dotted names that are no exception types, and the values of ``key=value``.

    Parameters
    ----------
    message : str
        Only the first `MAX_CHARS` characters are looked at.

    Returns
    -------
    str
        Masking it again changes nothing.

    Examples
    --------
    >>> mask("order 7f3a-22 of bob@example.com failed after 31.5 ms at 10.0.0.7:5432")
    'order <*> of <*> failed after <*> at <*>'
    >>> mask("GET /users/42?full=1 user='x y' java.net.ConnectException")
    'GET <*> user=<*> java.net.ConnectException'
    """
    text = message[:MAX_CHARS]
    for _ in range(4):
        masked = _RUNS.sub(WILDCARD, _VALUES.sub(r"\1<*>", _MASKS.sub(WILDCARD, text)))
        if masked == text:
            break
        text = masked
    return text
