"""Records that wait a few seconds for their request's share of the devices' energy.

Rules:
1. It waits until its share is settled, at most `PATIENCE_SECONDS`; then it is given with what is
   known by then, or without.
2. At most `MAX_WAITING` wait; the oldest is given as it is.
3. Nothing waits while `wanted` is False: nobody shares energy out among requests, or bodies need
   the room.
"""

from collections import OrderedDict
from collections.abc import Callable

from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.energy.told import Quality, Settled
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.keep.decide import Decision

PATIENCE_SECONDS = 5.0
"""Default 5: a share settles a second or so after the last request that ran beside it; what takes
longer than this runs beside long ones."""
MAX_WAITING = 256

Kept = tuple[Exchange, str, Decision]


class Settling:
    """See the module.

    Args:
        energy: where shares come from.
        give: takes what has waited.

    Attributes:
        wanted: whether there is anything to wait for.
    """

    def __init__(self, energy: EnergySplit, give: Callable[[Kept], None]) -> None:
        self._energy = energy
        self._give = give
        self._waiting: OrderedDict[int, Kept] = OrderedDict()
        self.wanted = False
        energy.on_settled(self._settled)

    def take(self, kept: Kept) -> None:
        """Give it when it is time."""
        share = kept[0].energy
        if not self.wanted or share is None or share.quality is Quality.SETTLED:
            self._give(kept)
            return
        self._waiting[id(share)] = kept
        if len(self._waiting) > MAX_WAITING:
            self._give(self._waiting.popitem(last=False)[1])

    def look(self, now_ns: int) -> None:
        """Give those that have waited long enough, or all, when nothing is waited for."""
        while self._waiting:
            share, (exchange, _, _) = next(iter(self._waiting.items()))
            if self.wanted and now_ns - exchange.stop_ns < PATIENCE_SECONDS * 1e9:
                return
            self._give(self._waiting.pop(share))

    def flush(self) -> None:
        """Give all."""
        while self._waiting:
            self._give(self._waiting.popitem(last=False)[1])

    def _settled(self, settled: Settled) -> None:
        kept = self._waiting.pop(id(settled.share), None)
        if kept is not None:
            self._give(kept)
