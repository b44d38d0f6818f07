"""A real store of every family for each test, as the tests of REST have it."""

from __future__ import annotations

from tests.app.api.conftest import clock, documents, store

__all__ = ["clock", "documents", "store"]
