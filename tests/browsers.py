"""How tests start Chromium: without a window, and quiet about the world outside."""

from __future__ import annotations

__all__ = ["QUIET"]

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
"""Arguments of every start."""
