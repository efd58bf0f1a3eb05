"""How much of what there was is in the figures. Pure."""

from collections.abc import Iterable

from sidelight_contract import status
from sidelight_contract.summary import Summary

_HUNDREDTHS = 10_000


def coverage_status(summaries: Iterable[Summary]) -> status.Coverage | None:
    """What the taps behind `summaries` saw of what passed; None when none has answered."""
    relays = [summary.relay for summary in summaries]
    if not relays:
        return None
    packets = sum(relay.tap_packets for relay in relays)
    lost = sum(relay.tap_packets_dropped for relay in relays)
    return status.Coverage(
        captured=share(packets - lost, packets),
        packets_lost=lost,
        bytes_lost=sum(relay.tap_bytes_lost for relay in relays),
        gaps=sum(
            relay.tap_gaps_not_captured + relay.tap_gaps_buffer_full + relay.tap_gaps_timeout
            for relay in relays
        ),
        connections_not_followed=sum(relay.tap_flows_not_followed for relay in relays),
    )


def share(part: int, whole: int) -> str:
    """In percent, rounded down: `100%` says that nothing was lost, and that alone."""
    hundredths = part * _HUNDREDTHS // whole if whole else _HUNDREDTHS
    return f"{hundredths / 100:g}%"
