"""Which columns a feature matrix has, in which order and group.

`features.extract` fills them, `models` read them by group, and a model is only served for the
schema it was fitted on: the hash decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from features.errors import InvalidValue

__all__ = ["Feature", "FeatureSchema"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One column.

    Parameters
    ----------
    name : str
        Unique, ``snake_case``, with its span in minutes where it has one: ``errors_log_15``.
    group : str
        The group that an explanation speaks of: ``errors``, ``latency``, ``warnings``, ...
    unit : str
        Unit of the value, for a reader.
    memory_s : int
        Of the time on a clock the seconds of its cycle, of a sum that fades its time constant, where that is a day or more: a model has to
        see some of them before the column can teach it anything. 0 for all others.
    """

    name: str
    group: str
    unit: str = "1"
    memory_s: int = 0


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """The columns of a feature matrix.

    Parameters
    ----------
    version : int
        Raised whenever a column changes its meaning.
    features : tuple of Feature
        In column order.

    Raises
    ------
    InvalidValue
        When a name appears twice.

    Examples
    --------
    >>> schema = FeatureSchema(1, (Feature("errors_log_5", "errors"), Feature("hour_sin", "time")))
    >>> schema.index("hour_sin"), schema.groups, len(schema.sha256)
    (1, ('errors', 'time'), 64)
    """

    version: int
    features: tuple[Feature, ...]
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Column names in order."""
    groups: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Groups in order of first appearance."""
    _columns: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = tuple(feature.name for feature in self.features)
        if len(set(names)) != len(names):
            raise InvalidValue(f"feature names must be unique, got {sorted(n for n in names if names.count(n) > 1)}")
        groups = tuple(dict.fromkeys(feature.group for feature in self.features))
        columns = {g: tuple(i for i, f in enumerate(self.features) if f.group == g) for g in groups}
        # Asked for at every tick and series: worked out once.
        for name, value in (("names", names), ("groups", groups), ("_columns", columns)):
            object.__setattr__(self, name, value)

    @property
    def sha256(self) -> str:
        """Hash of version, names and groups."""
        text = f"{self.version}:" + ",".join(f"{f.name}/{f.group}/{f.unit}" for f in self.features)
        return sha256(text.encode()).hexdigest()

    def index(self, name: str) -> int:
        """Return the column of a name.

        Raises
        ------
        InvalidValue
            When the schema has no such column.
        """
        try:
            return self.names.index(name)
        except ValueError as exc:
            raise InvalidValue(f"feature {name!r} is not in schema version {self.version}") from exc

    def columns(self, group: str) -> tuple[int, ...]:
        """Return the columns of a group."""
        return self._columns.get(group, ())

    def longer(self, memory_s: float) -> tuple[int, ...]:
        """Return the columns that tell of a longer past than that, or of a longer cycle.

        Examples
        --------
        >>> schema = FeatureSchema(1, (Feature("errors_log_5", "errors"), Feature("hour_sin", "time", memory_s=86_400)))
        >>> schema.longer(3600), schema.longer(86_400)
        ((1,), ())
        """
        return tuple(i for i, feature in enumerate(self.features) if feature.memory_s > memory_s)
