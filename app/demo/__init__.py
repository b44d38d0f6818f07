"""A simulated shop with faults of known truth, sent through the real ingest path."""
