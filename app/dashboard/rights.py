"""What a person may do on a page: buttons for the rest are left out.

`app.dashboard.frame` says who looks while sections are built, `app.dashboard.tables.button` asks. It spares a refusal, no more: what is done goes
through the REST API with the rights of the same person.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from app.auth import ANYONE, Principal, Scope

__all__ = ["ACTS", "may", "shown_to"]

ACTS = {
    "acknowledge": Scope.FEEDBACK,
    "end": Scope.FEEDBACK,
    "post": Scope.FEEDBACK,
    "silence": Scope.FEEDBACK,
    "undo": Scope.FEEDBACK,
    "verdict": Scope.FEEDBACK,
    "promote": Scope.TRAIN,
    "rollback": Scope.TRAIN,
    "start": Scope.TRAIN,
    "train": Scope.TRAIN,
}
"""The scope that a button needs, by what it does; the same that its route has in `app.auth.needs`. What is not here needs `feedback`."""

T = TypeVar("T")

_LOOKS: ContextVar[Principal] = ContextVar("looks", default=ANYONE)


def may(act: str) -> bool:
    """Say whether the one for whom a section is built may do something.

    Examples
    --------
    >>> may("promote"), shown_to(Principal("reader", frozenset({Scope.READ}), frozenset({"*"})), lambda: may("promote"))()
    (True, False)
    """
    return _LOOKS.get().may(ACTS.get(act, Scope.FEEDBACK))


def shown_to(principal: Principal, build: Callable[[], T]) -> Callable[[], T]:
    """Return what builds a section for a person."""

    def built() -> T:
        token = _LOOKS.set(principal)
        try:
            return build()
        finally:
            _LOOKS.reset(token)

    return built
