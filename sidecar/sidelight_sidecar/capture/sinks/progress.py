"""How far one sink is within a batch that it has not had whole: what it has is not sent again."""

from collections.abc import Iterable, Sequence

from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.spool.queue import Entry


class Progress:
    """Of one sink; bounded by a batch: what is behind the sink's place is forgotten."""

    def __init__(self) -> None:
        self._settled: dict[int, bool] = {}
        """By number: whether the sink has it, or will never have it."""
        self._why = ""

    def left(self, entries: Sequence[Entry]) -> list[Entry]:
        """What of a batch is to be sent."""
        return [entry for entry in entries if entry.number not in self._settled]

    def settle(self, entries: Iterable[Entry], delivery: Delivery) -> None:
        """What came of sending these; those that may go later are not settled."""
        if delivery.outcome is Outcome.LATER:
            return
        if delivery.outcome is Outcome.REFUSED:
            self._why = delivery.why
        delivered = delivery.outcome is Outcome.DELIVERED
        self._settled |= {entry.number: delivered for entry in entries}

    def end(self, entries: Sequence[Entry]) -> Delivery:
        """All of a batch is settled: it is done with, and so many were refused."""
        refused = sum(not self._settled[entry.number] for entry in entries)
        last = entries[-1].number  # a batch after a failure is smaller than the one before it
        self._settled = {one: what for one, what in self._settled.items() if one > last}
        return Delivery(Outcome.DELIVERED, self._why if refused else "", refused=refused)
