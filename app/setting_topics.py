"""What each setting is about, in the words of those who look for one: the table above the lists in `docs/settings.md`.

`docs/generate.py` renders it; its test fails when a setting belongs to no topic, or a name here to no setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["TOPICS", "Topic", "render_topics", "topics_of"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One of the ten things that people want to change.

    Parameters
    ----------
    name : str
        One word.
    about : str
        What it decides, or why nothing is to be set.
    settings : tuple of str
        Settings by name, or by a beginning that ends with a dot.
    """

    name: str
    about: str
    settings: tuple[str, ...] = ()


TOPICS: tuple[Topic, ...] = (
    Topic(
        "ingest",
        "what a request may bring, where it is heard, what is kept of it and for how long",
        ("data", "server.", "ingest.", "store.", "webhooks."),
    ),
    Topic(
        "features",
        "windows, series, kinds of error, and what counts as an incident",
        ("features.", "history.", "history_url", "history_options"),
    ),
    Topic(
        "anomaly",
        "nothing: the detectors set themselves by what each series does, and a tail probability means the same everywhere",
    ),
    Topic("trend", "nothing: lines, levels and steps are found without a knob"),
    Topic("prediction", "what is learned from, how it is spread, what is explained", ("models.", "signing_key")),
    Topic("adaptive", "what verdicts of people are worth; learning from outcomes and its brakes have no knob", ("feedback.",)),
    Topic(
        "alerts", "budgets, routes, channels, and what other systems are told", ("alerts.", "channels", "export.", "dashboard.")
    ),
    Topic("correlation", "where steps of a recovery plan go; groups and causes have no knob", ("runbook.",)),
    Topic("cluster", "several nodes and their servers", ("nats_url", "roles", "cluster.")),
    Topic("security", "who may do what, and what is kept from being stored", ("security.",)),
)


def topics_of(setting: str) -> list[str]:
    """Return the topics that a setting belongs to; one, if the table is right.

    Examples
    --------
    >>> topics_of("ingest.max_lag"), topics_of("roles")
    (['ingest'], ['cluster'])
    """
    return [topic.name for topic in TOPICS if any(_covers(known, setting) for known in topic.settings)]


def render_topics(settings: Iterable[str]) -> Iterator[str]:
    """Yield the table of topics with the settings of each, groups by their name."""
    known = list(settings)
    yield "| you want to change | what it decides | settings |"
    yield "|---|---|---|"
    for topic in TOPICS:
        names = [name for name in topic.settings if any(_covers(name, setting) for setting in known)]
        yield f"| {topic.name} | {topic.about} | {', '.join(_shown(name) for name in names) or 'none'} |"


def _covers(known: str, setting: str) -> bool:
    return setting.startswith(known) if known.endswith(".") else setting == known


def _shown(name: str) -> str:
    return f"[`{name[:-1]}`](#{name[:-1]})" if name.endswith(".") else f"`{name}`"
