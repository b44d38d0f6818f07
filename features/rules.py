r"""A user's own rules about what an error is, tried before everything built in.

`app.main` reads the TOML file that the setting ``features.taxonomy`` names and hands its text to
`Rules.from_toml`; `features.classify` asks the rules first.

    [[kind]]                          # a kind of your own, below one of the 13 categories
    name = "seat_taken"
    category = "business"
    summary = "another customer was faster"

    [[rule]]
    kind = "seat_taken"
    service = "ts-seat-service"       # every condition of a rule must hold
    message = "seat \\d+ (is )?taken"  # a regular expression, searched without regard to case
    exception_type = "SeatException"  # the whole name or its last segment
    attributes = { "http.response.status_code" = "409" }
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from features.errors import InvalidValue
from features.event import ErrorRecord
from features.taxonomy import CATEGORIES, KINDS, SEVERITIES, Kind

__all__ = ["DEFAULT", "Rule", "Rules"]

_MAX_CHARS = 2000  # of a message; a bound on what a user's pattern can cost
_MAX_PATTERN = 500
_KIND_FIELDS = ("name", "category", "severity", "retryable", "transient", "summary")
_RULE_FIELDS = ("kind", "exception_type", "message", "service", "attributes")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; every condition that is given must hold.

    Parameters
    ----------
    kind : str
        What the error is then.
    exception_type : str
        Whole name or last segment of ``exception.type`` or ``error.type``; empty for any.
    message : re.Pattern or None
        Searched in the first 2,000 characters of the message; None for any.
    service : str
        Name of the service; empty for any.
    attributes : Mapping[str, str]
        Attributes that must have exactly these values.
    """

    kind: str
    exception_type: str = ""
    message: re.Pattern[str] | None = None
    service: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])

    def holds(self, record: ErrorRecord) -> bool:
        """Return whether every condition holds for a record."""
        if self.service and self.service != record.service:
            return False
        if any(record.attributes.get(name) != value for name, value in self.attributes.items()):
            return False
        if self.exception_type and not _same_type(self.exception_type, record):
            return False
        return self.message is None or self.message.search(record.message[:_MAX_CHARS]) is not None


def _same_type(wanted: str, record: ErrorRecord) -> bool:
    for name in (record.exception_type, record.attributes.get("error.type", "")):
        if name == wanted or re.split(r"[.$/:\\]", name)[-1] == wanted:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules in order, and all kinds that they can name.

    Parameters
    ----------
    rules : tuple of Rule
        The first that holds decides.
    kinds : Mapping[str, Kind]
        The built-in kinds and the user's own.
    """

    rules: tuple[Rule, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=lambda: dict(KINDS))

    @classmethod
    def from_toml(cls, text: str) -> Rules:
        r"""Read rules and kinds from TOML.

        Parameters
        ----------
        text : str
            Tables ``[[kind]]`` and ``[[rule]]`` as in the head of this module.

        Returns
        -------
        Rules

        Raises
        ------
        InvalidValue
            When it is no TOML, or a kind or rule has a field, value or pattern that is not allowed; the
            message names its number, the value and what is allowed.

        Examples
        --------
        >>> rules = Rules.from_toml('[[rule]]\nkind = "out_of_stock"\nmessage = "no more rooms"')
        >>> rules.first(ErrorRecord("log", "hotel", "*", 0, message="No more rooms on Friday"))
        (1, 'out_of_stock')
        """
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            raise InvalidValue(f"rules must be TOML, got an error: {exc}") from exc
        if odd := sorted(set(document) - {"kind", "rule"}):
            raise InvalidValue(f"rules may hold the tables kind and rule, got {', '.join(odd)}")
        kinds = dict(KINDS)
        for number, row in enumerate(_tables(document, "kind"), start=1):
            own = _kind(number, row)
            kinds[own.name] = own
        rules = [_rule(number, row, kinds) for number, row in enumerate(_tables(document, "rule"), start=1)]
        return cls(tuple(rules), kinds)

    def first(self, record: ErrorRecord) -> tuple[int, str] | None:
        """Return number (from 1) and kind of the first rule that holds."""
        for number, rule in enumerate(self.rules, start=1):
            if rule.holds(record):
                return number, rule.kind
        return None


DEFAULT = Rules()
"""No rules of a user's own, and the built-in kinds."""


def _tables(document: Mapping[str, object], name: str) -> list[dict[str, object]]:
    rows = document.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):  # pyright: ignore[reportUnknownVariableType]
        raise InvalidValue(f"{name} must be written [[{name}]], got {rows!r}")
    return rows  # pyright: ignore[reportUnknownVariableType]


def _kind(number: int, row: Mapping[str, object]) -> Kind:
    where = f"kind {number}"
    _only(where, row, _KIND_FIELDS)
    name = _text(where, row, "name")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) or name in KINDS:
        raise InvalidValue(f"{where}: name must be new, snake_case and of 1 to 64 characters, got {name!r}")
    category = _text(where, row, "category")
    if category not in CATEGORIES:
        raise InvalidValue(f"{where}: category must be one of {', '.join(CATEGORIES)}, got {category!r}")
    severity = row.get("severity", 17)
    if isinstance(severity, bool) or not isinstance(severity, int) or severity not in SEVERITIES:
        raise InvalidValue(f"{where}: severity must be a whole number in [1, 24], got {severity!r}")
    return Kind(
        name, category, severity, _flag(where, row, "retryable"), _flag(where, row, "transient"), _text(where, row, "summary")
    )


def _rule(number: int, row: Mapping[str, object], kinds: Mapping[str, Kind]) -> Rule:
    where = f"rule {number}"
    _only(where, row, _RULE_FIELDS)
    name = _text(where, row, "kind")
    if name not in kinds:
        raise InvalidValue(f"{where}: kind must be one of {', '.join(kinds)}, got {name!r}")
    if set(row) == {"kind"}:
        raise InvalidValue(f"{where}: at least one of {', '.join(_RULE_FIELDS[1:])} must be given, got only kind")
    return Rule(
        name, _text(where, row, "exception_type"), _pattern(where, row), _text(where, row, "service"), _attributes(where, row)
    )


def _only(where: str, row: Mapping[str, object], allowed: tuple[str, ...]) -> None:
    if odd := sorted(set(row) - set(allowed)):
        raise InvalidValue(f"{where}: fields must be among {', '.join(allowed)}, got {', '.join(odd)}")


def _text(where: str, row: Mapping[str, object], name: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str) or (name in row and not value):
        raise InvalidValue(f"{where}: {name} must be a text that is not empty, got {value!r}")
    return value


def _flag(where: str, row: Mapping[str, object], name: str) -> bool:
    value = row.get(name, False)
    if not isinstance(value, bool):
        raise InvalidValue(f"{where}: {name} must be true or false, got {value!r}")
    return value


def _pattern(where: str, row: Mapping[str, object]) -> re.Pattern[str] | None:
    text = _text(where, row, "message")
    if not text:
        return None
    if len(text) > _MAX_PATTERN:
        raise InvalidValue(f"{where}: message must be at most {_MAX_PATTERN} characters, got {len(text)}")
    if re.search(r"[+*]\)[+*{]", text):  # (a+)+ takes exponential time; the plain form of it is caught here
        raise InvalidValue(f"{where}: message must not repeat a repetition, got {text!r}")
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as exc:
        raise InvalidValue(f"{where}: message must be a regular expression, got {text!r}: {exc}") from exc


def _attributes(where: str, row: Mapping[str, object]) -> dict[str, str]:
    value = row.get("attributes", {})
    if not isinstance(value, dict) or not all(isinstance(v, str | int | bool) for v in value.values()):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        raise InvalidValue(f"{where}: attributes must be a table of texts or numbers, got {value!r}")
    return {str(k): str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType]
