"""Everything durable: the log, checkpoints, documents and blobs, behind four contracts."""

from app.store.contract import Blobs, Checkpoints, Document, Documents, Entry, Head, Log, Output, Watch

__all__ = ["Blobs", "Checkpoints", "Document", "Documents", "Entry", "Head", "Log", "Output", "Watch"]
