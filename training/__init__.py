"""From history to a judged model: rows, labels, split, fit, evaluation, gate."""
