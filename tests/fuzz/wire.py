"""Bodies as trees of protobuf fields, which mutation changes and which encode to anything, also to what no encoder writes.

`read` takes a valid body apart along the schema; `write` puts a tree together again, with the lies that mutation told: lengths
that are not true, varints longer than need be, numbers and wire types that the schema does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, FieldDescriptor

__all__ = [
    "FIXED32",
    "FIXED64",
    "GROUP_END",
    "GROUP_START",
    "LENGTH",
    "VARINT",
    "Node",
    "delimited",
    "read",
    "varint",
    "walk",
    "write",
]

VARINT, FIXED64, LENGTH, GROUP_START, GROUP_END, FIXED32 = range(6)
_WIDTH = {FIXED64: 8, FIXED32: 4}
_MASK = 2**64 - 1


@dataclass(slots=True)
class Node:
    """One field as it stands in a body.

    Parameters
    ----------
    number, wire : int
        The tag.
    value : int, bytes or list of Node
        What follows; nodes where it is a message of the schema.
    message : Descriptor, optional
        What the nodes are fields of.
    stretch : int
        Bytes by which the tag is longer than need be.
    stretch_value : int
        The same of a varint's or a length's bytes.
    lie : int, optional
        The length that is written instead of the true one.
    """

    number: int
    wire: int
    value: int | bytes | list[Node]
    message: Descriptor | None = None
    stretch: int = 0
    stretch_value: int = 0
    lie: int | None = None

    def copy(self) -> Node:
        """Return a copy that shares nothing."""
        value = [node.copy() for node in self.value] if isinstance(self.value, list) else self.value
        return Node(self.number, self.wire, value, self.message, self.stretch, self.stretch_value, self.lie)


@dataclass(slots=True)
class _Cursor:
    body: bytes
    at: int = 0
    end: int = field(default=0)

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.body[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def take(self, size: int) -> bytes:
        self.at += size
        return self.body[self.at - size : self.at]


def delimited(number: int, part: bytes) -> bytes:
    """Return a field that holds a text, bytes or a message.

    Examples
    --------
    >>> delimited(1, b"ab").hex()
    '0a026162'
    """
    return varint(number << 3 | LENGTH) + varint(len(part)) + part


def varint(value: int, stretch: int = 0) -> bytes:
    """Return a varint, longer by `stretch` bytes than need be.

    Examples
    --------
    >>> varint(300).hex(), varint(1, stretch=2).hex()
    ('ac02', '818000')
    """
    value &= _MASK
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    if stretch:
        out[-1] |= 0x80
        out += b"\x80" * (stretch - 1) + b"\0"
    return bytes(out)


def read(body: bytes, message: Descriptor) -> list[Node]:
    """Return the fields of a valid body.

    Parameters
    ----------
    body : bytes
        As an encoder wrote it: no groups, no lies.
    message : Descriptor
        Its type.

    Returns
    -------
    list of Node
        `write` of it gives the body again.
    """
    cursor = _Cursor(body, 0, len(body))
    nodes: list[Node] = []
    while cursor.at < cursor.end:
        tag = cursor.varint()
        number, wire = tag >> 3, tag & 7
        known: FieldDescriptor | None = message.fields_by_number.get(number)
        if wire == VARINT:
            nodes.append(Node(number, wire, cursor.varint()))
        elif wire == LENGTH:
            part = cursor.take(cursor.varint())
            inner = None if known is None else known.message_type
            nodes.append(Node(number, wire, part if inner is None else read(part, inner), inner))
        else:
            nodes.append(Node(number, wire, int.from_bytes(cursor.take(_WIDTH[wire]), "little")))
    return nodes


def write(nodes: Sequence[Node]) -> bytes:
    """Return the bytes of a tree."""
    return b"".join(_written(node) for node in nodes)


def _written(node: Node) -> bytes:
    tag = varint(node.number << 3 | node.wire, node.stretch)
    if isinstance(node.value, int):
        width = _WIDTH.get(node.wire)
        if width is None:
            return tag + (b"" if node.wire == GROUP_END else varint(node.value, node.stretch_value))
        return tag + (node.value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    part = node.value if isinstance(node.value, bytes) else write(node.value)
    if node.wire != LENGTH:
        # What a message holds, behind a tag that announces something else; a group is closed properly.
        return tag + part + (varint(node.number << 3 | GROUP_END) if node.wire == GROUP_START else b"")
    return tag + varint(len(part) if node.lie is None else node.lie, node.stretch_value) + part


def walk(nodes: list[Node]) -> Iterator[tuple[list[Node], int]]:
    """Yield every node's place: the list that holds it and its index there."""
    for index, node in enumerate(nodes):
        yield nodes, index
        if isinstance(node.value, list):
            yield from walk(node.value)
