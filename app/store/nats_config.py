"""Configuration files of the NATS servers of a cluster, as Foreshock needs them.

`foreshock cluster-config` writes them; `app.store.cluster` refuses servers that were not set up like this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from features.errors import InvalidValue

__all__ = ["Ports", "server_configs"]

_HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]{1,253}")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where every server listens.

    Parameters
    ----------
    client, route, monitor : int
        TCP ports for clients, for the other servers, and for monitoring; NATS's own by default.
    """

    client: int = 4222
    route: int = 6222
    monitor: int = 8222


def server_configs(hosts: Sequence[str], folder: str, ports: Ports | None = None, token: str = "") -> dict[str, str]:
    """Return the configuration of every server by its host.

    Parameters
    ----------
    hosts : sequence of str
        Names or addresses under which the servers reach each other; three or five, or one to try it out.
    folder : str
        Where each server keeps its data.
    ports : Ports, optional
        Where they listen.
    token : str
        What clients and servers have to show; empty lets everyone in who can reach them.

    Raises
    ------
    InvalidValue
        When there are two hosts or more than five, one is none, or two are the same.

    Examples
    --------
    >>> configs = server_configs(["n1", "n2", "n3"], "/var/lib/nats")
    >>> sorted(configs), "sync_interval: always" in configs["n2"]
    (['n1', 'n2', 'n3'], True)
    """
    if len(hosts) not in {1, 3, 4, 5} or len(set(hosts)) != len(hosts):
        raise InvalidValue(f"hosts must be three to five, or one to try it out, and distinct, got {list(hosts)}")
    for host in hosts:
        if _HOST.fullmatch(host) is None:
            raise InvalidValue(f"a host must be a name or address, got {host!r}")
    at = ports or Ports()
    return {host: _server(host, hosts, folder, at, token) for host in hosts}


def _server(host: str, hosts: Sequence[str], folder: str, ports: Ports, token: str) -> str:
    secret = _quoted(token)
    login = f"foreshock:{quote(token, safe='')}@" if token else ""
    routes = "\n".join(f"    {_quoted(f'nats://{login}{other}:{ports.route}')}" for other in hosts)
    lines = [
        f"server_name: {_quoted(host)}",
        f"listen: {host}:{ports.client}",
        f"http: {host}:{ports.monitor}",
        "# A batch of spans or a part of the state is one message.",
        "max_payload: 8MB",
        "jetstream {",
        f"  store_dir: {_quoted(folder)}",
        "  # Every write is on the disk before it is answered. The default of two minutes loses acknowledged writes with the power.",
        "  sync_interval: always",
        "}",
    ]
    if token:
        lines.append(f"authorization {{ token: {secret} }}")
    if len(hosts) > 1:
        lines += ["cluster {", "  name: foreshock", f"  listen: {host}:{ports.route}"]
        if token:
            lines.append(f'  authorization {{ user: "foreshock", password: {secret} }}')
        lines += ["  routes: [", routes, "  ]", "}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
