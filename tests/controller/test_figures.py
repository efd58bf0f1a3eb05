"""Figures of versions add up to the figures of all."""

from controller_world import pod_body, summary

from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.summary import Traffic
from sidelight_operator.controller.figures import Figures, traffic_status, version_statuses
from sidelight_operator.controller.pods import PodView, view_pod

SPEC = ObservedModelSpec.model_validate({"selector": {"matchLabels": {"app": "chat"}}})


def view(name: str, version: str) -> PodView:
    """A pod of a version."""
    labels = {"app.kubernetes.io/version": version}
    return view_pod(pod_body(name, labels=labels), SPEC.version.labels)


def test_the_whole_is_the_sum_of_its_versions() -> None:
    """Counts, rates and quantiles are those of all summaries added one by one."""
    answered = [
        (view("a", "one"), summary(10, errors={"server": 2})),
        (view("b", "one"), summary(20)),
        (view("c", "two"), summary(40)),
    ]
    versions, whole = version_statuses(answered)
    alone = Figures()
    for _, told in answered:
        alone.add(told)
    assert sorted(version.requests for version in versions) == [30, 40]
    assert traffic_status(whole) == traffic_status(alone)
    assert (whole.pods, whole.not_observed, whole.started_at, whole.served_models) == (
        alone.pods, alone.not_observed, alone.started_at, alone.served_models,
    )  # fmt: skip
    assert (whole.total, whole.window) == (alone.total, alone.window)
    assert whole.total.requests == 70
    assert whole.window.duration.count == 70


def test_a_tally_takes_counts_and_leaves_distributions() -> None:
    """With the distributions added it is the merge."""
    part = summary(10, errors={"server": 2}).total[0]
    part.abandoned.phases = {"decode": 3}
    part.abandoned.stop_time.add(0.5)
    counted, merged = (Traffic(model=part.model, operation=part.operation) for _ in range(2))
    counted.tally(part)
    merged.merge(part)
    assert merged == part
    assert not counted.duration.count
    assert not counted.abandoned.stop_time.count
    for name in ("time_to_first_token", "time_per_output_token", "inter_chunk_latency", "duration"):
        getattr(counted, name).merge(getattr(part, name))
    counted.abandoned.stop_time.merge(part.abandoned.stop_time)
    assert counted == part
