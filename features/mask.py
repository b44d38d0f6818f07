"""What varies in a message is masked, and what remains is cut into words.

`features.fingerprint` makes templates of what `outline` returns.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

__all__ = ["MAX_CHARS", "WILDCARD", "mask", "outline", "words", "zeroed"]

WILDCARD = "<*>"
"""What stands for anything that varies."""

MAX_CHARS = 2000
"""Characters of a message that are looked at; guessed: what tells two errors apart comes early."""

_MAX_TOKENS = 64  # guessed; a longer message is told apart by its first ones

_ZEROS = bytes(ord("0") if chr(byte) in "123456789" else byte for byte in range(256))

_MASKS = re.compile(
    r"""
    REDACTED(?!\w)                                                                       # a secret that was taken out
  | (?P<keep><\*>|[^\W\d_]+(?=[\s\])},;!?]|$))                                           # plain words pass at once
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
    return _settled(_round(message[:MAX_CHARS]))


def _round(text: str) -> str:
    text = _MASKS.sub(_masked, text)
    if "=" in text:
        text = _VALUES.sub(r"\1<*>", text)
    return _RUNS.sub(WILDCARD, text) if text.count(WILDCARD) > 1 else text


def _masked(match: re.Match[str]) -> str:
    return match["keep"] or WILDCARD


@lru_cache(maxsize=4096)
def _settled(text: str) -> str:
    """Mask what the first round uncovered; like messages come here with the same text, so it is remembered."""
    while (masked := _round(text)) != text:
        text = masked  # every round leaves fewer characters outside wildcards, so this ends; one is usual
    return text


def words(message: str) -> list[str]:
    r"""Return the words and signs of a masked message's telling line, at most `_MAX_TOKENS`.

    Parameters
    ----------
    message : str
        The first line tells; the last one of a Python traceback, and the field ``message`` of a JSON object.

    Examples
    --------
    >>> words("user 7 not found\n  at line 3")
    ['user', '<*>', 'not', 'found']
    """
    return _words(_headline(message))


def _words(line: str) -> list[str]:
    return _TOKENS.findall(mask(line))[:_MAX_TOKENS]


def zeroed(text: str) -> str:
    """Return a text with all its digits 0, which makes like messages equal.

    Examples
    --------
    >>> zeroed("order 17 of 2026")
    'order 00 of 0000'
    """
    return text.encode("utf-8", "surrogatepass").translate(_ZEROS).decode("utf-8", "surrogatepass")


def outline(message: str) -> tuple[str, tuple[str, ...]]:
    """Return the words of a message in one line, and the words; for like messages, but for their numbers, remembered.

    Examples
    --------
    >>> outline("user 7 not found"), outline("user 8 not found") is outline("user 9 not found")
    (('user <*> not found', ('user', '<*>', 'not', 'found')), True)
    """
    # No digit is left of what is masked, and no digit is masked otherwise than another, so 0 stands for all.
    return _outline(zeroed(_headline(message)))


@lru_cache(maxsize=4096)
def _outline(line: str) -> tuple[str, tuple[str, ...]]:
    found = tuple(_words(line))
    return " ".join(found), found


def _headline(message: str) -> str:
    """Return the line that says what happened."""
    text = message[:MAX_CHARS].strip()
    if text.startswith("{"):  # a structured record whose whole body became the message
        text = _field(text) or text
    first, _, rest = text.partition("\n")
    if rest and first.startswith("Traceback"):  # Python says it in the last line
        return text.rpartition("\n")[2].strip()
    return first


def _field(text: str) -> str:
    try:
        record: dict[str, object] = json.loads(text)  # an object, since it begins with a brace
    except (ValueError, RecursionError):
        return ""
    for name in ("message", "msg", "error", "event"):
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""
