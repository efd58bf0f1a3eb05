"""The condition MetricsAgree: what sidecars and engines counted, with the numbers."""

from __future__ import annotations

import pytest
from controller_world import summary

from sidelight_contract.names import ConditionType, DifferenceCause, Reason
from sidelight_contract.summary import Compared, Reconciliation, Summary
from sidelight_operator.controller.agreement import _DISAGREE, metrics_agree

MINUTE = 60_000_000_000


def equal(count: int) -> Compared:
    """The same on both sides."""
    return Compared(count, count, count, count, agreed=1)


def told(reconciliation: Reconciliation, requests: int = 10) -> Summary:
    """A sidecar's summary with this comparison."""
    made = summary(requests)
    made.reconciliation = reconciliation
    return made


def compared(causes: tuple[DifferenceCause, ...] = (), **figures: Compared) -> Summary:
    """A summary of one comparison, over a minute."""
    agreed = int(not any(figure.differed for figure in figures.values()))
    return told(
        Reconciliation(
            read=1, compared=1, agreed=agreed, exact=1, span_ns=MINUTE,
            causes={cause.value: 1 for cause in causes}, figures=figures,
        )
    )  # fmt: skip


def test_equal_figures_are_shown_as_equal() -> None:
    """Counts with their thousands apart, means of times with three digits."""
    time = Compared(
        10_000_000_000, 10_200_000_000, 9_000_000_000, 11_000_000_000, 4210, 4210, agreed=1
    )
    (judged,) = metrics_agree([
        compared(
            requests=equal(120), prompt_tokens=equal(12_000), output_tokens=equal(4210),
            decode_time=time,
        )
    ])  # fmt: skip
    assert judged == (
        ConditionType.METRICS_AGREE,
        "True",
        Reason.FIGURES_AGREE,
        "over 60.0s: requests 120 = 120; prompt tokens 12,000 = 12,000; output tokens 4,210 = "
        "4,210; mean decode time of a token 2.38ms against the engine's 2.42ms; not compared: "
        "mean time to first token",
    )


def test_a_difference_that_is_admitted_says_what_explains_it() -> None:
    """Two pods, added up; one of them had a client that left."""
    left = compared(
        (DifferenceCause.CLIENTS_LEFT,), output_tokens=Compared(4210, 4198, 4100, 4300, agreed=1)
    )
    (judged,) = metrics_agree([left, compared(output_tokens=equal(100))])
    assert judged[1:3] == ("True", Reason.FIGURES_AGREE)
    assert judged[3] == (
        "2 pods, over 60.0s each: output tokens 4,310 against the engine's 4,298 (0.279 %); not "
        "compared: requests, prompt tokens, mean time to first token, mean decode time of a token; "
        "differences that are admitted: ClientsLeft"
    )


def test_one_engine_that_disagrees_is_enough() -> None:
    """However large the others are; the message says which figure and why."""
    around = compared(
        (DifferenceCause.NOT_THROUGH_SIDECAR,), requests=Compared(10, 12, 10, 10, differed=1)
    )
    (judged,) = metrics_agree([compared(requests=equal(100_000)), around])
    assert judged[1:3] == ("False", Reason.NOT_THROUGH_SIDECAR)
    assert judged[3].startswith(
        "1 of 2 pods: the engine counted what did not come through the sidecar"
    )
    assert "requests 100,010 against the engine's 100,012 (0.00200 %, more than is ad" in judged[3]


@pytest.mark.parametrize("cause", list(_DISAGREE))
def test_every_cause_of_a_disagreement_is_a_reason(cause: DifferenceCause) -> None:
    """By the same word."""
    (judged,) = metrics_agree([compared((cause,), requests=Compared(1, 5, 1, 1, differed=1))])
    assert judged[1:3] == ("False", Reason(cause.value))
    assert not judged[3].startswith("1 of 1")


def test_an_engine_without_metrics_leaves_it_unknown() -> None:
    """And the message says where to read on."""
    (judged,) = metrics_agree([told(Reconciliation(silent=1))])
    assert judged[1:3] == ("Unknown", Reason.ENGINE_TELLS_NOTHING)
    assert "(1 of the pods" in judged[3]


def test_before_a_comparison_it_is_unknown_and_before_traffic_absent() -> None:
    """A sidecar of an older release says nothing of it, either."""
    (judged,) = metrics_agree([told(Reconciliation(read=1))])
    assert judged[1:3] == ("Unknown", Reason.NOTHING_COMPARED)
    assert metrics_agree([told(Reconciliation(read=1), requests=0)]) == ()
    assert metrics_agree([summary(10)]) == ()
    assert metrics_agree([]) == ()


def test_a_cause_of_a_newer_sidecar_is_no_error() -> None:
    """It is not known here, and said so."""
    newer = compared(requests=Compared(1, 5, 1, 1, differed=1))
    newer.reconciliation.causes = {"Novelty": 1}
    (judged,) = metrics_agree([newer])
    assert judged[1] == "False"
    assert "the cause is not known" in judged[3]
