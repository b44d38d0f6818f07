"""State, offset and documents of partitions in one JetStream stream, changed by atomic batches that a head's sequence fences.

The head of a partition is a message that names its epoch, offset and the parts of its state; the token is its sequence. Whoever acquires
writes a new head, so that every batch of an earlier owner expects a sequence that is no longer the newest, and is refused whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from app.store.contract import Commit, Head, Output, State
from app.store.jetstream_answers import EXPECTED, MAX_BATCH, Draft, Refused, Stored
from app.store.jetstream_documents import STREAM, JetStreamDocuments, drafts_of
from app.store.jetstream_link import Link
from features.errors import Fenced, InvalidValue, StoreFailed

__all__ = ["JetStreamCheckpoints", "Redrafted"]

_PREFIX = "fs.state."
_PART_BYTES = 2**20 - 2**14
"""Bytes of one message of state; the server's usual bound of a message is 1 MiB."""

_GONE = "60s"  # how long the server keeps an empty message in the place of a part that is gone
_PAGE = {"batch": 64, "max_bytes": 16 * 2**20}
_TRIES = 20
_LOOKS, _PAUSE_S = 200, 0.05  # for state on a replica that is behind; as long as the link waits for a leader


class _HeadWire(msgspec.Struct):
    epoch: int
    owner: str
    offset: int
    parts: dict[str, list[str]]
    """By key of the state, the sha256 of each of its parts."""


@dataclass(frozen=True, slots=True)
class Redrafted:
    """The checkpoint of a partition with another state, as messages.

    Parameters
    ----------
    offset : int
        Of the checkpoint, 0 where there is none.
    state : Mapping of str to bytes
        As it was.
    changed : int
        Parts of it that are others, or gone.
    drafts : sequence of Draft
        Head and state; none where there is no checkpoint.
    """

    offset: int
    state: State
    changed: int
    drafts: Sequence[Draft]


class JetStreamCheckpoints:
    """The `Checkpoints` of a cluster.

    Parameters
    ----------
    link : Link
        The connection.
    documents : JetStreamDocuments
        Whose watches learn of the outputs.
    partitions : int
        How many there are.
    """

    def __init__(self, link: Link, documents: JetStreamDocuments, partitions: int) -> None:
        self._link = link
        self._documents = documents
        self._partitions = partitions
        self._heads: dict[int, tuple[int, _HeadWire]] = {}  # what this process wrote last, by partition

    def acquire(self, partition: int, owner: str) -> Head:
        """Take the partition over; every earlier token is refused from now on."""
        if not 0 <= partition < self._partitions:
            raise InvalidValue(f"partition must be in [0, {self._partitions}), got {partition}")
        for _ in range(_TRIES):
            sequence, head = self._head(partition)
            head.epoch, head.owner = head.epoch + 1, owner
            try:
                token = self._link.call(self._link.publish(STREAM, _head_draft(partition, head, sequence)))
            except Refused:
                continue  # another one took it meanwhile; take it from them
            self._heads[partition] = token, head
            return Head(token, head.offset, self._state(partition, head))
        raise StoreFailed(f"partition {partition} was taken over by others {_TRIES} times in a row")

    def redrafted(self, partition: int, change: Callable[[int, State], State]) -> Redrafted:
        """Return the messages of a partition's checkpoint with another state, which no earlier owner can commit to; nothing is written.

        Raises
        ------
        StoreFailed
            When the cluster does not answer, or not all of the state is there.
        """
        sequence, head = self._head(partition)
        if not sequence:
            return Redrafted(0, {}, 0, ())
        before = self._state(partition, head)
        after = change(partition, before)
        n_changed = sum(before.get(key) != after.get(key) for key in before.keys() | after.keys())
        parts = {key: [_digest(part) for part in _cut(value)] for key, value in after.items()}
        drafts = [_head_draft(partition, _HeadWire(head.epoch + 1, "", head.offset, parts))]
        for key, value in after.items():
            drafts += [Draft(_part_subject(partition, key, number), part) for number, part in enumerate(_cut(value))]
        return Redrafted(head.offset, before, n_changed, drafts)

    def commit(
        self,
        partition: int,
        token: int,
        offset: int,
        changed_state: Mapping[str, bytes | None],
        outputs: Iterable[Output] = (),
    ) -> int:
        """Change state, offset and outputs together and return the next token; see `Checkpoints.commit`."""
        return self.commit_all([Commit(partition, token, offset, changed_state, outputs)])[0]

    def commit_all(self, commits: Sequence[Commit]) -> list[int]:
        """Commit several partitions in one batch and return their next tokens; see `commit`.

        Documents that a batch has no room for are published in batches of their own before it, fenced alike: they are those of a tick
        that a new owner would publish again.

        Raises
        ------
        Fenced, InvalidValue
            As for `commit`; neither state nor offset was changed in any partition.
        """
        if not commits:
            return []
        now_s = self._documents.now_s()
        heads = {commit.partition: self._own(commit) for commit in commits}
        before = {commit.partition: self._heads[commit.partition][1] for commit in commits}
        state = [d for c in commits for d in _state_drafts(c, before[c.partition])]
        room = MAX_BATCH - len(commits) - len(state)
        if room < 0:
            raise StoreFailed(f"a commit must hold at most {MAX_BATCH} messages, got {MAX_BATCH - room}")
        documents = drafts_of((output for commit in commits for output in commit.outputs), now_s)
        tokens = {commit.partition: commit.token for commit in commits}
        size = MAX_BATCH - len(commits)
        while len(documents) > room:
            self._batch(before, tokens, [], documents[:size], now_s)
            documents = documents[size:]
        self._batch(heads, tokens, state, documents, now_s)
        return [tokens[commit.partition] for commit in commits]

    def _batch(
        self,
        heads: Mapping[int, _HeadWire],
        tokens: dict[int, int],
        state: Sequence[Draft],
        documents: Sequence[tuple[Output, Draft]],
        now_s: float,
    ) -> None:
        """Write heads, state and documents in one batch, and move the tokens on."""
        first = [_head_draft(partition, head, tokens[partition]) for partition, head in heads.items()]
        drafts = [*first, *state, *(draft for _, draft in documents)]
        try:
            sequences = self._link.call(self._link.publish_batch(STREAM, drafts))
        except Refused as exc:
            raise Fenced(f"partitions {sorted(heads)}: a newer owner holds one of them: {exc}") from exc
        for (partition, head), sequence in zip(heads.items(), sequences, strict=False):
            tokens[partition] = sequence
            self._heads[partition] = sequence, head
        if documents:
            self._documents.written([output for output, _ in documents], now_s, sequences[len(first) + len(state) :])

    def _own(self, commit: Commit) -> _HeadWire:
        """Return the head after a commit, given that its token is the newest that this process knows."""
        token, head = self._heads.get(commit.partition, (0, None))
        if head is None or token != commit.token:
            raise Fenced(f"partition {commit.partition} is at token {token}, got {commit.token}: a newer owner holds it")
        if commit.offset < head.offset:
            raise InvalidValue(f"offset of partition {commit.partition} must be at least {head.offset}, got {commit.offset}")
        parts = {key: kept for key, kept in head.parts.items() if commit.changed_state.get(key, b"") is not None}
        for key, value in commit.changed_state.items():
            if value is not None:
                parts[key] = [_digest(part) for part in _cut(value)]
        return _HeadWire(head.epoch, head.owner, commit.offset, parts)

    def _head(self, partition: int) -> tuple[int, _HeadWire]:
        stored = self._link.call(self._link.newest(STREAM, _head_subject(partition)))
        if stored is None:
            return 0, _HeadWire(0, "", 0, {})
        return stored.sequence, msgspec.msgpack.decode(stored.data, type=_HeadWire)

    def _state(self, partition: int, head: _HeadWire) -> dict[str, bytes]:
        """Return the state that a head names; parts come from any replica, which may not know the newest yet."""
        wanted = {
            _part_subject(partition, key, n): digest for key, parts in head.parts.items() for n, digest in enumerate(parts)
        }
        found: dict[str, bytes] = {}
        for _ in range(_LOOKS):
            if wanted.keys() == found.keys():
                return {
                    key: b"".join(found[_part_subject(partition, key, n)] for n in range(len(parts)))
                    for key, parts in head.parts.items()
                }
            found |= {s.subject: s.data for s in self._parts(partition) if wanted.get(s.subject) == _digest(s.data)}
            if wanted.keys() != found.keys():
                time.sleep(_PAUSE_S)  # a replica that is behind catches up
        raise StoreFailed(f"partition {partition}: of {len(wanted)} parts of its state only {len(found)} are there")

    def _parts(self, partition: int) -> Iterable[Stored]:
        after, more = 0, True
        while more:
            asked = {**_PAGE, "seq": after + 1, "next_by_subj": f"{_PREFIX}{partition}.part.>"}
            page, end = self._link.call(self._link.some(STREAM, asked))
            yield from page
            more = bool(page) and int(end.get("Nats-Num-Pending", 0)) > 0
            after = page[-1].sequence if page else after


def _state_drafts(commit: Commit, before: _HeadWire) -> list[Draft]:
    """Return the parts that a commit writes, and deletions of those that no head names any more."""
    drafts: list[Draft] = []
    for key, value in commit.changed_state.items():
        parts = [] if value is None else _cut(value)
        drafts += [Draft(_part_subject(commit.partition, key, number), part) for number, part in enumerate(parts)]
        gone = range(len(parts), len(before.parts.get(key, ())))
        drafts += [Draft(_part_subject(commit.partition, key, number), b"", {"Nats-TTL": _GONE}) for number in gone]
    return drafts


def _cut(value: bytes) -> list[bytes]:
    return [value[at : at + _PART_BYTES] for at in range(0, len(value), _PART_BYTES)] or [b""]


def _digest(part: bytes) -> str:
    return sha256(part).hexdigest()


def _head_subject(partition: int) -> str:
    return f"{_PREFIX}{partition}.head"


def _head_draft(partition: int, head: _HeadWire, expected: int | None = None) -> Draft:
    headers = {} if expected is None else {EXPECTED: str(expected)}
    return Draft(_head_subject(partition), msgspec.msgpack.encode(head), headers)


def _part_subject(partition: int, key: str, number: int) -> str:
    return f"{_PREFIX}{partition}.part.{sha256(key.encode()).hexdigest()[:32]}.{number}"
