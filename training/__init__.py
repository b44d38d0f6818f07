"""From history to a fitted model: dataset, labels, split by time, fit and the honest report."""
