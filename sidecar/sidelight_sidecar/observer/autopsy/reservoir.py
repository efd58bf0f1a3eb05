"""The slowest and the failed of a window, for each model: a few of each, whatever the traffic.

Bounded: `MAX_MODELS` models x `SLICES` slices x 2 x `MOST` records, each of at most some 3 kB
(eight stalls, eight neighbours, sixteen waits): usual are a few hundred records of 1 kB.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sidelight_contract.autopsy import of_each_kind
from sidelight_sidecar.observer.autopsy.timeline import Timeline

MOST = 8
SLICES = 3
"""Parts of the window: what is told covers two thirds of it at least."""
MAX_MODELS = 34


@dataclass(slots=True)
class Record:
    """A timeline, whose it is, and how much it stands out."""

    model: str
    operation: str
    timeline: Timeline
    times_usual: float = 1.0


_BY_SLOWNESS: Callable[[Record], tuple[float, int]] = lambda record: (  # noqa: E731
    record.times_usual,
    record.timeline.whole_ns,
)
_BY_AGE: Callable[[Record], tuple[float, int]] = lambda record: (  # noqa: E731
    record.timeline.stop_ns,
    0,
)


class Reservoirs:
    """Records by slice, model and kind."""

    def __init__(self, window_seconds: int) -> None:
        self._slice_ns = 1
        self._slices: dict[int, dict[tuple[str, bool], list[Record]]] = {}
        self.resize(window_seconds)

    def resize(self, window_seconds: int) -> None:
        """Let the window be of another length; what it held is forgotten."""
        slice_ns = window_seconds * 1_000_000_000 // SLICES
        if slice_ns != self._slice_ns:
            self._slice_ns = slice_ns
            self._slices.clear()

    def wants(self, model: str, stop_ns: int, times_usual: float, whole_ns: int) -> bool:
        """Whether a slow one would be kept: to make a record of each would cost too much."""
        kept = self._slices.get(stop_ns // self._slice_ns, {}).get((model, False), ())
        if len(kept) < MOST:
            return True
        return (times_usual, whole_ns) > min(map(_BY_SLOWNESS, kept))

    def wants_failed(self, model: str, error: str, stop_ns: int, spacing_ns: int) -> bool:
        """Whether one that failed would be kept: not where as many are, and the last of its class
        was just now.
        """
        kept = self._slices.get(stop_ns // self._slice_ns, {}).get((model, True), ())
        alike = [record.timeline.stop_ns for record in kept if record.timeline.error == error]
        return len(kept) < MOST or not alike or stop_ns - max(alike) >= spacing_ns

    def add(self, record: Record) -> None:
        """Keep it, instead of the least slow if there are many; of those that failed instead of the
        oldest of the class that has most.
        """
        number = record.timeline.stop_ns // self._slice_ns
        table = self._slices.setdefault(number, {})
        self.forget(record.timeline.stop_ns)
        key = (record.model, bool(record.timeline.error))
        if key not in table and len(table) >= 2 * MAX_MODELS:
            return
        kept = table.setdefault(key, [])
        kept.append(record)
        if len(kept) <= MOST:
            return
        if record.timeline.error:
            kept.sort(key=_BY_AGE, reverse=True)
            kept.remove(of_each_kind(kept, lambda one: one.timeline.error)[-1])
        else:
            kept.remove(min(kept, key=_BY_SLOWNESS))

    def forget(self, now_ns: int) -> None:
        """Forget what is older than the window."""
        newest = now_ns // self._slice_ns
        for number in [number for number in self._slices if number <= newest - SLICES]:
            del self._slices[number]

    def __iter__(self) -> Iterator[Record]:
        """All that are kept."""
        for table in self._slices.values():
            for kept in table.values():
                yield from kept
