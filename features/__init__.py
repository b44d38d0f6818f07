"""The pure core: telemetry as arrays, errors by name, windows, incidents and the vectors that models read."""
