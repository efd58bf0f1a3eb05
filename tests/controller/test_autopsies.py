"""What the status shows of slow and failed requests: the worst of all pods, bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from controller_world import pod_body, summary

from sidelight_contract.autopsy import Autopsy, Cause
from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.status import MAX_AUTOPSIES, MAX_AUTOPSY_TEXT
from sidelight_contract.summary import Summary
from sidelight_operator.controller.autopsies import autopsy_statuses
from sidelight_operator.controller.pods import PodView, view_pod

SPEC = ObservedModelSpec.model_validate({"selector": {"matchLabels": {"app": "chat"}}})
AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def pod(name: str) -> PodView:
    return view_pod(pod_body(name), SPEC.version.labels)


def slow(times_usual: float, **fields: object) -> Autopsy:
    values: dict[str, object] = {
        "model": "m", "operation": "chat", "at": AT.timestamp(), "cause": Cause.QUEUED,
        "said": "it waited 9.1s", "times_usual": times_usual, "duration_ms": 12_300,
    }  # fmt: skip
    return Autopsy(**{**values, **fields})  # type: ignore[arg-type]


def told(*autopsies: Autopsy) -> Summary:
    made = summary()
    made.autopsies = list(autopsies)
    return made


def test_worst_of_all_pods_come_first_with_their_pod() -> None:
    """Those of a pod that was slower than usual twice over come after those of thrice."""
    shown = autopsy_statuses([(pod("a"), told(slow(2.0))), (pod("b"), told(slow(3.0)))])
    assert [row.pod for row in shown] == ["b", "a"]
    assert (shown[0].at, shown[0].duration) == ("2026-11-24T10:00:00Z", "12.3s")
    assert (shown[0].cause, shown[0].message) == ("queued", "it waited 9.1s")


def test_joules_are_shown_where_they_are_known() -> None:
    """And make sense."""
    for joules, energy in (
        (105.23, "105J"),
        (0.0421, "0.0421J"),
        (None, ""),
        (-1.0, ""),
        (1e300, ""),
    ):
        (row,) = autopsy_statuses([(pod("a"), told(slow(2.0, joules=joules)))])
        assert row.energy == energy


def test_an_adapters_request_has_its_version() -> None:
    """As in status.versions."""
    made = told(slow(2.0), slow(3.0, model="sql"))
    made.sidecar.adapters = {"sql": "m"}
    shown = autopsy_statuses([(replace(pod("a"), version="v1"), made)])
    assert [(row.model, row.version) for row in shown] == [("sql", "v1/sql"), ("m", "v1")]


def test_what_failed_has_its_place_beside_what_was_slow() -> None:
    """However much was slow, one that failed is shown."""
    many = [slow(float(number)) for number in range(2, 12)]
    failed = slow(1.0, error="timeout", cause=Cause.ENGINE_ERROR)
    shown = autopsy_statuses([(pod("a"), told(*many)), (pod("b"), told(failed))])
    assert len(shown) == MAX_AUTOPSIES
    assert [row.cause for row in shown].count("engine_error") == 1


def test_what_took_as_long_as_usual_is_not_shown_without_a_cause() -> None:
    """Some request is always the slowest; twice the usual is shown, cause or none."""
    usual, long = (slow(times, cause=Cause.UNKNOWN) for times in (1.2, 2.0))
    shown = autopsy_statuses([(pod("a"), told(usual, long, slow(1.0)))])
    assert [row.cause for row in shown] == ["unknown", "queued"]


def test_what_a_sidecar_forges_is_bounded() -> None:
    """Thousands of rows, long words, a clock of nowhere."""
    bad = slow(9.9, said="x" * 10_000, model="m" * 10_000, at=1e300, duration_ms=-5)
    shown = autopsy_statuses([(pod("a"), told(*[bad] * 3000))])
    assert len(shown) <= MAX_AUTOPSIES
    assert len(shown[0].message) == MAX_AUTOPSY_TEXT
    assert len(shown[0].model) == 128
