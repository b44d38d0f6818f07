"""Where REST begins, for those who name its paths without the web framework: `app.auth`'s audit log is told by commands too."""

from __future__ import annotations

__all__ = ["PREFIX"]

PREFIX = "/api/v1"
