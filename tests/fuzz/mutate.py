"""Mutations: of the tree, so that they pass the first checks and reach deep, and of the bytes, so that nothing is assumed.

Every mutation takes a random generator and changes what it is given; `mutant` strings a few together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from google.protobuf.descriptor import Descriptor

from tests.fuzz.wire import FIXED32, FIXED64, GROUP_END, GROUP_START, LENGTH, VARINT, Node, read, varint, walk, write

__all__ = ["BLIND", "STRUCTURED", "mutant", "nested"]

_EDGES = (
    0, 1, 2, 3, 7, 8, 16, 17, 127, 128, 255, 256, 1000, 16_383, 16_384, 2**21 - 1, 2**28, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
    2**35, 2**53 + 1, 2**56, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1, 0x7FF0000000000000, 0x7FF8000000000001, 10**18,
)  # fmt: skip
_BAD_TEXT = (
    b"\xc0\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\x80", b"\xe2\x82", b"\xf0\x9f\x98",
    b"\xc3", b"\xff", b"\xfe", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xf5\x80\x80\x80",
)  # fmt: skip
_GOOD_TEXT = (
    b"\xc2\x80",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xf4\x8f\xbf\xbf",
    b"\xf0\x90\x80\x80",
    b"\xef\xbf\xbf",
    b"\0",
    b"ot=th:8",
)
_NUMBERS = (0, 1, 2, 3, 15, 16, 17, 100, 18_999, 19_000, 2**28, 2**29 - 1, 2**29, 2**32, 2**60)
_DEPTHS = (1, 2, 5, 6, 7, 8, 20, 30, 31, 32, 33, 45, 46, 47, 48, 49, 50, 51, 94, 95, 96, 97, 98, 99, 100, 101, 102, 130, 400)


def _pick(rng: random.Random, tree: list[Node]) -> tuple[list[Node], int]:
    """Return a place of the tree; a deeper level is as likely as the one above it."""
    nodes = tree
    index = rng.randrange(len(nodes))
    while isinstance(inner := nodes[index].value, list) and inner and rng.random() < 0.8:
        nodes, index = inner, rng.randrange(len(inner))
    return nodes, index


def _duplicate(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    for _ in range(rng.choice((1, 1, 1, 2, 30))):
        nodes.insert(rng.randint(0, len(nodes)), nodes[index].copy())


def _delete(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    if nodes is not tree or len(nodes) > 1:
        del nodes[index]


def _reorder(rng: random.Random, tree: list[Node]) -> None:
    nodes, _ = _pick(rng, tree)
    rng.shuffle(nodes)


def _edge(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    if isinstance(nodes[index].value, int):
        nodes[index].value = rng.choice(_EDGES)


def _text(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    value = nodes[index].value
    if isinstance(value, bytes):
        at = rng.choice((0, len(value), rng.randint(0, len(value))))
        nodes[index].value = value[:at] + rng.choice(_BAD_TEXT if rng.random() < 0.5 else _GOOD_TEXT) + value[at:]


def _resize(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    value = nodes[index].value
    if isinstance(value, bytes):
        size = rng.choice((0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 257, 4095, 4096, 4097))
        nodes[index].value = (value * (size // max(len(value), 1) + 1))[:size].ljust(size, b"a")


def _number(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    nodes[index].number = rng.choice(_NUMBERS) if rng.random() < 0.5 else rng.randint(1, 20)


def _wire(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    nodes[index].wire = rng.randint(0, 7)


def _stretch(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    more = rng.choice((1, 1, 2, 3, 4, 5, 8, 9, 10))
    if rng.random() < 0.5:
        nodes[index].stretch = more
    else:
        nodes[index].stretch_value = more


def _lie(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    node = nodes[index]
    if node.wire == LENGTH:
        size = (
            len(node.value) if isinstance(node.value, bytes) else len(write(node.value)) if isinstance(node.value, list) else 0
        )
        node.lie = rng.choice((size + 1, size - 1, size + 2, 0, size + 127, 2**31 - 1, 2**31, 2**32 + size, 2**63, 2**64 - 1))


def _unknown(rng: random.Random, tree: list[Node]) -> None:
    nodes, index = _pick(rng, tree)
    wire = rng.choice((VARINT, FIXED64, LENGTH, FIXED32))
    value: int | bytes = rng.randbytes(rng.choice((0, 1, 5))) if wire == LENGTH else rng.choice(_EDGES)
    nodes.insert(index, Node(rng.choice((rng.randint(1, 40), 1000, 2**29 - 1)), wire, value))


def _group(rng: random.Random, tree: list[Node]) -> None:
    """Insert a group: closed, left open, closed by another number, closed without having been opened, or deeply nested."""
    nodes, index = _pick(rng, tree)
    number = rng.choice((1, 2, 6, 40, 1000))
    start, end = Node(number, GROUP_START, b""), Node(number, GROUP_END, 0)
    closed = Node(number, GROUP_START, [Node(3, VARINT, 5), Node(1, LENGTH, b"\xff\xfe")])
    match rng.randrange(5):
        case 0:
            nodes.insert(index, closed)
        case 1:
            nodes.insert(index, Node(number, GROUP_START, [Node(number + 1, GROUP_END, 0)]))
        case 2:
            nodes.insert(index, end)
        case 3:
            raw = varint(start.number << 3 | GROUP_START)
            depth = rng.choice(_DEPTHS)
            nodes.insert(index, Node(number, GROUP_START, raw * depth + varint(number << 3 | GROUP_END) * depth))
        case _:
            inner = nodes[index]
            nodes[index] = Node(number, GROUP_START, [inner, closed])


def nested(depth: int, *, pairs: bool) -> bytes:
    """Return an AnyValue of `depth` lists (or key-value lists) in one another, innermost a text.

    Examples
    --------
    >>> nested(0, pairs=False).hex(), nested(1, pairs=False).hex()
    ('0a0178', '2a050a030a0178')
    """
    value = b"\x0a\x01x"
    for _ in range(depth):
        inner = b"\x0a" + varint(len(value)) + value
        if pairs:
            pair = b"\x0a\x01k\x12" + varint(len(value)) + value
            inner = b"\x0a" + varint(len(pair)) + pair
        value = (b"\x32" if pairs else b"\x2a") + varint(len(inner)) + inner
    return value


def _deepen(rng: random.Random, tree: list[Node]) -> None:
    """Put a deeply nested value where an attribute's or a body's value stands."""
    places = [
        nodes[index]
        for nodes, index in walk(tree)
        if (message := nodes[index].message) is not None and message.name == "AnyValue"
    ]
    if places:
        rng.choice(places).value = nested(rng.choice(_DEPTHS), pairs=rng.random() < 0.5)


def _split(rng: random.Random, tree: list[Node]) -> None:
    """Send a message in two parts, which a parser must merge."""
    nodes, index = _pick(rng, tree)
    value = nodes[index].value
    if isinstance(value, list) and value:
        cut = rng.randint(0, len(value))
        other = Node(nodes[index].number, LENGTH, [node.copy() for node in value[cut:]], nodes[index].message)
        nodes[index].value = value[: cut + rng.randint(0, 1)]
        nodes.insert(rng.randint(index + 1, len(nodes)), other)


def _transplant(rng: random.Random, tree: list[Node]) -> None:
    """Copy a field to another place, of the same kind or not."""
    nodes, index = _pick(rng, tree)
    into, at = _pick(rng, tree)
    node = nodes[index].copy()
    if rng.random() < 0.5:
        node.number = into[at].number
    into.insert(at, node)


STRUCTURED: tuple[Callable[[random.Random, list[Node]], None], ...] = (
    _duplicate, _delete, _reorder, _edge, _edge, _text, _text, _resize, _number, _wire, _stretch, _lie, _unknown, _group, _deepen,
    _split, _split, _transplant,
)  # fmt: skip
"""Mutations of a tree."""


def _flip(rng: random.Random, body: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def _overwrite(rng: random.Random, body: bytearray) -> None:
    at = rng.randrange(len(body))
    piece = rng.choice((b"\0", b"\xff", b"\x80", b"\x7f", b"\xff" * 10, b"\x80" * 10, rng.randbytes(rng.randint(1, 8))))
    body[at : at + len(piece)] = piece


def _cut(rng: random.Random, body: bytearray) -> None:
    del body[rng.randrange(len(body)) :]


def _drop(rng: random.Random, body: bytearray) -> None:
    at = rng.randrange(len(body))
    del body[at : at + rng.choice((1, 1, 2, 8, 64))]


def _insert(rng: random.Random, body: bytearray) -> None:
    at = rng.randint(0, len(body))
    body[at:at] = rng.choice(
        (b"\0", b"\x80", b"\xff", varint(rng.choice(_EDGES)), rng.randbytes(rng.randint(1, 8)), *_BAD_TEXT)
    )


def _repeat(rng: random.Random, body: bytearray) -> None:
    at = rng.randrange(len(body))
    size = rng.choice((1, 2, 8, 64, 512))
    body[at:at] = body[at : at + size] * rng.choice((1, 1, 2, 16))


BLIND: tuple[Callable[[random.Random, bytearray], None], ...] = (_flip, _flip, _overwrite, _cut, _drop, _insert, _repeat)
"""Mutations of bytes."""


def mutant(rng: random.Random, seeds: Sequence[bytes], message: Descriptor) -> bytes:
    """Return a changed request.

    Parameters
    ----------
    rng : random.Random
        Where the choices come from.
    seeds : sequence of bytes
        Valid bodies of one signal.
    message : Descriptor
        Their type.

    Returns
    -------
    bytes
        Valid or not.
    """
    # Small bodies are read sooner, so more of them are tried in the same time.
    seed = min(rng.choice(seeds), rng.choice(seeds), key=len)
    way = rng.random()
    if way < 0.05:
        return seed
    if way < 0.10:
        other = rng.choice(seeds)
        return seed[: rng.randint(0, len(seed))] + other[rng.randint(0, len(other)) :]
    if way < 0.85:
        tree = read(seed, message)
        for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
            if tree:
                rng.choice(STRUCTURED)(rng, tree)
        seed = write(tree)
        if way < 0.75:
            return seed
    body = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if body:
            rng.choice(BLIND)(rng, body)
    return bytes(body)
