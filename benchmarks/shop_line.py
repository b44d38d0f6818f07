"""A simulated shop's telemetry through the line of the service, without a network or a disk."""

from __future__ import annotations

from app.demo.render import requests
from app.demo.simulate import Shop
from app.flow import Flow
from app.ingest.codec import BatchMessage, unpack
from app.ingest.otlp import decode
from app.ingest.receive import messages_of

__all__ = ["absorb_minute"]


def absorb_minute(flow: Flow, shop: Shop, number: int) -> int:
    """Let a minute of the shop be decoded and absorbed, and return its end in unix seconds."""
    end_s = int(shop.time(number + 1).timestamp())
    for signal, body in requests(shop.minute(number)):
        batch = decode(body, signal, "protobuf")  # pyright: ignore[reportArgumentType] - the three signals by name
        for partition, _, data in messages_of(batch, "default", body, end_s * 10**9 - 1, 1):
            message = unpack(data)
            assert isinstance(message, BatchMessage)
            flow.absorb(partition, message)
    return end_s
