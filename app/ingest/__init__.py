"""From a socket to the durable log: OTLP over HTTP and gRPC is decoded to Batches, appended and answered."""

from app.ingest.codec import BatchMessage, TickMessage, pack, unpack
from app.ingest.grpc_server import OtlpGrpc
from app.ingest.http import OtlpHttp
from app.ingest.limits import Limits
from app.ingest.otlp import decode
from app.ingest.receive import LogMessage, Receiver, messages_of
from app.ingest.signals import SIGNALS, Encoding, Signal

__all__ = [
    "SIGNALS",
    "BatchMessage",
    "Encoding",
    "Limits",
    "LogMessage",
    "OtlpGrpc",
    "OtlpHttp",
    "Receiver",
    "Signal",
    "TickMessage",
    "decode",
    "messages_of",
    "pack",
    "unpack",
]
