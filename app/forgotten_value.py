"""One value of an attribute, and what texts, documents and templates are without it.

`app.forget` asks for each of them. A value stands in more places than its attribute: in the message of the error, in its stack trace, in
other attributes. So it is taken out of every text as a whole word; a value of less than four characters, which stands in many texts that do not
mean it, only out of errors that carry the attribute, and where a text names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from app.ingest.attributes import RESOURCE_KEPT
from app.secret_rules import REDACTED
from features.errors import InvalidValue
from features.mask import WILDCARD

__all__ = ["ForgottenValue"]

_LONG = 4
_MAX_CHARS = 4096
_NAMES = RESOURCE_KEPT | {"service.name"}
_WORDS = re.compile(r"<\*>|\w+|[^\w\s]")  # as features.mask cuts a message

_sorted = msgspec.json.Encoder(order="sorted")


class ForgottenValue:
    """A value that is to be nowhere.

    Parameters
    ----------
    key, value : str
        The attribute's name, and the value as its text.

    Raises
    ------
    InvalidValue
        When either is empty or too long, or the attribute names a service or an instance.

    Examples
    --------
    >>> ForgottenValue("user.id", "u-4711").text("no cart of u-4711, but one of u-47110")
    'no cart of REDACTED, but one of u-47110'
    """

    def __init__(self, key: str, value: str) -> None:
        for what, text in (("attribute", key), ("value", value)):
            if not 0 < len(text) <= _MAX_CHARS:
                raise InvalidValue(f"the {what} must have 1 to {_MAX_CHARS} characters, got {len(text)}")
        if key in _NAMES:
            raise InvalidValue(
                f"attribute must not be one of {sorted(_NAMES)}, which name services, versions and instances, got {key}"
            )
        self.key = key
        self.value = value
        self._is_long = len(value) >= _LONG
        before, behind = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])"
        self._word = re.compile(f"{before}{re.escape(value)}{behind}")
        self._pair = re.compile(
            rf"({before}{re.escape(key)}\\?[\"']?\s{{0,4}}(?:=>|[:=])\s{{0,4}}\\?[\"']?){re.escape(value)}{behind}"
        )

    def is_in(self, attributes: Mapping[str, Any]) -> bool:
        """Say whether attributes have the value under its name."""
        return attributes.get(self.key) == self.value

    def text(self, text: str, *, carries: bool = False) -> str:
        """Return a text without the value; of an error that carries it also where it is short."""
        if carries or self._is_long:
            return self._word.sub(REDACTED, text)
        return self._pair.sub(rf"\g<1>{REDACTED}", text)

    def attributes(self, attributes: Mapping[str, str], *, carries: bool) -> dict[str, str]:
        """Return attributes without the value."""
        return {key: self.text(text, carries=carries) for key, text in attributes.items()}

    def row_text(self, attributes: str, text: str) -> str:
        """Return a text of a row of history, whose attributes are JSON, without the value; the attributes themselves too."""
        found = cast("dict[str, str]", msgspec.json.decode(attributes)) if attributes else {}
        carries = self.is_in(found)
        if text == attributes and found:
            changed = self.attributes(found, carries=carries)
            return text if changed == found else _sorted.encode(changed).decode()
        return self.text(text, carries=carries)

    def document(self, value: bytes) -> bytes:
        """Return a document of JSON without the value; the same bytes where it is not in it, or they are no JSON."""
        try:
            found = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
        changed = self._node(found, carries=False)
        return value if changed == found else msgspec.json.encode(changed)

    def templates(self, value: bytes) -> bytes:
        """Return a snapshot of message templates in which a variable stands for the value; templates that then are alike become one."""
        state = json.loads(value)
        phrase = " ".join(_WORDS.findall(self.value))
        pattern = re.compile(rf"(?<![^ ]){re.escape(phrase)}(?![^ ])")
        if not self._is_long or not any(pattern.search(text) for row in state["templates"] for text in (row[2], *row[4])):
            return value
        kept: list[list[Any]] = []
        taken: set[str] = set()
        for number, key, text, count, shapes in state["templates"]:
            own = list(dict.fromkeys(pattern.sub(WILDCARD, shape) for shape in shapes))
            own = [shape for shape in own if shape not in taken]
            taken.update(own)
            if own:
                kept.append([number, key, pattern.sub(WILDCARD, text), count, own])
        return json.dumps(state | {"templates": kept}, separators=(",", ":")).encode()

    def refuse_names(self, names: Iterable[str]) -> None:
        """Refuse a value by which services or operations are called, since their counts would have to go with it.

        Raises
        ------
        InvalidValue
            With the name.
        """
        for name in names:
            if self._is_long and self._word.search(name):
                raise InvalidValue(
                    f"the value must not be part of the name of a service or operation, got {self.value!r}, which is in {name!r}: "
                    "let the sender name it otherwise, and forget the tenant, or wait until history and log have dropped it"
                )

    def _node(self, node: Any, *, carries: bool) -> Any:
        if isinstance(node, str):
            return self.text(node, carries=carries)
        if isinstance(node, list):
            return [self._node(each, carries=carries) for each in cast("list[Any]", node)]
        if isinstance(node, dict):
            found = cast("dict[str, Any]", node)
            inner = found.get("attributes")
            carries = carries or self.is_in(found) or (isinstance(inner, dict) and self.is_in(cast("dict[str, Any]", inner)))
            return {self.text(key): self._node(each, carries=carries) for key, each in found.items()}
        return node
