"""Message templates without configuration, and the fingerprint that names a group of like errors.

`features.classify` gives every message to a `Templates` store and hashes the template's key with
service, kind, exception type and the top frames of the stack; windows count new fingerprints, and
the API groups errors by them.

What varies is masked first (`features.mask`). The rest is a shape, and a shape is a template. A word in which
otherwise equal shapes differ turns into a variable as soon as a like shape holds a masked value there,
or once `MIN_VARIANTS` words were seen there; the oldest shape of the family then stands for all later ones.

Stable names: an id counts up and lives in the snapshot; a key is the hash of a template's first shape.
It never changes while the template generalises, and a template that was forgotten for lack of room
has the same key when it returns.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from features.errors import InvalidValue, SnapshotMismatch
from features.frames import frames
from features.mask import WILDCARD, outline

__all__ = ["MIN_VARIANTS", "Templates", "fingerprint"]

MIN_VARIANTS = 6
"""Different words in one place that turn it into a variable; guessed, 4 to 12 measure the same on LogHub."""

_MIN_WORDS = 3  # other words that must agree before a place generalises; guessed: "error <*>" would eat too much
_VERSION = 1
_SHARE = 8  # of the templates one in eight is forgotten when the store is full, so that it seldom has to


@lru_cache(maxsize=4096)
def fingerprint(service: str, kind: str, exception_type: str, template_key: str, stack: str = "") -> str:
    """Name the group that an error belongs to.

    Parameters
    ----------
    service, kind, exception_type : str
        Where and what failed.
    template_key : str
        `Templates.key` of the message; not the template's text, which generalises as messages arrive.
    stack : str
        Its top three frames of the application count, without lines and addresses; none when only libraries show.

    Returns
    -------
    str
        16 hexadecimal digits, the same on every machine and after every restart.

    Examples
    --------
    >>> fingerprint("cart", "timeout", "TimeoutError", "b1") == fingerprint("cart", "timeout", "TimeoutError", "b1")
    True
    >>> len(fingerprint("cart", "timeout", "", "b1", "  at shop.Cart.add(Cart.java:42)"))
    16
    """
    return _hash("\0".join((service, kind, exception_type, template_key, *(frames(stack) if stack else ()))))


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _word(token: str) -> bool:
    return token[:1].isalnum() or token[:1] == "_"


@dataclass(slots=True)
class _Template:
    key: str
    text: str
    count: int
    shapes: list[str]


class Templates:
    """Give every message the id of its template, learning templates as messages come.

    Parameters
    ----------
    max_templates : int
        Bound of memory, about 3 KiB a template. Past it the least recently used eighth is forgotten:
        such a message gets a new id when it returns, under the same key.

    References
    ----------
    The shape with masked variables is the starting point of He et al. 2017 (Drain) and Yu et al. 2023 (Brain);
    neither the patterns nor the thresholds here are set per system, and there is no tree: a dictionary of shapes
    answers for known ones, and shapes that differ in one word find each other by the hash of the rest.

    Examples
    --------
    >>> templates = Templates()
    >>> a, b = templates.add("order 17 not paid"), templates.add("order 18 not paid")
    >>> a == b, templates.template(a), templates.add("no route to host") == a
    (True, 'order <*> not paid', False)
    """

    def __init__(self, max_templates: int = 4096) -> None:
        self.max_templates = max_templates
        self._templates: OrderedDict[int, _Template] = OrderedDict()  # least recently used first
        self._ids: dict[str, int] = {}  # by shape
        self._families: dict[int, tuple[int, ...]] = {}  # ids by hash of a shape without one of its places
        self._next = 1

    def __len__(self) -> int:
        return len(self._templates)

    def add(self, message: str) -> int:
        """Return the id of the message's template; learn it when it is new.

        Parameters
        ----------
        message : str
            As reported. The first line decides; the last one of a Python traceback, the field ``message`` of JSON.

        Returns
        -------
        int
            At least 1, never used for another template.
        """
        return self._learn_shape(*outline(message))

    def learn(self, shape: str, tokens: Sequence[str]) -> str:
        """Return the key of the template of a message's `features.mask.outline`; learn it when it is new."""
        return self._templates[self._learn_shape(shape, tokens)].key

    def _learn_shape(self, shape: str, tokens: Sequence[str]) -> int:
        number = self._ids.get(shape)
        if number is None:
            number = self._variant(tokens)
        if number is None:
            number = self._new(shape)
        self._templates[number].count += 1
        self._templates.move_to_end(number)
        return number

    def template(self, number: int) -> str:
        """Return the template's text as it is now, ``<*>`` alone when it was forgotten.

        Raises
        ------
        InvalidValue
            When no template had this id.
        """
        if not 0 < number < self._next:
            raise InvalidValue(f"template id must be in [1, {self._next - 1}], got {number}")
        return self._templates[number].text if number in self._templates else WILDCARD

    def key(self, number: int) -> str:
        """Return the template's stable key, 16 hexadecimal digits.

        Raises
        ------
        InvalidValue
            When the id is none of a template in memory.
        """
        if number not in self._templates:
            raise InvalidValue(f"template id must be one of {len(self)} in memory, got {number}")
        return self._templates[number].key

    def count(self, number: int) -> int:
        """Return how many messages the template took, 0 when it was forgotten."""
        return self._templates[number].count if number in self._templates else 0

    def snapshot(self) -> bytes:
        """Return the whole state as JSON, for `restore`."""
        rows = [[number, t.key, t.text, t.count, t.shapes] for number, t in self._templates.items()]
        state = {"version": _VERSION, "max": self.max_templates, "next": self._next, "templates": rows}
        return json.dumps(state, separators=(",", ":")).encode()

    @classmethod
    def restore(cls, data: bytes) -> Templates:
        """Return the store that wrote the snapshot; from here on both give the same ids.

        Raises
        ------
        SnapshotMismatch
            When the bytes are no snapshot of this version.
        """
        try:
            state = json.loads(data)
            version = state["version"]
            if version != _VERSION:
                raise SnapshotMismatch(f"snapshot of templates must have version {_VERSION}, got {version!r}")
            store = cls(state["max"])
            store._next = state["next"]
            for number, key, text, count, shapes in state["templates"]:
                store._templates[number] = _Template(key, text, count, [])
                for shape in shapes:
                    store._learn(shape, number)
        except (ValueError, TypeError, KeyError) as exc:
            raise SnapshotMismatch(f"snapshot of templates cannot be read: {exc!r}") from exc
        return store

    def _new(self, shape: str) -> int:
        number = self._next
        self._next += 1
        self._templates[number] = _Template(_hash(shape), shape, 0, [])
        self._learn(shape, number)
        if len(self._templates) > self.max_templates:
            for old in list(self._templates)[: max(self.max_templates // _SHARE, 1)]:
                self._forget(old)
        return number

    def _variant(self, tokens: Sequence[str]) -> int | None:
        """Return the template that these tokens are a variant of, generalising it when it is time."""
        for place, family in _families(tokens):
            members = self._families.get(family, ())
            if not members or tokens[place] == WILDCARD:
                continue
            general = " ".join([*tokens[:place], WILDCARD, *tokens[place + 1 :]])
            if general in self._ids:
                return self._ids[general]
            if len(members) + 1 >= MIN_VARIANTS:
                oldest = min(members)
                self._learn(general, oldest)
                self._templates[oldest].text = general
                return oldest
        return None

    def _learn(self, shape: str, number: int) -> None:
        self._ids[shape] = number
        self._templates[number].shapes.append(shape)
        for _, family in _families(shape.split(" ")):
            self._families[family] = (*self._families.get(family, ()), number)

    def _forget(self, number: int) -> None:
        for shape in self._templates.pop(number).shapes:
            del self._ids[shape]
            for _, family in _families(shape.split(" ")):
                rest = tuple(other for other in self._families.pop(family, ()) if other != number)
                if rest:
                    self._families[family] = rest


def _families(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Return (place, hash of all other tokens) of every place that can become a variable."""
    words = [place for place, token in enumerate(tokens) if token != WILDCARD and _word(token)]
    if len(words) <= _MIN_WORDS:
        return []
    hashes = [hash((place, token)) for place, token in enumerate(tokens)]
    total = sum(hashes)
    open_places = [place for place, token in enumerate(tokens) if token == WILDCARD or _word(token)]
    return [(place, hash((place, len(tokens), total - hashes[place]))) for place in open_places]
