"""The version of a table's layout, kept among the table's own properties.

`app.history.delta` looks at it before it reads or appends. A column more needs no new version: earlier rows are read with what
stands for it (`app.history.tables.ADDED`), or null.
"""

from __future__ import annotations

from deltalake import DeltaTable

from features.errors import NewerVersion

__all__ = ["PROPERTY", "VERSION", "check", "mark", "version_of"]

PROPERTY = "foreshock.schema_version"

VERSION = 1
"""What is written. 0 stands for tables of releases that kept no version; they are read, and marked by the first append."""


def version_of(delta: DeltaTable) -> int:
    """Return the version that a table says, 0 where it says none."""
    said = delta.metadata().configuration.get(PROPERTY)
    return int(said) if said is not None and said.isdecimal() else 0


def check(name: str, delta: DeltaTable) -> None:
    """Refuse a table that a newer release laid out.

    Raises
    ------
    NewerVersion
        With the table's name.
    """
    version = version_of(delta)
    if version > VERSION:
        raise NewerVersion(
            f"history's table {name} has version {version}, this release reads 0 to {VERSION}: upgrade this node"
        )


def mark(delta: DeltaTable) -> bool:
    """Let a table of an earlier release say the present version; return whether it did not before."""
    if version_of(delta) >= VERSION:
        return False
    delta.alter.set_table_properties({PROPERTY: str(VERSION)}, raise_if_not_exists=False)
    return True
