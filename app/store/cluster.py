"""How a node comes to the store of a cluster: what the settings say, and whether the servers keep what they acknowledge.

`app.main` calls it where `nats_url` names a cluster.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

from app.breaker import Breaker, try_again
from app.roles import Roles
from app.settings import Settings
from app.store.folder import FolderLock
from app.store.jetstream import ClusterPlan, JetStreamStore, open_jetstream
from app.store.jetstream_link import Link
from app.store.moving import refuse_half
from app.store.signing import signing_key
from app.telemetry import Telemetry
from features.errors import InvalidSetting

__all__ = ["ask_servers", "join_cluster", "open_cluster", "reach_cluster"]

logger = logging.getLogger(__name__)

_ANSWER_S = 2.0
_GRACE_S = 1.0  # guessed: for the rest once most have answered; a server that hangs would hold a start up for many seconds
_WAITS_S = (0.2, 0.4, 0.8)  # guessed: a server that starts beside the node listens by then


def open_cluster(settings: Settings, now: Callable[[], datetime], telemetry: Telemetry) -> JetStreamStore:
    """Open the store of the cluster that the settings name.

    Raises
    ------
    DataInUse
        When another process holds the data folder.
    InvalidSetting
        When a file cannot be read, a server does not write through, or the cluster was made otherwise.
    StoreFailed
        When the cluster does not answer.
    """
    lock = FolderLock(settings.data)  # history lies there
    try:
        key = signing_key(settings.data, settings.signing_key)
        store = join_cluster(settings, now, telemetry)
    except BaseException:
        lock.release()
        raise
    store.closed = lock.release
    store.signing_key = key
    if str(Roles.of(settings.roles)) == "ingest":  # it reads who the others are, and no more
        store.documents.only = "members"
    try:
        refuse_half(store.documents)
    except BaseException:
        store.close()
        raise
    return store


def join_cluster(settings: Settings, now: Callable[[], datetime], telemetry: Telemetry) -> JetStreamStore:
    """Open the store of the cluster alone, without a data folder.

    Raises
    ------
    InvalidSetting, StoreFailed
        As `open_cluster`.
    """
    ask_servers(settings.cluster.monitor_urls, settings.cluster.allow_unsynced, telemetry)
    return open_jetstream(_options(settings), ClusterPlan.of(settings), now, telemetry)


def reach_cluster(settings: Settings) -> Link:
    """Connect to the cluster that the settings name, whatever its streams hold.

    Raises
    ------
    InvalidSetting
        When a file cannot be read.
    StoreFailed
        When no server can be reached.
    """
    return Link(_options(settings))


def ask_servers(monitors: Sequence[str], allow_unsynced: bool, telemetry: Telemetry | None = None) -> None:
    """Ask servers whether they write through before they answer.

    Most of them must answer, so that a node can start while one server is down; of those that did not is warned.

    Parameters
    ----------
    monitors : sequence of str
        Addresses of their monitoring.
    allow_unsynced : bool
        Take them as they are.
    telemetry : Telemetry, optional
        Where questions are counted, by a monitor's place in the list.

    Raises
    ------
    InvalidSetting
        When one does not, or no more than half of them can be asked, and that is not allowed.
    """
    if allow_unsynced:
        return
    if not monitors:
        raise InvalidSetting(
            "setting cluster.monitor_urls must name the servers' monitoring, so that they can be asked whether they write through;"
            " or set cluster.allow_unsynced"
        )
    told = telemetry or Telemetry()
    with_answers, silent = _answers(monitors, told)
    for url, config in with_answers.items():
        if not config.get("config", {}).get("sync_always"):
            raise InvalidSetting(
                f"the server at {url} does not write through: set sync_interval: always in its jetstream section,"
                " or cluster.allow_unsynced"
            )
    if 2 * len(with_answers) <= len(monitors):
        said = "; ".join(f"{url} does not answer: {why}" for url, why in silent.items())
        raise InvalidSetting(
            f"setting cluster.monitor_urls: {said}; more than half of {len(monitors)} must answer, got {len(with_answers)}"
        )
    for url, why in silent.items():
        logger.warning("%s does not answer, so whether that server writes through is not known: %s", url, why)


def _answers(monitors: Sequence[str], telemetry: Telemetry) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Ask all at the same time; return what was answered, and why the rest did not, by address."""
    pool = ThreadPoolExecutor(len(monitors), thread_name_prefix="monitors")
    asked = {pool.submit(_ask, url, Breaker(f"monitor {number}", telemetry)): url for number, url in enumerate(monitors)}
    pool.shutdown(wait=False)
    found = dict[str, dict[str, Any]]()
    silent = dict.fromkeys(monitors, f"nothing was heard {_GRACE_S:g} s after most others")
    left, until_s = set(asked), None
    while left and (until_s is None or time.monotonic() < until_s):
        done, left = wait(left, until_s and max(until_s - time.monotonic(), 0.0), FIRST_COMPLETED)
        for each in done:
            try:
                found[asked[each]] = each.result()
                del silent[asked[each]]
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
                silent[asked[each]] = str(exc)
        if until_s is None and 2 * len(found) > len(monitors):
            until_s = time.monotonic() + _GRACE_S
    return found, silent


def _ask(url: str, breaker: Breaker) -> dict[str, Any]:
    return try_again(partial(_config, url), breaker, (httpx.TransportError,), _WAITS_S)


def _config(url: str) -> dict[str, Any]:
    answer = httpx.get(f"{url.rstrip('/')}/jsz", params={"config": "true"}, timeout=_ANSWER_S)
    return answer.raise_for_status().json()


def _options(settings: Settings) -> Mapping[str, Any]:
    """Return the options of a connection."""
    cluster = settings.cluster
    options: dict[str, Any] = {"servers": [url.strip() for url in settings.nats_url.split(",")]}
    if cluster.credentials is not None:
        _check_credentials(cluster.credentials)
        options["user_credentials"] = str(cluster.credentials)
    if cluster.ca is not None:
        try:
            options["tls"] = ssl.create_default_context(cafile=str(cluster.ca))
        except (OSError, ssl.SSLError) as exc:
            raise InvalidSetting(f"setting cluster.ca: {cluster.ca}: {exc}") from exc
    return options


def _check_credentials(file: Path) -> None:
    """See that a file holds what a user shows: the client says little of one that does not."""
    if find_spec("nkeys") is None:
        raise InvalidSetting(f"setting cluster.credentials: {file} needs the package nkeys; pip install nkeys")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidSetting(f"setting cluster.credentials: {file} cannot be read: {exc}") from exc
    for part in ("NATS USER JWT", "USER NKEY SEED"):
        if f"BEGIN {part}-" not in text:
            raise InvalidSetting(f"setting cluster.credentials: {file} must hold a {part}, as nsc writes it")
