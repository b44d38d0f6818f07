"""Probabilities of services as metrics, for Prometheus to read and for a Collector to be sent."""
