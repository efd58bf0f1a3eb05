"""The circuit breaker: opens for one workload, makes room, closes when something has changed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from controller_world import AFTER, IMAGE, INSTALLED, model_body, pod_body

from sidelight_contract.names import Reason
from sidelight_contract.status import MAX_BREAKERS
from sidelight_operator.controller.breaker import Breaker, Rejection, judge_breaker
from sidelight_operator.controller.models import Model, parse_model, parse_time
from sidelight_operator.controller.pods import PodView, Refusal, view_pod

NOW = parse_time(AFTER) + timedelta(minutes=1)
TROUBLE = Refusal(Reason.SIDECAR_CRASHED, "it ended")


def stuck(name: str = "chat-7c9d-a", **facts: Any) -> PodView:
    view = view_pod(pod_body(name, phase="Pending", ready=False, **facts), [])
    return replace(view, never_ready=True, trouble=TROUBLE)


def model(breaker: Breaker | None = None, generation: int = 2) -> Model:
    body = model_body()
    body["metadata"]["generation"] = generation
    entries = breaker.entries if breaker else ()
    body["status"] = {"breaker": [e.model_dump(by_alias=True) for e in entries]}
    return parse_model(body)


def judge(of: Model, *pods: PodView, **more: Any) -> Breaker:
    rejections = more.pop("rejections", {})
    return judge_breaker(of, more.get("installed", INSTALLED), pods, rejections, NOW)


def test_a_stuck_pod_opens_it_and_makes_way_in_the_next_round() -> None:
    """The webhook must know before the owner makes the pod anew."""
    first = judge(model(), stuck())
    (entry,) = first.opened
    assert (entry.workload, entry.reason) == ("deployment/chat", Reason.SIDECAR_CRASHED)
    assert first.replace == ()
    second = judge(model(first), stuck())
    assert (second.entries, second.opened) == (first.entries, ())
    assert [pod.name for pod in second.replace] == ["chat-7c9d-a"]


def test_it_stays_open_when_the_pods_are_well() -> None:
    """They are well because it is open."""
    first = judge(model(), stuck())
    assert judge(model(first)).entries == first.entries


def test_other_workloads_keep_their_sidecars() -> None:
    """One entry for each workload in trouble, with the first cause."""
    other = view_pod(pod_body("other-0", owner=("StatefulSet", "other")), [])
    assert [e.workload for e in judge(model(), stuck(), stuck("b"), other).entries] == [
        "deployment/chat"
    ]


def test_only_what_never_served_and_has_an_owner_is_replaced() -> None:
    """A bare pod would be gone for good; a pod that was ready may be serving somebody."""
    bare = stuck("bare", owner=None)
    served = replace(stuck("served"), never_ready=False)
    ended = replace(stuck("ended"), phase="Failed")
    elsewhere = replace(stuck("elsewhere"), model="other")
    first = judge(model(), bare, served)
    assert {e.workload for e in first.entries} == {"pod/bare", "deployment/chat"}
    assert judge(model(first), bare, served, ended, elsewhere).replace == ()


def test_another_generation_release_or_image_closes_it() -> None:
    """And says which were closed."""
    first = judge(model(), stuck())
    changed = judge(model(first, generation=3))
    assert (changed.entries, changed.closed) == ((), first.entries)
    for installed in (replace(INSTALLED, version="9"), replace(INSTALLED, image="other:2")):
        assert judge(model(first), installed=installed).entries == ()
    assert judge(model(first)).closed == ()


def test_a_pod_of_before_the_change_is_replaced_and_opens_nothing() -> None:
    """It says nothing about the new spec, or the new image."""
    newer = replace(model(), changed=NOW)
    result = judge(newer, stuck())
    assert (result.opened, [pod.name for pod in result.replace]) == ((), ["chat-7c9d-a"])
    upgraded = replace(INSTALLED, image="sidecar:fixed", since=NOW)
    result = judge(model(), stuck(), installed=upgraded)
    assert (result.opened, len(result.replace)) == ((), 1)
    again = stuck("again", sidecar_image=IMAGE, created="2026-11-24T11:01:30Z")
    assert judge(model(), again, installed=upgraded).opened, "a webhook of before: no endless loop"


def test_refused_pods_open_it_and_refusals_without_a_sidecar_are_said() -> None:
    """Once it is open, they have another cause."""
    refused = {"deployment/chat": Rejection("exceeded quota", NOW, sidecar=True)}
    first = judge(model(), rejections=refused)
    (entry,) = first.entries
    assert (entry.reason, entry.message) == (Reason.PODS_REJECTED, "exceeded quota")
    again = Rejection("exceeded quota", NOW + timedelta(minutes=1), sidecar=False)
    later = judge(model(first), rejections={"deployment/chat": again})
    assert "without a sidecar, too" in later.entries[0].message
    assert judge(model(later), rejections={"deployment/chat": again}).entries == later.entries
    assert judge(model(), rejections={"deployment/new": again}).entries == ()


def test_what_somebody_else_wrote_into_the_status_is_no_entry() -> None:
    """It is dropped, not stumbled over."""
    body = model_body() | {"status": {"breaker": [{"workload": "deployment/chat"}]}}
    assert judge(parse_model(body)).entries == ()


def test_the_status_stays_small() -> None:
    """The newest entries are kept."""
    pods = [stuck(f"p{n:03}", owner=("StatefulSet", f"s{n:03}")) for n in range(80)]
    assert len(judge(model(), *pods).entries) == MAX_BREAKERS
