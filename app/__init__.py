"""TODO0."""
