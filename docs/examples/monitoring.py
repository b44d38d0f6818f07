"""Watch live: print what changes the moment it changes, without asking again and again.

    python docs/examples/monitoring.py [--url http://127.0.0.1:8318] [--seconds 120] [--above 0.1]

Predictions above a probability, anomalies, incidents and alerts come as server-sent events. The connection is made anew when it breaks, and
goes on where it stopped. It needs a running service (`make run`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from app.client import Event, Foreshock

__all__ = ["lines", "main"]


def lines(events: Iterable[Event], above: float) -> Iterable[str]:
    """Say in a line what is worth a line.

    Parameters
    ----------
    events : iterable of Event
        As they come.
    above : float
        Least probability within an hour of a prediction that is shown.
    """
    for event in events:
        if event.kind == "prediction" and event.data.operation == "*":
            p = event.data.horizons["60min"].probability
            if p >= above:
                why = event.data.reasons[0].text if event.data.reasons else event.data.status
                yield f"{event.data.as_of:%H:%M} risk      {event.data.service}: {p:.2f} within an hour, {why}"
        elif event.kind == "anomaly":
            yield f"{event.data.as_of:%H:%M} anomaly   {event.data.service} {event.data.operation}"
        elif event.kind == "incident":
            yield f"{event.data.start:%H:%M} incident  {event.data.service} {event.data.operation}: {event.data.category}, {'over' if event.data.end else 'goes on'}"
        elif event.kind == "alert":
            yield f"{event.data.updated_at:%H:%M} alert     {event.data.service}: {event.data.state}"
        elif event.kind == "dropped":
            yield "events were lost: read the lists again"


def main(arguments: list[str] | None = None) -> int:
    """Print for a time, and return how many lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8318", help="of the service")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long")
    parser.add_argument("--above", type=float, default=0.1, help="least probability that is shown")
    asked = parser.parse_args(arguments)
    shown = 0
    with Foreshock(asked.url) as client:
        for line in lines(client.watch(for_s=asked.seconds), asked.above):
            print(line, flush=True)
            shown += 1
    return shown


if __name__ == "__main__":
    main()
