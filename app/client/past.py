"""History as frames, straight from its Delta tables: for who can read the folder or the object store; no service is needed.

`app.history.delta` reads, with tenant, service and days pushed down into the files. What is added here is what rows mean: windows are summed
of their increments, an incident's two events are one row, times are times.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import ceil, floor
from pathlib import Path
from typing import Literal, TypedDict, Unpack, cast

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from app.client.exchange import aware
from app.history.delta import DeltaHistory
from app.history.tables import CHANCES, SCHEMAS, TIMES
from features.batch import CHANNELS
from features.errors import InvalidValue

__all__ = ["History", "RowsWanted", "TableName", "history"]

TableName = Literal["windows", "facts", "errors", "predictions", "incidents"]

_SERIES = ["tenant", "service", "operation"]
_SUMMED = [name for name in CHANNELS if name != "duration_max_s"]
_INTERNAL = ["partition", "offset", "day"]
"""Where in the log rows came from, and in which folder they lie."""


class RowsWanted(TypedDict, total=False):
    """Which rows to read; all without any."""

    tenant: str | None
    service: str | None
    since: datetime | None
    """Rows of this time or later: start of a window or an incident, time of an error, `as_of` of a prediction."""
    until: datetime | None
    """Rows before this time."""


class History:
    """The tables of history.

    Parameters
    ----------
    place : str or Path
        The folder (``DATA/history``), or the URL of an object store.
    options : mapping of str to str, optional
        Of the object store, as `history_options` has them.
    """

    def __init__(self, place: str | Path, options: Mapping[str, str] | None = None) -> None:
        self._tables = DeltaHistory(place, options)

    def windows(self, *, as_of: datetime | None = None, **wanted: Unpack[RowsWanted]) -> pd.DataFrame:
        """Return windows: the counts of a series in a minute.

        Parameters
        ----------
        as_of : datetime, optional
            Only what had been received by then; all without.
        **wanted
            See `RowsWanted`.

        Returns
        -------
        pandas.DataFrame
            One row a series and window, by window: `tenant`, `service`, `operation` (``*`` is the whole service, which holds its
            operations), `window` (its start), the counts, and `histogram` (16 counts of durations, doubling from 512 us).
        """
        rows = self.increments(**wanted)
        if as_of is not None:
            rows = rows.loc[rows["received"] <= aware("as_of", as_of)]
        keys = [*_SERIES, "window"]
        grouped = rows.groupby(keys, sort=False)
        counts = grouped[list(CHANNELS)].agg({name: "max" if name == "duration_max_s" else "sum" for name in CHANNELS})
        place = cast("pd.Series", grouped.ngroup()).to_numpy()
        histograms = np.zeros((len(counts), _width(rows)), np.float64)
        np.add.at(histograms, place, np.stack(rows["histogram"].to_list()) if len(rows) else histograms)
        counts["histogram"] = pd.Series(list(histograms), index=counts.index, dtype="object")
        return counts.reset_index().sort_values(["window", *_SERIES], ignore_index=True)

    def increments(self, **wanted: Unpack[RowsWanted]) -> pd.DataFrame:
        """Return what windows gained in each tick, as the table has it, with `received` as the end of the tick.

        Parameters
        ----------
        **wanted
            See `RowsWanted`.
        """
        return self._rows("windows", wanted, ["window", "received"])

    def facts(self, **wanted: Unpack[RowsWanted]) -> pd.DataFrame:
        """Return numbers about services' windows: `kind`, `name` and `value`.

        Parameters
        ----------
        **wanted
            See `RowsWanted`.
        """
        return self._rows("facts", wanted, ["window", "received"])

    def errors(self, **wanted: Unpack[RowsWanted]) -> pd.DataFrame:
        """Return ErrorEvents by time, with `attributes` as dicts.

        Parameters
        ----------
        **wanted
            See `RowsWanted`.
        """
        rows = self._rows("errors", wanted, ["time", "received_at"])
        decode = msgspec.json.Decoder(dict[str, str]).decode
        return rows.assign(
            attributes=pd.Series([decode(text) for text in rows["attributes"]], index=rows.index, dtype="object")
        )

    def predictions(self, **wanted: Unpack[RowsWanted]) -> pd.DataFrame:
        """Return predictions by `as_of`, with `probability_5min`, `probability_15min` and `probability_60min`.

        Parameters
        ----------
        **wanted
            See `RowsWanted`.
        """
        named = {column: f"probability_{horizon}" for horizon, column in CHANCES.items()}
        return self._rows("predictions", wanted, ["as_of"]).rename(columns=named)

    def incidents(self, **wanted: Unpack[RowsWanted]) -> pd.DataFrame:
        """Return incidents by `start`, each once; `end` is empty while one lasts, as far as history knows.

        Parameters
        ----------
        **wanted
            See `RowsWanted`.
        """
        rows = self._rows("incidents", wanted, ["start", "detected_at", "ended"])
        ended = rows.sort_values("ended", kind="stable", na_position="first")  # the event of the end comes last
        once = ended.drop_duplicates(["tenant", "id"], keep="last").sort_values(["start", "id"], ignore_index=True)
        return once.rename(columns={"ended": "end"})

    def _rows(self, table: TableName, wanted: RowsWanted, times: list[str]) -> pd.DataFrame:
        unknown = wanted.keys() - RowsWanted.__annotations__.keys()
        if unknown:
            raise InvalidValue(f"rows are chosen by {sorted(RowsWanted.__annotations__)}, got {sorted(unknown)}")
        since, until = wanted.get("since"), wanted.get("until")
        since = None if since is None else aware("since", since)
        until = None if until is None else aware("until", until)
        found = self._tables.read(
            table,
            since=None if since is None else floor(since.timestamp()),
            until=None if until is None else ceil(until.timestamp()),
            tenant=wanted.get("tenant"),
            service=wanted.get("service"),
            columns=[name for name in SCHEMAS[table].names if name not in _INTERNAL],
        )
        rows = _frame(found, times)
        if since is not None:  # tables are asked by the second
            rows = rows.loc[rows[TIMES[table]] >= since]
        if until is not None:
            rows = rows.loc[rows[TIMES[table]] < until]
        return rows.sort_values([TIMES[table], "tenant", "service"], ignore_index=True, kind="stable")


def history(place: str | Path, options: Mapping[str, str] | None = None) -> History:
    """Open history: the folder ``history`` of a data folder, or the URL of an object store.

    Parameters
    ----------
    place : str or Path
        As `history_url` of the settings.
    options : mapping of str to str, optional
        As `history_options`.

    Raises
    ------
    InvalidValue
        When a folder is none, or holds no table.
    """
    if "://" not in str(place):
        found = Path(place)
        tables = [name for name in SCHEMAS if (found / name / "_delta_log").is_dir()]
        if not tables:
            within = " (its folder history does)" if (found / "history").is_dir() else ""
            raise InvalidValue(f"place must be a folder with tables of {sorted(SCHEMAS)}, {str(place)!r} has none{within}")
    return History(place, options)


def _frame(found: pa.Table, times: list[str]) -> pd.DataFrame:
    for name in times:
        kind = found.schema.field(name).type
        seconds = found[name] if pa.types.is_timestamp(kind) else found[name].cast(pa.timestamp("s"))
        found = found.set_column(found.schema.get_field_index(name), name, seconds.cast(pa.timestamp("us", tz="UTC")))
    return cast("pd.DataFrame", found.to_pandas())


def _width(rows: pd.DataFrame) -> int:
    return len(rows["histogram"].iloc[0]) if len(rows) else 0
