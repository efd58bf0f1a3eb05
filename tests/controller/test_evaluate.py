"""Evaluation: from pods and answers to status, conditions and Events."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from controller_world import AFTER, VERSION, model_body, pod_body, summary

from sidelight_contract.names import Reason
from sidelight_contract.status import MAX_NAMED_PODS, MAX_VERSIONS
from sidelight_operator.controller.evaluate import Answer, Evaluation, asks, evaluate
from sidelight_operator.controller.models import Model, parse_model, parse_time
from sidelight_operator.controller.pods import PodView, Refusal, view_pod

NOW = parse_time(AFTER) + timedelta(minutes=10)
LABELS = ["sidelight.dev/version"]


def view(
    name: str, injected_for: str = "chat", refusal: Refusal | None = None, **facts: Any
) -> PodView:
    return view_pod(pod_body(name, injected_for, **facts), LABELS, refusal)


def judge(pods: list[PodView], answers: dict[str, Answer] | None = None, **more: Any) -> Evaluation:
    model: Model = more.pop("model", None) or parse_model(model_body())
    if answers is None:
        answers = {pod.uid: summary() for pod in pods}
    return evaluate(model, pods, answers, more.pop("now", NOW), **more)


def conditions(result: Evaluation) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in result.status.conditions}


REFUSED = Refusal(Reason.ENGINE_UNKNOWN, "no engine is recognised")


@pytest.mark.parametrize(
    ("pod", "answer", "reason"),
    [
        (view("a", "", REFUSED), None, Reason.ENGINE_UNKNOWN),
        (
            view("a", "", Refusal(Reason.CREATED_BEFORE_MODEL, "m")),
            None,
            Reason.CREATED_BEFORE_MODEL,
        ),
        (view("a", "elsewhere"), None, Reason.BELONGS_TO_OTHER_MODEL),
        (view("a", phase="Pending"), None, Reason.POD_NOT_RUNNING),
        (view("a", ready=False), None, Reason.SIDECAR_NOT_READY),
        (view("a"), None, Reason.SIDECAR_UNREACHABLE),
        (view("a"), Refusal(Reason.SIDECAR_REFUSED_TOKEN, "m"), Reason.SIDECAR_REFUSED_TOKEN),
        (view("a"), Refusal(Reason.SUMMARY_NOT_UNDERSTOOD, "m"), Reason.SUMMARY_NOT_UNDERSTOOD),
    ],
)
def test_a_pod_that_is_not_observed_is_named_with_its_reason(
    pod: PodView, answer: Answer | None, reason: Reason
) -> None:
    """In the status, in the metric's counts, in an Event, and Ready is False."""
    result = judge([pod], {pod.uid: answer} if answer else {})
    assert result.status.pods is not None
    (named,) = result.status.pods.not_observed
    assert (named.name, named.reason) == ("a", reason)
    assert named.message
    assert result.status.pods.ratio == "0/1"
    assert result.not_observed == {reason: 1}
    assert [(e.reason, e.pod, e.type) for e in result.events] == [(reason, "a", "Warning")]
    assert conditions(result)["Ready"] == ("False", "SomePodsNotObserved")


def test_all_observed_with_traffic_is_all_true() -> None:
    """The good case, with its figures."""
    result = judge([view("a"), view("b")])
    assert conditions(result) == {
        "Ready": ("True", "AllPodsObserved"),
        "Injected": ("True", "AllPodsInjected"),
        "TrafficObserved": ("True", "RequestsSeen"),
        "BreakerOpen": ("False", "BreakerClosed"),
        "VersionConsistent": ("True", "PodsAlike"),
        "GPUVisible": ("False", "NoGPURequested"),
    }
    traffic = result.status.traffic
    assert traffic is not None
    assert (traffic.requests, traffic.requests_per_second) == (20, "0.200")
    assert traffic.tokens_per_second == "4.00"
    assert traffic.time_to_first_token is not None
    assert traffic.time_to_first_token.count == 20
    (version,) = result.status.versions
    assert (version.name, version.pods, version.requests) == (VERSION, 2, 20)
    assert version.identity.served_models == ["smollm2"]
    assert version.identity.engine == "LlamaCpp"
    assert version.connections_not_observed == 6
    assert (version.tokens.prompt, version.tokens.output) == (100, 400)
    (mode,) = result.status.interception
    assert (mode.mode, mode.reason, mode.pods) == ("Redirect", "RedirectAllowed", 2)
    assert [e.reason for e in result.events] == [Reason.ALL_PODS_OBSERVED]


def test_no_traffic_and_no_answer_differ() -> None:
    """False when sidecars say so, Unknown when none says anything."""
    silent = view("a")
    assert conditions(judge([silent], {silent.uid: summary(0)}))["TrafficObserved"] == (
        "False", "NoRequestsYet",
    )  # fmt: skip
    assert conditions(judge([silent], {}))["TrafficObserved"] == ("Unknown", "NoSidecarAnswered")


def test_a_selector_that_matches_nothing_says_how_to_find_out() -> None:
    """NoPodsSelected, with a command to try."""
    result = judge([])
    assert conditions(result)["Ready"] == ("False", "NoPodsSelected")
    assert "--show-labels" in result.status.conditions[0].message
    assert result.status.traffic is None


def test_a_problem_is_the_reason_of_ready() -> None:
    """What the round could not do outranks what it saw."""
    problem = Refusal(Reason.NAME_TAKEN, "Secret sidelight-chat belongs to somebody else")
    result = judge([view("a")], problem=problem)
    assert conditions(result)["Ready"] == ("False", "NameTaken")
    assert problem.message == result.status.conditions[0].message


def test_a_configuration_that_a_sidecar_refuses_is_said_with_its_words() -> None:
    """What the spec asks for is not in force there, however well all is observed."""
    pods = [view("a"), view("b")]
    old = summary()
    old.sidecar.config_error = "Object contains unknown field `export`"
    result = judge(pods, {pods[0].uid: summary(), pods[1].uid: old})
    ready = result.status.conditions[0]
    assert (ready.status, ready.reason) == ("False", Reason.CONFIG_REFUSED)
    assert ready.message == (
        "1 of 2 sidecars do not understand their configuration and go on with the last good one "
        "(pod b: Object contains unknown field `export`); after an upgrade, restart the workload"
    )


def test_errors_of_clients_are_no_failures() -> None:
    """Two of ten failed; the hang-ups and refusals are counted but not in the ratio."""
    errors = {"engine_error": 2, "client_disconnect": 3, "invalid_request": 1, "context_length": 1}
    pod = view("a")
    result = judge([pod], {pod.uid: summary(10, errors=errors)})
    assert result.status.traffic is not None
    assert result.status.traffic.error_ratio == "0.200"
    assert result.status.versions[0].errors == errors


def test_a_version_label_names_the_version() -> None:
    """The label wins over the image's digest; versions are apart."""
    result = judge([view("a", labels={"sidelight.dev/version": "v2"}), view("b")])
    assert {v.name for v in result.status.versions} == {"v2", VERSION}


def test_the_transition_time_stays_while_the_status_stays() -> None:
    """A second, equal round changes nothing at all."""
    first = judge([view("a")])
    body = model_body() | {"status": first.status.model_dump(by_alias=True, exclude_none=True)}
    second = judge([view("a")], model=parse_model(body), now=NOW + timedelta(hours=1))
    assert second.status == first.status
    assert second.events == ()


def test_a_starting_pod_gives_an_event_only_when_it_takes_long() -> None:
    """In the status at once; told after two minutes, and once."""
    pod = view("a", phase="Pending")
    assert judge([pod], {}, now=parse_time(AFTER) + timedelta(seconds=5)).events == ()
    late = parse_time(AFTER) + timedelta(minutes=3)
    assert [e.reason for e in judge([pod], {}, now=late).events] == [Reason.POD_NOT_RUNNING]
    told = {("a", Reason.POD_NOT_RUNNING)}
    assert judge([pod], {}, now=late, told=told).events == ()


def test_five_thousand_pods_and_a_hundred_versions_stay_small() -> None:
    """Bounds hold, and what is not named is counted."""
    pods = [view(f"p{i:04}", labels={"sidelight.dev/version": f"v{i % 100}"}) for i in range(5000)]
    answer = summary(1)
    answers: dict[str, Answer] = {pod.uid: answer for pod in pods[:2500]}
    result = judge(pods, answers)
    assert result.status.pods is not None
    assert len(result.status.versions) == MAX_VERSIONS
    assert len(result.status.pods.not_observed) == MAX_NAMED_PODS == len(result.events)
    assert result.status.pods.not_observed_total == 2500
    assert result.status.traffic is not None
    assert result.status.traffic.requests == 2500
    assert len(json.dumps(result.status.model_dump(mode="json"))) < 32_000


def test_the_order_of_pods_does_not_matter() -> None:
    """Every order of the same pods and answers gives the same status."""
    pods = [
        view(name, labels={"sidelight.dev/version": name[0]}) for name in ("x1", "x2", "y1", "y2")
    ]
    answers: dict[str, Answer] = {
        pod.uid: summary(n + 1, errors={"engine_error": n}) for n, pod in enumerate(pods)
    }
    statuses = [judge(list(order), answers).status for order in permutations(pods)]
    assert all(status == statuses[0] for status in statuses)


def test_only_running_sidecars_of_this_model_are_asked() -> None:
    """Nobody else would answer, or should be given the token."""
    model = parse_model(model_body())
    assert asks(model, view("a"))
    others = [view("a", "other"), view("a", ""), view("a", phase="Pending"), view("a", ready=False)]
    assert not any(asks(model, pod) for pod in [*others, view("a", ip="")])


def test_a_spec_of_another_release_is_named_not_raised() -> None:
    """An older or newer definition must not stop the controller."""
    model = parse_model(model_body(selector={"matchLabels": {"a": "b"}}, future={"x": 1}))
    assert model.spec is None
    assert "future" in model.spec_error


def test_times_are_utc() -> None:
    """Kubernetes' Z."""
    assert parse_time("2026-11-24T10:00:00Z") == datetime(2026, 11, 24, 10, tzinfo=UTC)
