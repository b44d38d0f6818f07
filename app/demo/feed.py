"""Send the shop's history: render minute after minute and hand the requests to a caller.

The caller posts them, or puts them through the ingest path in event time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from app.demo.render import requests
from app.demo.simulate import Shop

__all__ = ["feed"]


def feed(shop: Shop, minutes: Iterable[int], send: Callable[[str, bytes, datetime], None]) -> int:
    """Render minutes and send them.

    Parameters
    ----------
    shop : Shop
        The shop.
    minutes : iterable of int
        Numbers of minutes, usually ``range(shop.n_minutes)``.
    send : callable of (signal, body, received_at)
        Takes a protobuf body of ``traces``, ``logs`` or ``metrics``, and when it would have been received: the
        minute's end. Nothing in a body is later than that.

    Returns
    -------
    int
        How many requests were sent.
    """
    n = 0
    for number in minutes:
        received_at = shop.time(number + 1)
        for signal, body in requests(shop.minute(number)):
            send(signal, body, received_at)
            n += 1
    return n
