"""The simulated shop of ``foreshock demo``: telemetry with a daily rhythm, faults whose truth is known, and decoys."""
