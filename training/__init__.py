"""From history to a judged model: rows, labels, split, fit, evaluation, gate, backtest."""

from training.walkforward import backtest

__all__ = ["backtest"]
