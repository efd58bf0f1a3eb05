"""Flows: which connection a frame belongs to."""

from contextlib import suppress

import msgspec

from sidelight_contract.summary import RelayCounters
from sidelight_sidecar.frames.codec import (
    CLIENT_BYTES,
    CLIENT_EOF,
    CLOSED,
    ENGINE_BYTES,
    ENGINE_EOF,
    GAP,
    NO_DELAY,
    OPEN,
    RESET,
    STATS,
    Frame,
)
from sidelight_sidecar.observer.autopsy.pressure import ClientPressure
from sidelight_sidecar.observer.flows.flow import Flow, Surroundings
from sidelight_sidecar.observer.flows.opaque import OpaqueFlows
from sidelight_sidecar.observer.http.transaction import Context

_decode_counters = msgspec.json.Decoder(RelayCounters).decode


class FlowTable:
    """Gives each flow its frames. Nothing raises, whatever the frames hold."""

    def __init__(self, context: Context, pressure: ClientPressure | None = None) -> None:
        self._around = Surroundings(context)
        self._flows: dict[int, Flow] = {}
        self._pressure = pressure or ClientPressure()
        self.relay = RelayCounters()
        """The relay's newest counters; zeros before it has spoken."""
        self.last_ns = 0
        """Time of the newest frame."""
        self.opened = b""
        """What the newest `O` frame says: the addresses of a connection, as JSON."""

    @property
    def opaque(self) -> OpaqueFlows:
        """The flows that are not read."""
        return self._around.opaque

    @property
    def lost(self) -> int:
        """Open flows of which bytes are missing, and that were not picked up again."""
        return len(self._around.lost)

    @property
    def unparsed(self) -> int:
        """Flows that could not be followed, for whatever reason."""
        return self._around.opaque.total

    @property
    def engine_address(self) -> str:
        """`host:port` of the engine, as the newest connection had it; empty before the first."""
        try:
            return str(msgspec.json.decode(self.opened)["engine"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return ""

    def feed(self, frames: list[Frame]) -> None:
        """Take frames in their order."""
        find = self._flows.get
        pressure = self._pressure
        for number, kind, at_ns, delay_ns, payload in frames:
            flow = find(number)
            if kind == ENGINE_BYTES:
                if flow is not None:
                    if delay_ns == NO_DELAY or pressure.waiting:
                        pressure.engine_bytes(number, at_ns, delay_ns, len(payload))
                    flow.from_engine(payload, at_ns)
            elif kind == CLIENT_BYTES:
                pressure.relayed |= delay_ns != NO_DELAY
                if flow is not None:
                    flow.from_client(payload, at_ns, delay_ns if delay_ns != NO_DELAY else -1)
            elif kind == STATS:
                self._stats(payload, at_ns)
            elif kind == OPEN:
                if flow is not None:
                    flow.replaced(at_ns)
                self.opened = payload
                self._flows[number] = Flow(number, self._around)
            elif flow is not None:
                self._event(flow, number, kind, at_ns, payload)
        if frames:
            self.last_ns = max(self.last_ns, frames[-1][2])

    def _event(self, flow: Flow, number: int, kind: int, at_ns: int, payload: bytes) -> None:
        if kind == GAP:
            flow.gap(at_ns)
        elif kind == CLIENT_EOF:
            flow.client_ended(at_ns)
        elif kind == ENGINE_EOF:
            flow.engine_ended(at_ns)
        elif kind == RESET:
            flow.reset(at_ns, bytes(payload))
        elif kind == CLOSED:
            flow.closed(at_ns)
            self._pressure.closed(number)
            del self._flows[number]

    def _stats(self, payload: bytes, at_ns: int) -> None:
        with suppress(msgspec.DecodeError):  # a damaged file: the counters before it stay
            self.relay = _decode_counters(payload)
        self.last_ns = max(self.last_ns, at_ns)
        for flow in tuple(self._around.lingering):
            flow.expire(at_ns)
