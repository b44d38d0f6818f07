"""Makes methods of calls: of one description a blocking method and an asynchronous one, with the parameters and the result of the call.

`app.client.table` lists them once; which of both a method is follows from the client that it is asked of.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from inspect import signature
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from app.client.exchange import Steps

__all__ = ["AsyncSender", "Method", "Sender"]

P = ParamSpec("P")
T = TypeVar("T")


class Sender(Protocol):
    """Runs calls and returns what they return."""

    def send(self, steps: Steps[T]) -> T:
        """Run a call."""
        ...


class AsyncSender(Protocol):
    """The same without blocking."""

    async def send(self, steps: Steps[T]) -> T:
        """Run a call."""
        ...


class Method(Generic[P, T]):
    """A call as a method of a client.

    Parameters
    ----------
    call : callable
        Returns the steps of a call.
    """

    def __init__(self, call: Callable[P, Steps[T]]) -> None:
        self.call = call
        self.__doc__ = call.__doc__
        self.__name__ = call.__name__
        self.__signature__ = signature(call)

    @overload
    def __get__(self, client: None, owner: type | None = None) -> Method[P, T]: ...
    @overload
    def __get__(self, client: Sender, owner: type | None = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncSender, owner: type | None = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Sender | AsyncSender | None, owner: type | None = None) -> object:
        """Bind the call to a client."""
        return self if client is None else partial(_sent, client, self.call)


def _sent(client: Sender | AsyncSender, call: Callable[..., Steps[Any]], /, *args: object, **named: object) -> Any:
    return client.send(call(*args, **named))
