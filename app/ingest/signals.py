"""The words of OTLP that every part of ingest takes: which signal a request brings, and how its body is written."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["SIGNALS", "Encoding", "Signal"]

Signal: TypeAlias = Literal["traces", "logs", "metrics"]
Encoding: TypeAlias = Literal["protobuf", "json"]

SIGNALS: tuple[Signal, ...] = ("logs", "metrics", "traces")
"""The signals of OTLP that are taken."""
