"""What waits for the pipe: rows, of which the oldest give way, and news, of which none does.

Threads that read the device put in, the one that writes takes out; none waits for another.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from sidelight_sidecar.nvml.library import EndError
from sidelight_sidecar.nvml.words import BEAT_SECONDS, ROWS_SECONDS

Row = tuple[int, int, Mapping[str, Any]]
_MAX_NEWS = 1000
"""Of devices that have an error after the other; beyond it the newest are not told one by one."""


class Outbox:
    """Lines to be.

    Args:
        now: monotonic seconds.

    Attributes:
        changed: set when somebody should be told at once.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._fast: deque[Row] = deque(maxlen=1)
        self._slow: deque[Row] = deque(maxlen=1)
        self._dropped = 0
        self._hello: list[Mapping[str, Any]] = []
        self._news: list[Mapping[str, Any]] = []
        self._ended: EndError | None = None
        self._said_at = now()
        self.changed = threading.Event()

    def expect(self, devices: int, fast_seconds: float, slow_seconds: float) -> None:
        """Make room for so many devices' rows of some seconds."""
        with self._lock:
            self._fast = deque(maxlen=devices * max(2, round(ROWS_SECONDS / fast_seconds)))
            self._slow = deque(maxlen=devices * max(2, round(ROWS_SECONDS / slow_seconds)))

    def add(self, row: Row, *, fast: bool) -> None:
        """A row for the next batch."""
        with self._lock:
            rows = self._fast if fast else self._slow
            self._dropped += len(rows) == rows.maxlen
            rows.append(row)

    def greet(self, hello: Mapping[str, Any]) -> None:
        """The line before all rows."""
        with self._lock:
            self._hello = [hello]
        self.changed.set()

    def tell(self, news: Mapping[str, Any]) -> None:
        """A line of its own, at once, and after the rows that were there before."""
        with self._lock:
            if len(self._news) < _MAX_NEWS:
                self._news.append(news)
        self.changed.set()

    def end(self, why: EndError) -> None:
        """Say why, and nothing after it; the first one who says so is heard."""
        with self._lock:
            self._ended = self._ended or why
        self.changed.set()

    def take(self) -> tuple[list[Mapping[str, Any]], bool]:
        """The lines that are due, in their order, and whether they are the last."""
        with self._lock:
            self.changed.clear()
            lines, self._hello = self._hello, []
            if self._fast or self._slow:
                rows = {"fast": list(self._fast), "slow": list(self._slow)}
                lines.append({"kind": "samples", **rows, "dropped": self._dropped})
                self._fast.clear()
                self._slow.clear()
                self._dropped = 0
            lines += self._news
            self._news = []
            now = self._now()
            if lines:
                self._said_at = now
            elif now - self._said_at >= BEAT_SECONDS:
                self._said_at = now
                lines.append({"kind": "beat"})
            if self._ended is not None:
                lines.append(_last(self._ended))
            return lines, self._ended is not None


def _last(why: EndError) -> Mapping[str, Any]:
    return {"kind": "end", "outcome": why.outcome, "code": why.code, "text": str(why)[:400]}
