"""The Sidelight operator: injection, webhook, controller and the `sidelight` command."""

__version__ = "0.1.0"
