"""The nodes of a cluster as they say it themselves, a document each in the bucket ``members``, and as one of them sees all of them.

`app.ownership` fills a `Member` at every heartbeat, `app.membership` writes and watches them, `app.api.nodes` answers with `Nodes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from app.cache.documents import decode_document, encode_document
from features.errors import InvalidValue

__all__ = ["ALIVE", "DEAD", "LEAVING", "MEMBERS", "WORKER", "Member", "NodeState", "Nodes", "decode_member", "encode_member"]

MEMBERS = "members"
"""The bucket; a document's key is the node's id."""

WORKER = "worker"
"""Role of a node that can hold partitions."""

ALIVE, LEAVING, DEAD = "alive", "leaving", "dead"
"""States of a node: its heartbeat goes; it goes and the node hands over; it does not go any more."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node, as its heartbeat says.

    Nodes of several versions read each other's, so a field may be added with a default, never changed or renamed: what one does not know
    it leaves out, and what it misses has the default.

    Parameters
    ----------
    id : str
        Of the node, the same after a restart.
    incarnation : str
        Random at each start of the process: tells a restarted process from the one before.
    version : str
        Of the software.
    started_at : float
        Unix seconds.
    roles : tuple of str
        What the node does; `WORKER` may hold partitions.
    placement : str
        The strategy of its settings; that of the member which started first counts for all.
    weight : float
        Its share beside others', above 0.
    load : float or None
        Entries a second that it absorbs; None where nothing measures it.
    loads : Mapping of int to float
        The same by partition, held steady between changes, since everybody places partitions by it.
    lag : int
        Entries that are not absorbed.
    tick : float or None
        Unix seconds of the newest closed tick.
    held : tuple of int
        Partitions that it holds or takes over now.
    claimed : tuple of int
        Partitions that it is about to take over, so that nobody else does.
    listening : bool
        It knows the others for less than their time to live, and takes nothing over yet.
    leaving : bool
        It is about to stop, and lets go.
    api : str
        Where its REST API is.
    signing : str
        Fingerprint of the key that it signs models with, empty without one.
    handovers : int
        Partitions that it took over since it started.

    Raises
    ------
    InvalidValue
        When it has no id, or the weight is not a number above 0.
    """

    id: str
    incarnation: str = ""
    version: str = ""
    started_at: float = 0.0
    roles: tuple[str, ...] = ()
    placement: str = "even"
    weight: float = 1.0
    load: float | None = None
    loads: Mapping[int, float] = field(default_factory=dict[int, float])
    lag: int = 0
    tick: float | None = None
    held: tuple[int, ...] = ()
    claimed: tuple[int, ...] = ()
    listening: bool = False
    leaving: bool = False
    api: str = ""
    signing: str = ""
    handovers: int = 0

    def __post_init__(self) -> None:
        if not self.id:
            raise InvalidValue("id of a member must be at least 1 character, got ''")
        if not (self.weight > 0 and isfinite(self.weight)):
            raise InvalidValue(f"weight of member {self.id!r} must be a number above 0, got {self.weight}")


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node as another one sees it.

    Parameters
    ----------
    member : Member
        What it said last.
    age_s : float
        Seconds since its heartbeat was seen last, on the clock of who looks.
    state : {"alive", "leaving", "dead"}
        What follows from that.
    """

    member: Member
    age_s: float
    state: str


@dataclass(frozen=True, slots=True)
class Nodes:
    """All nodes of a cluster as one of them sees them.

    Parameters
    ----------
    n_partitions : int
        Of the log.
    states : tuple of NodeState
        By id.

    Examples
    --------
    >>> nodes = Nodes(3, (NodeState(Member("a", held=(0, 2)), 0.1, ALIVE), NodeState(Member("b", held=(1,)), 60.0, DEAD)))
    >>> nodes.leader, nodes.unheld
    ('a', [1])
    """

    n_partitions: int
    states: tuple[NodeState, ...]

    @property
    def leader(self) -> str | None:
        """Id of the node that holds partition 0 and with it what only one does; None while nobody does."""
        return next((each.member.id for each in self.states if each.state != DEAD and 0 in each.member.held), None)

    @property
    def unheld(self) -> list[int]:
        """Partitions that no node whose heartbeat goes holds."""
        held = {number for each in self.states if each.state != DEAD for number in each.member.held}
        return [number for number in range(self.n_partitions) if number not in held]


def encode_member(member: Member) -> bytes:
    """Encode a member for its bucket.

    Examples
    --------
    >>> decode_member(encode_member(Member("a", loads={3: 0.5}))).loads
    {3: 0.5}
    """
    return encode_document(member)


def decode_member(value: bytes) -> Member:
    """Decode a member, of another version too.

    Raises
    ------
    InvalidValue
        When the bytes are none.

    Examples
    --------
    >>> decode_member(b'{"id":"a","zone":"east"}')
    Member(id='a', incarnation='', ...)
    """
    return decode_document(value, Member)
