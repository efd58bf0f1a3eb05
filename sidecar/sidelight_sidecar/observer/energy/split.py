"""Shares the devices' energy among requests by the work they did. A consumer; pure.

Whoever has a source gives `samples` and calls `step` every second or so; both may be late. Rules:
1. Energy is measured, never made up; only its split is modelled. Every millijoule is in exactly one
   place: idle, a request, unowned (above idle with nothing in flight), or open (not split yet).
2. Counts of tokens are known late: time is settled when all that ran in it are counted, or after
   `HOLD_SECONDS` with what is known by then.
3. Samples farther apart than `REQUEST_LEVEL_SECONDS` tell of models, not of single requests.
4. Devices that others use, too, are left out: their joules are not this pod's alone.
"""

from collections.abc import Callable, Sequence

from sidelight_sidecar.observer.accelerators.source import Sample
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.energy.told import Settled, Share, Told
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.metrics.labels import Labels


class EnergySplit(Consumer):
    """See the module.

    Args:
        labels: names of models.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._listeners: list[Callable[[Settled], None]] = []

    def on_settled(self, listener: Callable[[Settled], None]) -> None:
        """Have `listener` told of each exchange that has a share, when that does not change any
        more: seconds after its end, at most some minutes.
        """
        self._listeners.append(listener)

    def samples(self, samples: Sequence[Sample]) -> None:
        """Take what a source gave, in the order of the times of each device."""

    def step(self, now_ns: int) -> None:
        """Settle what can be, by the frames' clock; at most once a second is enough."""

    def of(self, exchange: Exchange) -> Share:
        """The share of an exchange as far as it is known now; `exchange.energy` is the same object
        for good, but brought up to date only here and when it settles.
        """
        return exchange.energy or Share()

    def told(self) -> Told:
        """All there is to tell, since the start."""
        return Told()
