"""From the comparisons of sidecars with their engines' own metrics to a condition. Pure."""

from collections.abc import Iterable

from sidelight_contract.durations import format_duration, round_significant
from sidelight_contract.names import ConditionType, DifferenceCause, Reason
from sidelight_contract.summary import Compared, Reconciliation, Summary
from sidelight_operator.controller.figures import inference
from sidelight_operator.controller.judged import Judged

COUNTS = {
    "requests": "requests",
    "prompt_tokens": "prompt tokens",
    "output_tokens": "output tokens",
}
TIMES = {
    "time_to_first_token": "mean time to first token",
    "decode_time": "mean decode time of a token",
}
_DISAGREE = {
    DifferenceCause.NOT_THROUGH_SIDECAR: (
        Reason.NOT_THROUGH_SIDECAR,
        "the engine counted what did not come through the sidecar: requests from within the pod, "
        "over loopback, or on another port",
    ),
    DifferenceCause.NOT_OBSERVED: (
        Reason.NOT_OBSERVED,
        "the engine counted more, and not every connection was observed",
    ),
    DifferenceCause.ENGINE_RAN_ON: (
        Reason.ENGINE_RAN_ON,
        "the engine goes on generating for clients that have left",
    ),
    DifferenceCause.CACHED_NOT_COUNTED: (
        Reason.CACHED_NOT_COUNTED,
        "the engine counts prompts without what came from its cache",
    ),
    DifferenceCause.ENGINE_COUNTS_LESS: (
        Reason.ENGINE_COUNTS_LESS,
        "the engine counted less than its answers said",
    ),
    DifferenceCause.TIMES_DIFFER: (
        Reason.TIMES_DIFFER,
        "counts agree and times do not: clients that read slowly, or a node with too much to do",
    ),
}
"""In this order, where there are several."""


def metrics_agree(summaries: Iterable[Summary]) -> tuple[Judged, ...]:
    """The condition MetricsAgree; none before there was any traffic."""
    whole = Reconciliation()
    traffic = False
    for summary in summaries:
        whole.merge(summary.reconciliation)
        traffic = traffic or any(part.requests for part in inference(summary.total))
    kind = ConditionType.METRICS_AGREE
    if not whole.compared:
        if whole.silent:
            message = (
                "the engine serves no metrics that are known, so nothing can be compared "
                f"({whole.silent} of the pods that answered); docs/agreement.md says what is read"
            )
            return ((kind, "Unknown", Reason.ENGINE_TELLS_NOTHING, message),)
        if whole.read and traffic:
            message = (
                "no span of time with traffic has been compared yet, or none of the last half hour"
            )
            return ((kind, "Unknown", Reason.NOTHING_COMPARED, message),)
        return ()
    if whole.agreed == whole.compared:
        return ((kind, "True", Reason.FIGURES_AGREE, _message(whole)),)
    reason, why = _why(whole)
    differ = whole.compared - whole.agreed
    which = f"{differ} of {whole.compared} pods: " if whole.compared > 1 else ""
    message = f"{which}{why}; {_message(whole)}"
    return ((kind, "False", reason, message),)


def _why(whole: Reconciliation) -> tuple[Reason, str]:
    for cause, (reason, why) in _DISAGREE.items():
        if whole.causes.get(cause.value):
            return reason, why
    return Reason.ENGINE_COUNTS_LESS, "the cause is not known"


def _message(whole: Reconciliation) -> str:
    said = [
        _counts(name, whole.figures[figure])
        for figure, name in COUNTS.items()
        if figure in whole.figures
    ]
    said += [
        _times(name, whole.figures[figure])
        for figure, name in TIMES.items()
        if figure in whole.figures
    ]
    missing = [name for figure, name in (COUNTS | TIMES).items() if figure not in whole.figures]
    if missing:
        said.append(f"not compared: {', '.join(missing)}")
    explained = sorted(set(whole.causes) - {cause.value for cause in _DISAGREE})
    if explained:
        said.append(f"differences that are admitted: {', '.join(explained)}")
    span = format_duration(whole.span_ns / whole.compared / 1e9)
    over = f"over {span}" if whole.compared == 1 else f"{whole.compared} pods, over {span} each"
    return f"{over}: {'; '.join(said)}"


def _counts(name: str, figure: Compared) -> str:
    if figure.sidecar == figure.engine:
        return f"{name} {figure.sidecar:,} = {figure.engine:,}"
    share = abs(figure.sidecar - figure.engine) / max(figure.engine, 1)
    return (
        f"{name} {figure.sidecar:,} against the engine's {figure.engine:,} "
        f"({round_significant(100 * share)} %{_outside(figure)})"
    )


def _times(name: str, figure: Compared) -> str:
    sidecar = format_duration(figure.sidecar / max(figure.sidecar_count, 1) / 1e9)
    engine = format_duration(figure.engine / max(figure.engine_count, 1) / 1e9)
    return f"{name} {sidecar} against the engine's {engine}{_outside(figure, ' (', ')')}"


def _outside(figure: Compared, before: str = ", ", after: str = "") -> str:
    return f"{before}more than is admitted{after}" if figure.differed else ""
