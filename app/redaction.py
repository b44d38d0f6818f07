"""Secrets are taken out of what errors say before anything is stored, and out of the lines that the process logs itself.

`app.ingest.receive` gives it each Batch, whichever engine read it, before it is cut and packed for the log; `app.own_log` gives it
lines. Templates, fingerprints, history and documents are made of what is stored, so no secret reaches them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter, is_
from typing import TypeAlias

import numpy as np

from app.own_patterns import WINDOW_CHARS, own_rules, secret_span
from app.redaction_settings import RedactionSettings
from app.secret_rules import REDACTED, RULES, SENSITIVE_KEYS, Rule
from features.batch import Batch, Call, DurationPoint
from features.event import ErrorRecord
from features.mask import zeroed

__all__ = ["Redact", "Redaction"]

Redact: TypeAlias = Callable[[Batch], Batch]

_KEYS = "keys"
_CALLEE, _OPERATION = attrgetter("callee"), attrgetter("operation")
_SHORTEST = 4  # characters; guessed: no secret is shorter
_MAX_SERIES = 20_000  # whose operations are remembered as holding nothing; the default of `features.max_series`
_KEPT_CHARS = 2 * 2**20  # of texts without secrets that are remembered; guessed: those of thousands of errors

# Of a text that was cut, the last word may be part of a secret that is no longer known as one.
_HALF_CHARS = 256
_HALF = re.compile(rf"(?:[\d -]{{7,{_HALF_CHARS}}}|[^\s]{{1,{_HALF_CHARS}}})\Z")


class Redaction:
    """Takes secrets out of texts, by the rules that are on. Safe to use from several threads.

    Parameters
    ----------
    settings : RedactionSettings
        Which rules are on, and one's own.
    cut_chars : int
        Length to which ingest cuts texts: the last, half word of one that is as long goes too. 0 where nothing is cut.
    told : callable
        Told after each Batch which rule found how many secrets.

    Raises
    ------
    InvalidSetting
        When an expression of the settings cannot be used.

    Examples
    --------
    >>> Redaction().text("login of bob with password=hunter2 refused")
    'login of bob with password=REDACTED refused'
    """

    def __init__(
        self,
        settings: RedactionSettings | None = None,
        cut_chars: int = 0,
        told: Callable[[Mapping[str, int]], None] = lambda _found: None,
    ) -> None:
        settings = settings or RedactionSettings()
        self._enabled = settings.enabled
        self._rules = [rule for rule in RULES if getattr(settings, rule.name)] + [*own_rules(settings.patterns)]
        self._hints = [_Hints(rule) for rule in self._rules]
        self._own = frozenset(settings.patterns)
        self._cut_chars = cut_chars
        self._told = told
        self._keys = frozenset(map(_plain_key, settings.attribute_keys)) | (SENSITIVE_KEYS if settings.keys else frozenset())
        self._clean = _Clean()  # texts in which nothing was found
        self._needed = _Needed()  # by texts, digits as 0, in which only rules that look at digits may find anything: these
        self._plain_keys = _Clean()  # names of attributes that say nothing of a secret
        self._series = set[tuple[str, str]]()  # whose operations hold nothing

    def text(self, text: str, found: Counter[str] | None = None) -> str:
        """Return a text without its secrets.

        Parameters
        ----------
        text : str
            Anything.
        found : Counter, optional
            Counts secrets by rule.
        """
        if text in self._clean or len(text) < _SHORTEST or not self._enabled:
            return text
        if self._cut_chars and len(text) >= self._cut_chars:
            half = _HALF.search(text, max(len(text) - _HALF_CHARS, 0))  # not from the beginning: each place looks so far ahead
            text = text[: half.start()] if half else text
        outline = zeroed(text)
        rules = self._needed.get(outline)
        if rules is not None and not rules:
            return text
        redacted = text
        for rule in self._rules_for(outline) if rules is None else rules:
            redacted = self._applied(rule, redacted, found)
        if redacted == text:
            self._clean.add(text)
        return redacted

    def _rules_for(self, outline: str) -> tuple[Rule, ...]:
        """Return the rules that may find something in texts that are alike but for their digits."""
        lowered, redacted, needed = outline.lower(), outline, list[Rule]()
        for rule, hints in zip(self._rules, self._hints, strict=True):
            if not hints.may_match(outline, lowered):
                continue
            changed = redacted if rule.exact else rule.pattern.sub(rule.replace, redacted)
            if rule.exact or changed != redacted:
                needed.append(rule)
            redacted = changed
        if redacted == outline:  # what holds a secret is not remembered
            self._needed.put(outline, tuple(needed))
        return tuple(needed)

    def record(self, record: ErrorRecord, found: Counter[str] | None = None) -> ErrorRecord:
        """Return an error without secrets in what it says; itself where there are none."""
        text = self.text
        message, stack = text(record.message, found), text(record.stack, found)
        kind, operation = text(record.exception_type, found), text(record.operation, found)
        attributes = self._attributes(record.attributes, found)
        if (
            message is record.message
            and stack is record.stack
            and kind is record.exception_type
            and operation is record.operation
            and attributes is record.attributes
        ):
            return record
        return replace(record, message=message, stack=stack, exception_type=kind, operation=operation, attributes=attributes)

    def batch(self, batch: Batch) -> Batch:
        """Return a Batch without secrets in errors, and in names of operations and of what is called; itself where there are none.

        Operations that differ in secrets alone become one.
        """
        if not self._enabled:
            return batch
        found = Counter[str]()
        if not self._series.issuperset(batch.series):
            batch = self._operations(batch, found)
        if batch.calls and not self._clean.issuperset(map(_CALLEE, batch.calls)):
            calls = tuple(_of_call(call, self.text(call.callee, found)) for call in batch.calls)
            batch = batch if all(map(is_, calls, batch.calls)) else replace(batch, calls=calls)
        if batch.durations and not self._clean.issuperset(map(_OPERATION, batch.durations)):
            points = tuple(_of_point(point, self.text(point.operation, found)) for point in batch.durations)
            batch = batch if all(map(is_, points, batch.durations)) else replace(batch, durations=points)
        if batch.errors:
            errors = tuple([self.record(record, found) for record in batch.errors])
            batch = batch if all(map(is_, errors, batch.errors)) else replace(batch, errors=errors)
        if found:
            self._told(found)
        return batch

    def _operations(self, batch: Batch, found: Counter[str]) -> Batch:
        operations = [self.text(operation, found) for _, operation in batch.series]
        if all(new is old for new, (_, old) in zip(operations, batch.series, strict=True)):
            if len(self._series) > _MAX_SERIES:
                self._series.clear()
            self._series.update(batch.series)
            return batch
        return _renamed(batch, operations)

    def _attributes(self, attributes: Mapping[str, str], found: Counter[str] | None) -> Mapping[str, str]:
        clean, keys = self._clean, self._plain_keys
        for key, value in attributes.items():
            if key not in keys or (value not in clean and self.text(value) is not value):
                break
        else:
            return attributes
        redacted = dict(self._attribute(key, value, found) for key, value in attributes.items())
        return attributes if redacted == attributes else redacted

    def _attribute(self, key: str, value: str, found: Counter[str] | None) -> tuple[str, str]:
        plain = _plain_key(key)
        if plain in self._keys or plain.rpartition(".")[2] in self._keys:
            if found is not None and value not in ("", REDACTED):
                found[_KEYS] += 1
            return key, value and REDACTED
        clean = self.text(key, found)
        if clean is key:
            self._plain_keys.add(key)
        return clean, self.text(value, found)

    def _applied(self, rule: Rule, text: str, found: Counter[str] | None) -> str:
        if rule.name in self._own and len(text) > WINDOW_CHARS:
            redacted = _in_pieces(rule, text)
        else:
            redacted = rule.pattern.sub(rule.replace, text)
        if found is not None and redacted != text:
            found[rule.name] += max(redacted.count(REDACTED) - text.count(REDACTED), 1)
        return redacted


class _Hints:
    """The words without which a rule cannot match, digits as 0."""

    def __init__(self, rule: Rule) -> None:
        self._cased = rule.cased
        self._words = tuple(zeroed(hint) for hint in rule.hints)
        self._digits = rule.name == "cards"

    def may_match(self, outline: str, lowered: str) -> bool:
        """Say whether a rule may match a text, of which the digits are 0."""
        if self._digits:
            return _LONG_NUMBER.search(outline) is not None
        text = outline if self._cased else lowered
        return not self._words or any(word in text for word in self._words)


_LONG_NUMBER = re.compile(r"0(?:[ -]?0){12}")


class _Clean(set[str]):
    """Texts that are remembered, all forgotten once they are too many characters; none of them holds a secret."""

    chars = 0

    def add(self, text: str) -> None:
        """Remember a text."""
        self.chars += len(text)
        if self.chars > _KEPT_CHARS:
            self.clear()
            self.chars = len(text)
        super().add(text)


class _Needed(dict[str, tuple[Rule, ...]]):
    """Rules by texts, bounded as `_Clean` is."""

    chars = 0

    def put(self, text: str, rules: tuple[Rule, ...]) -> None:
        """Remember the rules of a text."""
        self.chars += len(text)
        if self.chars > _KEPT_CHARS:
            self.clear()
            self.chars = len(text)
        self[text] = rules


def _of_call(call: Call, callee: str) -> Call:
    return call if callee is call.callee else replace(call, callee=callee)


def _of_point(point: DurationPoint, operation: str) -> DurationPoint:
    return point if operation is point.operation else replace(point, operation=operation)


def _plain_key(key: str) -> str:
    return key.lower().replace("_", "-")


def _in_pieces(rule: Rule, text: str) -> str:
    """Apply a rule to pieces of a long text that overlap by half, and take out whatever it finds in any of them."""
    half = WINDOW_CHARS // 2
    spans: list[tuple[int, int]] = []
    for start in range(0, max(len(text) - half, 1), half):
        for match in rule.pattern.finditer(text[start : start + WINDOW_CHARS]):
            low, high = secret_span(match)
            if high > low:
                spans.append((start + low, start + high))
    parts: list[str] = []
    end = 0
    for low, high in sorted(spans):
        if low >= end:
            parts += [text[end:low], REDACTED]
        end = max(end, high)
    return "".join([*parts, text[end:]])


def _renamed(batch: Batch, operations: list[str]) -> Batch:
    """Return a Batch whose series have other operations; those that are alike then are one."""
    places: dict[tuple[str, str], int] = {}
    where = [
        places.setdefault((service, operation), len(places))
        for (service, _), operation in zip(batch.series, operations, strict=True)
    ]
    return replace(batch, series=tuple(places), group_series=np.array(where, np.int64)[batch.group_series])
