"""Makes methods of calls: of one description a blocking method and an asynchronous one, with the parameters and the result of the call.

Which of both a method is follows from the client that it is asked of.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from inspect import Signature, signature
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
        self.call: Callable[P, Steps[T]] = call
        self.__doc__ = call.__doc__
        self._signature = _of_result(signature(call))

    @overload
    def __get__(self, client: None, owner: type | None = None) -> Method[P, T]: ...
    @overload
    def __get__(self, client: Sender, owner: type | None = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncSender, owner: type | None = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Sender | AsyncSender | None, owner: type | None = None) -> object:
        """Bind the call to a client."""
        if client is None:
            return self

        def method(*args: P.args, **named: P.kwargs) -> object:
            return client.send(self.call(*args, **named))

        update_wrapper(method, self.call)
        vars(method)["__signature__"] = self._signature  # what `help` and notebooks show
        return method


def _of_result(call: Signature) -> Signature:
    """Return the signature of what a call returns at its end, not of its steps."""
    said = str(call.return_annotation)
    return call.replace(return_annotation=said.removeprefix("Steps[").removesuffix("]"))
