"""Server-sent events: bytes into blocks, blocks into what a service says has changed.

`app.client.watching` reads the stream; what an event holds are the wire models of `app.api`.

References
----------
WHATWG, HTML Living Standard, 9.2 "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from app.api.alert_schemas import AlertOut
from app.api.group_schemas import GroupOut
from app.api.schemas import AnomalyOut, IncidentOut, PredictionOut
from app.api.stream_schemas import DroppedOut, ModelChangeOut
from app.client.exchange import read
from app.client.failures import UnknownAnswer

__all__ = [
    "AlertEvent",
    "AnomalyEvent",
    "Block",
    "Blocks",
    "DroppedEvent",
    "Event",
    "EventKind",
    "GroupEvent",
    "IncidentEvent",
    "ModelEvent",
    "PredictionEvent",
    "event_of",
]

DataT = TypeVar("DataT", bound=BaseModel)

EventKind: TypeAlias = Literal["prediction", "anomaly", "incident", "group", "alert", "model"]
"""What can be asked for."""

_LONGEST = 2**24  # bytes of a line; guessed: a hundred times the largest alert, and far below what fills a memory


@dataclass(frozen=True, slots=True)
class _Told(Generic[DataT]):
    id: str
    """The place in the stream."""
    data: DataT
    """What is so now."""


@dataclass(frozen=True, slots=True)
class PredictionEvent(_Told[PredictionOut]):
    """A prediction was replaced."""

    kind: Literal["prediction"] = "prediction"


@dataclass(frozen=True, slots=True)
class AnomalyEvent(_Told[AnomalyOut]):
    """A window was out of its bounds."""

    kind: Literal["anomaly"] = "anomaly"


@dataclass(frozen=True, slots=True)
class IncidentEvent(_Told[IncidentOut]):
    """An incident began or ended."""

    kind: Literal["incident"] = "incident"


@dataclass(frozen=True, slots=True)
class GroupEvent(_Told[GroupOut]):
    """There is more to say of a group of incidents."""

    kind: Literal["group"] = "group"


@dataclass(frozen=True, slots=True)
class AlertEvent(_Told[AlertOut]):
    """An alert began, moved or ended."""

    kind: Literal["alert"] = "alert"


@dataclass(frozen=True, slots=True)
class ModelEvent(_Told[ModelChangeOut]):
    """A model version came, or another one serves."""

    kind: Literal["model"] = "model"


@dataclass(frozen=True, slots=True)
class DroppedEvent(_Told[DroppedOut]):
    """Events were lost: read the lists again."""

    kind: Literal["dropped"] = "dropped"


Event: TypeAlias = PredictionEvent | AnomalyEvent | IncidentEvent | GroupEvent | AlertEvent | ModelEvent | DroppedEvent
"""What `watch` gives; `kind` tells them apart."""

_KINDS: Mapping[str, tuple[type[Event], type[BaseModel]]] = {
    "prediction": (PredictionEvent, PredictionOut),
    "anomaly": (AnomalyEvent, AnomalyOut),
    "incident": (IncidentEvent, IncidentOut),
    "group": (GroupEvent, GroupOut),
    "alert": (AlertEvent, AlertOut),
    "model": (ModelEvent, ModelChangeOut),
    "dropped": (DroppedEvent, DroppedOut),
}


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two empty lines of a stream.

    Parameters
    ----------
    id : str or None
        None where it has none.
    event, data : str
        Kind and content; empty where it has none.
    retry_s : float or None
        Seconds to wait before the next connection, where it says so.
    """

    id: str | None
    event: str
    data: str
    retry_s: float | None


class Blocks:
    r"""Bytes of a stream, in pieces of any size, into blocks.

    Examples
    --------
    >>> blocks = Blocks()
    >>> list(blocks.feed(b"id: 7\nevent: mo"))
    []
    >>> list(blocks.feed(b"del\ndata: {}\n\n"))
    [Block(id='7', event='model', data='{}', retry_s=None)]
    """

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, list[str]] = {}

    def feed(self, piece: bytes) -> Iterator[Block]:
        """Yield the blocks that a piece ends.

        Raises
        ------
        UnknownAnswer
            When a line is longer than any event.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LONGEST:
            raise UnknownAnswer(f"a line of a stream must have at most {_LONGEST} bytes, got {len(self._rest)} without an end")
        for line in lines:
            text = line.removesuffix(b"\r").decode("utf-8", "replace")
            if text:
                name, _, value = text.partition(":")  # a comment is a field without a name
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            elif self._fields:
                yield self._block()

    def _block(self) -> Block:
        fields, self._fields = self._fields, {}
        retry = fields.get("retry", [""])[-1]
        return Block(
            id=fields["id"][-1] if "id" in fields else None,
            event=fields.get("event", [""])[-1],
            data="\n".join(fields.get("data", [])),
            retry_s=int(retry) / 1000 if retry.isascii() and retry.isdigit() else None,
        )


def event_of(block: Block) -> Event | None:
    """Return the event that a block is; None for one without an event, or of a kind that this release does not know.

    Raises
    ------
    UnknownAnswer
        When its data are not what the kind says.
    """
    if block.event not in _KINDS:
        return None
    kind, model = _KINDS[block.event]
    return kind(block.id or "", read(model, block.data.encode(), f"event {block.event!r}"))  # pyright: ignore[reportArgumentType] - the table holds what belongs together
