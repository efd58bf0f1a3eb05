"""What the engine said of itself in the last minutes: a ring of samples."""

from bisect import bisect_left, bisect_right
from collections import deque

from sidelight_sidecar.observer.engine.signals import EngineSample

HISTORY_SECONDS = 900.0
MAX_SAMPLES = 1024
"""A sample every second, which is the most there may be, for a quarter of an hour."""


class EngineHistory:
    """Samples in the order in which they were taken; times are those of the frames' clock."""

    def __init__(self) -> None:
        self._samples: deque[EngineSample] = deque(maxlen=MAX_SAMPLES)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._samples)

    @property
    def newest(self) -> EngineSample | None:
        """The last sample; None while there is none."""
        return self._samples[-1] if self._samples else None

    def add(self, sample: EngineSample) -> None:
        """Keep it; one that is not later than the last is none."""
        if self._samples and sample.at_ns <= self._samples[-1].at_ns:
            return
        self._samples.append(sample)
        oldest = sample.at_ns - int(HISTORY_SECONDS * 1e9)
        while self._samples[0].at_ns < oldest:
            self._samples.popleft()

    def at(self, ns: int) -> EngineSample | None:
        """The last sample that was taken by then; its `at_ns` says how old it was."""
        index = bisect_right(self._samples, ns, key=_time)
        return self._samples[index - 1] if index else None

    def between(self, since_ns: int, until_ns: int) -> list[EngineSample]:
        """The samples from one time to another, both included."""
        first = bisect_left(self._samples, since_ns, key=_time)
        last = bisect_right(self._samples, until_ns, key=_time)
        return [self._samples[index] for index in range(first, last)]


def _time(sample: EngineSample) -> int:
    return sample.at_ns
