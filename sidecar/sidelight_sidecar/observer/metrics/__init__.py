"""Prometheus series, each from what it is told."""
