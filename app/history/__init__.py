"""What happened, kept for training, backtests and notebooks."""

from app.history.contract import History

__all__ = ["History"]
