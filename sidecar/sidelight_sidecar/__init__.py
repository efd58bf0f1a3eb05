"""The Sidelight sidecar: a byte relay in the path and an observer off it."""

__version__ = "0.1.0"
