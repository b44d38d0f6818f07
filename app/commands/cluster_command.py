"""``foreshock cluster-config``: the files that the NATS servers of a cluster start with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.store.nats_config import Ports, server_configs
from features.errors import InvalidSetting

__all__ = ["write_configs"]


def write_configs(hosts: Sequence[str], folder: Path, store_dir: str, token: str) -> tuple[dict[str, Any], str]:
    """Write a file for each server, readable by its owner alone, and return what to do with them.

    Parameters
    ----------
    hosts : sequence of str
        Of the servers.
    folder : Path
        Where the files go; made when it is absent.
    store_dir : str
        Where each server keeps its data.
    token : str
        What has to be shown; empty lets everyone in.

    Raises
    ------
    InvalidSetting
        When the files cannot be written.
    InvalidValue
        When the hosts make no cluster.
    """
    ports = Ports()
    files: dict[str, str] = {}
    configs = server_configs(hosts, store_dir, ports, token)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for host, text in configs.items():
            path = folder / f"{host}.conf"
            path.touch(mode=0o600)
            path.chmod(0o600)  # also where a file was there that others could read
            path.write_text(text, encoding="utf-8")
            files[host] = str(path)
    except OSError as exc:
        raise InvalidSetting(f"the files cannot be written to {folder}: {exc}") from exc
    login = "TOKEN@" if token else ""
    urls = ",".join(f"nats://{login}{host}:{ports.client}" for host in hosts)
    monitors = [f"http://{host}:{ports.monitor}" for host in hosts]
    lines = [f"{host}: nats-server -c {path}" for host, path in files.items()]
    lines.append(f"then: FORESHOCK_NATS_URL={urls} with cluster.monitor_urls = {monitors}")
    return {"files": files, "nats_url": urls, "monitor_urls": monitors}, "\n".join(lines)
