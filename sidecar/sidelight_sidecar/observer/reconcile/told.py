"""What the reconciler is told of what is not seen, and what the summary is told of it."""

from sidelight_contract import summary
from sidelight_sidecar.observer.flows.table import FlowTable
from sidelight_sidecar.observer.reconcile.compare import Comparison
from sidelight_sidecar.observer.reconcile.reconciler import Reconciler, Unobserved

MAX_NUMBER = 1 << 62
"""What JSON's readers take; no engine that tells the truth comes near it."""


def unobserved(flows: FlowTable) -> Unobserved:
    """What a relay and a tap say that was not observed, and what could not be read."""
    relay = flows.relay
    connections = (
        flows.unparsed
        + relay.flows_gapped_queue_full
        + relay.flows_gapped_no_observer
        + relay.tap_gaps_not_captured
        + relay.tap_gaps_buffer_full
        + relay.tap_gaps_timeout
        + relay.tap_flows_not_followed
    )
    opaque = sum(kind.open for kind in flows.opaque.kinds.values())
    return Unobserved(connections, opaque + flows.lost, relay.connect_errors)


def reconciliation_of(reconciler: Reconciler) -> summary.Reconciliation:
    """The newest comparison, and how many there were."""
    told = summary.Reconciliation(
        read=int(reconciler.samples > 0),
        silent=int(not reconciler.samples and reconciler.exchanges > 0),
        spans_agreed=reconciler.spans[True],
        spans_differed=reconciler.spans[False],
    )
    if (last := reconciler.fresh) is not None:
        _tell(told, last)
    return told


def _tell(told: summary.Reconciliation, last: Comparison) -> None:
    told.compared = 1
    told.agreed = int(last.agrees)
    told.exact = int(not last.straddlers)
    told.span_ns = last.until_ns - last.since_ns
    told.causes = {cause.value: 1 for cause in last.causes}
    told.figures = {
        name.value: summary.Compared(
            **{key: min(number, MAX_NUMBER) for key, number in figure._asdict().items()},
            agreed=int(figure.agrees),
            differed=int(not figure.agrees),
        )
        for name, figure in last.figures.items()
    }
