"""Cut rows by time into training, stacking and test blocks that share no label and little past.

`training.fit` learns from the first two; `training.evaluate` scores on the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from features.arrays import BoolArray
from features.errors import InvalidValue
from training.rows import Rows

__all__ = ["Block", "Split", "SplitPlan", "split"]

_EMBARGO_SHARE = 24
"""The embargo is at most this part of the history: an hour a day of it. Guessed."""


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How to cut.

    Parameters
    ----------
    test_share : float
        Last part of the time span, held out. A third: of three days the last one.
    middle_share : float
        Part before it that stacks, calibrates and sets thresholds.
    embargo_s : int
        Seconds between blocks beside the purge, so that the windows of a row's features do not reach into
        the block before. 6 h, the longest fine window; shrunk to 1/24 of a shorter history, and said so.

    Raises
    ------
    InvalidValue
        When shares leave nothing to train on.
    """

    test_share: float = 1 / 3
    middle_share: float = 0.2
    embargo_s: int = 6 * 3600

    def __post_init__(self) -> None:
        if not (min(self.test_share, self.middle_share) > 0 and self.test_share + self.middle_share < 1):
            raise InvalidValue(
                f"test_share and middle_share must be above 0 and sum to less than 1, got {self.test_share}, {self.middle_share}"
            )
        if self.embargo_s < 0:
            raise InvalidValue(f"embargo_s must be at least 0, got {self.embargo_s}")

    def embargo_of(self, span_s: int) -> int:
        """Return the seconds of embargo that are kept in a history of so many seconds."""
        return min(self.embargo_s, span_s // _EMBARGO_SHARE)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one part.

    Parameters
    ----------
    begin_s, end_s : int
        Unix seconds, ``begin_s <= as_of < end_s``.
    rows : BoolArray
        Shape (n,), which rows it holds.
    """

    begin_s: int
    end_s: int
    rows: BoolArray

    @classmethod
    def between(cls, rows: Rows, begin_s: int, end_s: int) -> Self:
        """Return the block of all rows in ``[begin_s, end_s)``."""
        return cls(begin_s, end_s, np.asarray((rows.as_of_s >= begin_s) & (rows.as_of_s < end_s)))


@dataclass(frozen=True, slots=True)
class Split:
    """The three blocks, in order of time, and what had to give.

    Parameters
    ----------
    train, middle, test : Block
        Every label of a block ends before the next one begins.
    refit : Block
        Everything before the gap of the test block: training, stacking and the gap between them.
    embargo_s : int
        What was really kept between blocks beside the purge.
    notes : tuple of str
        Words for people.
    """

    train: Block
    middle: Block
    test: Block
    refit: Block
    embargo_s: int
    notes: tuple[str, ...]


def split(rows: Rows, plan: SplitPlan | None = None) -> Split:
    """Cut rows by time over all series at once.

    Between two blocks lie the longest horizon, so that no label of the earlier one reaches into the later
    one (purge), and the embargo.

    Parameters
    ----------
    rows : Rows
        At least two distinct times.
    plan : SplitPlan, optional
        How to cut.

    Returns
    -------
    Split

    Raises
    ------
    InvalidValue
        When the history is too short to hold three blocks and their gaps.

    References
    ----------
    López de Prado (2018), Advances in Financial Machine Learning, chapter 7 (purging and embargo).
    """
    plan = plan or SplitPlan()
    if not len(rows):
        raise InvalidValue("rows must not be empty")
    begin, end = int(rows.as_of_s.min()), int(rows.as_of_s.max()) + 1
    span = end - begin
    embargo = plan.embargo_of(span)
    longest_s = max(rows.horizons.values())
    gap = longest_s + embargo
    test_begin = begin + round(span * (1.0 - plan.test_share))
    middle_begin = begin + round(span * (1.0 - plan.test_share - plan.middle_share))
    train_end, middle_end = middle_begin - gap, test_begin - gap
    if train_end <= begin or middle_end <= middle_begin:
        raise InvalidValue(
            f"history must be longer to be split with gaps of {gap} s, got {span} s; about {6 * longest_s / plan.middle_share:.0f} s do"
        )
    notes = (
        ()
        if embargo == plan.embargo_s
        else (
            f"the embargo is {embargo / 3600:.1f} h instead of {plan.embargo_s / 3600:.1f} h, because the history is {span / 3600:.0f} h",
        )
    )
    return Split(
        train=Block.between(rows, begin, train_end),
        middle=Block.between(rows, middle_begin, middle_end),
        test=Block.between(rows, test_begin, end),
        refit=Block.between(rows, begin, middle_end),
        embargo_s=embargo,
        notes=notes,
    )
