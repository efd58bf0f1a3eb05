"""Which exchanges are handed over, and when. A consumer; pure but for the `give` that it is told.

Rules:
1. Whether an exchange is kept is decided when it ends. One that is not lets its bodies go at once.
2. What is kept waits until its tokens are settled, and a little for its energy (settling.py), then
   it is given; at most `MAX_WAITING` wait, the oldest is given without.
3. `give` may say that there is no room: then the record is dropped, and counted. Nothing waits
   for the capture process.
4. Where nobody takes records (`give` is None), nothing is decided and nothing kept.
"""

from collections import OrderedDict
from collections.abc import Callable

from sidelight_contract.capture import CaptureSettings, Payloads
from sidelight_sidecar.observer.accelerators.guard import Guard
from sidelight_sidecar.observer.capture.bodies import Bodies
from sidelight_sidecar.observer.capture.record_of import outcome_of, record_id, record_of
from sidelight_sidecar.observer.capture.settling import Kept, Settling
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.energy.told import Share
from sidelight_sidecar.observer.exchange import OTHER, Exchange
from sidelight_sidecar.observer.keep.decide import Decision, Keeper
from sidelight_sidecar.observer.metrics.labels import Labels
from sidelight_sidecar.records.handover import Captured, Payload
from sidelight_sidecar.records.record import Origin

MAX_WAITING = 256
_NOTHING = Payload()


class Offers(Consumer):
    """See the module.

    Args:
        labels: names of models.
        settings: the rules in force.
        give: hands over; False: there was no room; None: nobody takes records.
        origin: where this is.
        boot_id: the observer's.
        offset_ns: Unix time less the frames' clock.
        energy: where the devices' energy is shared out.
        guard: of mistakes in that.

    Attributes:
        kept: exchanges that were to become records.
        passed: exchanges that were not.
        beyond: of `passed`, those that no quota had room for.
        no_room: of `kept`, those that could not be handed over.
    """

    def __init__(
        self,
        labels: Labels,
        settings: CaptureSettings,
        give: Callable[[Captured], bool] | None,
        *,
        origin: Origin,
        boot_id: str,
        offset_ns: int,
        energy: EnergySplit,
        guard: Guard,
    ) -> None:
        self._labels = labels
        self._boot_id = boot_id
        self._offset_ns = offset_ns
        self.origin = origin
        self.give = give
        self._waiting: OrderedDict[int, Kept] = OrderedDict()
        self._energy, self._guard = energy, guard
        self.settling = Settling(energy, lambda kept: self._hand_over(*kept))
        self.settings = settings
        self._keeper = Keeper(settings.keep, settings.salt.encode())
        self.kept = self.passed = self.beyond = self.no_room = 0

    def reconfigure(self, settings: CaptureSettings) -> None:
        """Put other rules in force."""
        if settings != self.settings:
            if settings.salt != self.settings.salt:
                self._keeper = Keeper(settings.keep, settings.salt.encode())
            elif settings.keep != self.settings.keep:
                self._keeper.reconfigure(settings.keep)
            self.settings = settings

    def dropped(self, exchange: Exchange) -> None:
        """It was lost sight of."""
        _let_go(exchange)

    def finished(self, exchange: Exchange) -> None:
        """Decide."""
        if exchange.operation == OTHER or self.give is None:
            _let_go(exchange)
            return
        own_id = record_id(self._boot_id, exchange)
        decision = self._keeper.decide(outcome_of(exchange, own_id, self._model(exchange)))
        if not decision.keep:
            self.passed += 1
            self.beyond += decision.probability == 0 and self.settings.keep.share > 0
            _let_go(exchange)
            return
        self.kept += 1
        if not exchange.generating and exchange.prompt_tokens is None:
            self._hand_over(exchange, own_id, decision)  # nobody counts its tokens
            return
        self._waiting[id(exchange)] = exchange, own_id, decision
        if len(self._waiting) > MAX_WAITING:
            self._hand_over(*self._waiting.popitem(last=False)[1])

    def counted(self, exchange: Exchange) -> None:
        """Its tokens are settled."""
        waiting = self._waiting.pop(id(exchange), None)
        if waiting is not None:
            self.settling.take(waiting)

    def _model(self, exchange: Exchange) -> str:
        return self._labels.model(exchange)

    def _share(self, exchange: Exchange) -> Share:
        return self._guard.call(lambda: self._energy.of(exchange), Share())

    def _hand_over(self, exchange: Exchange, own_id: str, decision: Decision) -> None:
        record = record_of(
            exchange, own_id, decision=decision, origin=self.origin,
            model=self._model(exchange), payloads=self.settings.payloads,
            offset_ns=self._offset_ns, share=self._share(exchange),
        )  # fmt: skip
        request, response = _payloads(exchange.bodies, self.settings.payloads)
        _let_go(exchange)
        if self.give is None or not self.give(Captured(record, request, response)):
            self.no_room += 1


def _payloads(bodies: Bodies | None, mode: Payloads) -> tuple[Payload, Payload]:
    if bodies is None or mode is Payloads.OFF:  # turned off meanwhile
        return _NOTHING, _NOTHING
    return bodies.request.payload(), bodies.response.payload()


def _let_go(exchange: Exchange) -> None:
    if exchange.bodies is not None:
        exchange.bodies.release()
        exchange.bodies = None
