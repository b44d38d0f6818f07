"""``foreshock serve``: a node that listens until it is told to stop."""

from __future__ import annotations

from contextlib import closing

from rich.console import Console

from app.main import Node
from app.settings import Settings
from app.signals import on_stop
from app.tuning import settled_collector

__all__ = ["serve"]


def serve(settings: Settings, console: Console) -> None:
    """Run a node and say where it listens; returns after SIGTERM or SIGINT.

    Parameters
    ----------
    settings : Settings
        Of the node.
    console : Console
        Where to say it.

    Raises
    ------
    DataInUse
        When another process holds the folder.
    InvalidSetting
        When the node must not start with these settings.
    PartStopped
        When one of its parts failed for good.
    """
    node = Node(settings)
    with closing(node), on_stop(node.request_stop):
        served = node.start()
        if node.roles.ingest:
            console.print(f"OTLP/HTTP  {served.otlp_http}\nOTLP/gRPC  {served.otlp_grpc}")
        console.print(f"REST       {served.api}{'/api/v1/predictions' if node.roles.api else '/readyz'}")
        if served.dashboard:
            console.print(f"Dashboard  {served.dashboard}")
        with settled_collector():
            node.wait()
