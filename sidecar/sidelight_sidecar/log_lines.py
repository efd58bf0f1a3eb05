"""Logs of observer and capture process: one JSON object a line."""

import json
import logging
import sys


class JsonFormatter(logging.Formatter):
    """Event and fields, never payload."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = getattr(record, "fields", {})
        return json.dumps({"component": self._component, "event": record.getMessage(), **fields})


def log_lines(component: str, level: int) -> None:
    """Have everything from a level on written to the standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(component))
    logging.basicConfig(level=level, handlers=[handler])
