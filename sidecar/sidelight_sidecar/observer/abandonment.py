"""Who hung up, and what it cost: exchanges whose client left before the response had ended."""

from typing import NamedTuple

from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange


class QueueReading(NamedTuple):
    """What the engine said of its queue."""

    at_ns: int
    """When, on the frames' clock."""
    waiting: float
    """Requests that it had not begun to compute."""


class Abandonment(NamedTuple):
    """One exchange that its client left."""

    phase: str
    """`upload` (the request was not whole), `queued`, `prefill`, `decode`, or `unknown`: before
    the first output nothing on the wire tells queue from prefill, so without a reading of the
    engine's queue taken meanwhile, and for answers that are no streams, there is no telling."""
    stop_seconds: float | None
    """From the client's leaving to the end of the engine's side; None: the connection was reset
    through to the engine, and whether it stopped is not to be seen."""
    bytes_after: int
    """Bytes of the response's body that the engine sent after the client had left."""


def abandonment_of(exchange: Exchange, reading: QueueReading | None) -> Abandonment | None:
    """What is known of an exchange's abandonment; None when its client stayed."""
    if exchange.code != CLIENT_LEFT or not exchange.left_ns:
        return None
    stop = None
    if exchange.engine_end_ns:
        stop = max(0, exchange.engine_end_ns - exchange.left_ns) / 1e9
    return Abandonment(_phase(exchange, reading), stop, exchange.bytes_after_left)


def _phase(exchange: Exchange, reading: QueueReading | None) -> str:
    if not exchange.request_end_ns:
        return "upload"
    if exchange.first_output_ns or (exchange.response_start_ns and not exchange.stream_asked):
        return "decode"
    if reading is None or not exchange.stream_asked or reading.at_ns < exchange.request_end_ns:
        return "unknown"
    return "queued" if reading.waiting > 0 else "prefill"
