"""Alerts: who is told what, when, and whether it arrived."""
