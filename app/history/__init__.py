"""What happened, kept for training, backtests and notebooks."""
