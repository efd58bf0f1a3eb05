"""Figures of versions add up to the figures of all."""

from dataclasses import replace

import pytest
from controller_world import pod_body, summary
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.identity import MAX_ADAPTERS
from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.status import MAX_VERSIONS
from sidelight_contract.summary import Summary, TokenCounts, Traffic
from sidelight_operator.controller.figures import Figures, inference, traffic_status
from sidelight_operator.controller.pods import PodView, view_pod
from sidelight_operator.controller.versions import MAX_NAMES, versions_of

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
    told = versions_of(answered)
    versions, whole = told.shown, told.whole
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


def with_adapters(**requests: int) -> Summary:
    """A sidecar whose base model had ten requests, and each adapter so many."""
    told = summary(10)
    for name, count in requests.items():
        other = summary(count, errors={"timeout": 1}).total[0]
        other.model = name
        other.finish_reasons, other.streamed = {"stop": count}, count
        told.total.append(other)
        told.window.append(other)
        told.sidecar.adapters[name] = "smollm2"
    return told


def test_an_adapter_is_a_version_of_its_own() -> None:
    """Its requests are not in its pods' version, but in the whole; what is of the pods, is both's;
    a pod without a request for it is none of its pods.
    """
    answered = [
        (view("a", "v1"), with_adapters(sql=4)),
        (view("b", "v1"), with_adapters()),
        (view("c", "v2"), with_adapters(sql=7)),
    ]
    told = versions_of(answered)
    found = {version.name: version for version in told.shown}
    assert {name: version.requests for name, version in found.items()} == {
        "v1": 20, "v1/sql": 4, "v2": 10, "v2/sql": 7,
    }  # fmt: skip
    assert {name: version.pods for name, version in found.items()} == {
        "v1": 2, "v1/sql": 1, "v2": 1, "v2/sql": 1,
    }  # fmt: skip
    assert [version.name for version in told.shown] == ["v1", "v1/sql", "v2", "v2/sql"]
    assert found["v1/sql"].errors == {"timeout": 1}
    assert found["v1"].errors == {}
    assert found["v1/sql"].identity.served_models == ["sql"]
    assert found["v1/sql"].identity.parent == "smollm2"
    assert found["v1"].identity.served_models == ["smollm2"]
    assert found["v1"].identity.parent == ""
    whole = told.whole
    assert (whole.pods, whole.total.requests, whole.window.requests) == (3, 41, 41)
    assert whole.window.duration.count == 41


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["v1", "v2", ""]),
            st.dictionaries(st.sampled_from(["a", "b/c", "d"]), st.integers(1, 5)),
            st.integers(0, 3),
        ),
        max_size=6,
    )
)
def test_the_whole_is_the_sum_whatever_is_an_adapter(
    pods: list[tuple[str, dict[str, int], int]],
) -> None:
    """Versions with all their adapters, and pods without a version, add up to everything."""
    answered = []
    for number, (version, adapters, lost) in enumerate(pods):
        told = with_adapters(**adapters)
        told.sidecar.requests_lost = lost
        answered.append((replace(view(f"p{number}", "x"), version=version), told))
    told_of, alone = versions_of(answered), Figures()
    for _, told in answered:
        alone.add(told)
    assert traffic_status(told_of.whole) == traffic_status(alone)
    assert (told_of.whole.total, told_of.whole.window) == (alone.total, alone.window)
    for name in ("pods", "not_observed", "observed", "lost", "started_at", "served_models"):
        assert getattr(told_of.whole, name) == getattr(alone, name)
    without = sum(part.requests for pod, told in answered if not pod.version
                  for part in inference(told.total))  # fmt: skip
    shown = sum(version.requests for version in told_of.shown)
    assert shown + without == alone.total.requests
    assert not any(version.name.startswith("/") for version in told_of.shown)


def test_a_sidecar_that_tells_no_adapters_is_read_as_before() -> None:
    """One of an older release: everything is its version's."""
    told = with_adapters(sql=4)
    told.sidecar.adapters = {}
    (version,) = versions_of([(view("a", "v1"), told)]).shown
    assert (version.name, version.requests) == ("v1", 14)
    assert version.identity.served_models == ["smollm2", "sql"]


def test_adapters_take_no_place_that_a_pods_version_needs() -> None:
    """However much they had; of the adapters those with the most requests are shown."""
    adapters = {f"a{number:02}": 50 + number for number in range(MAX_VERSIONS + 5)}
    answered = [
        (view("a", "v1"), with_adapters(**adapters)),
        (view("b", "v2"), summary(0)),
    ]
    told = versions_of(answered)
    assert len(told.shown) == MAX_VERSIONS
    shown = [version.name for version in told.shown]
    most = [f"v1/a{number:02}" for number in range(14, 14 - MAX_VERSIONS + 2, -1)]
    assert shown == ["v1", *most, "v2"]
    assert len(told.names) == len(adapters) + 2


def test_a_version_has_everything_that_was_counted() -> None:
    """Finish reasons, streams, empty answers, answers without usage, clients that left."""
    told = summary(10, requests_lost=2, flows_unparsed=3)
    part = told.total[0]
    part.streamed, part.empty, part.usage_missing = 7, 1, 2
    part.finish_reasons = {"stop": 6, "length": 3}
    part.tokens.cached_prompt, part.tokens.reasoning = 11, 12
    part.abandoned.phases = {"decode": 2, "queued": 1}
    part.abandoned.tokens = TokenCounts(prompt=9, output=4, estimated_output=5)
    part.abandoned.engine_stopped = 1
    (version,) = versions_of([(view("a", "v1"), told)]).shown
    assert (version.streamed, version.empty, version.without_usage) == (7, 1, 2)
    assert version.finish_reasons == {"length": 3, "stop": 6}
    assert (version.tokens.cached_prompt, version.tokens.reasoning) == (11, 12)
    assert version.abandoned is not None
    assert version.abandoned.requests == 3
    assert version.abandoned.phases == {"decode": 2, "queued": 1}
    assert version.abandoned.engine_stopped == 1
    assert version.abandoned.tokens.prompt == 9
    assert version.abandoned.tokens.estimated_output == 5
    assert (version.coverage, version.requests_lost) == ("83.33%", 2)
    assert version.connections_not_observed == 6


@pytest.mark.parametrize(
    ("requests", "lost", "shown"),
    [(10, 0, "100%"), (0, 0, ""), (0, 4, "0%"), (100_000, 1, "99.99%"), (2, 1, "66.66%")],
)
def test_coverage_is_rounded_down(requests: int, lost: int, shown: str) -> None:
    """100% is said only where nothing was lost; nothing at all is no share."""
    told = summary(0, requests_lost=lost)
    told.total[0].requests = requests
    (version,) = versions_of([(view("a", "v1"), told)]).shown
    assert version.coverage == shown


def test_names_in_a_status_are_few_whatever_a_sidecar_tells() -> None:
    """The rest is one; the sum stays."""
    errors = {f"e{number}": number for number in range(100)}
    told = summary(10, errors=errors)
    (version,) = versions_of([(view("a", "v1"), told)]).shown
    assert len(version.errors) == MAX_NAMES
    assert sum(version.errors.values()) == sum(errors.values())
    assert version.errors["e99"] == 99


def test_no_sidecar_tells_more_adapters_than_the_bound() -> None:
    """The rest is its pod's version's, as in the sidecar itself."""
    told = with_adapters(**{f"a{number}": 1 for number in range(3 * MAX_ADAPTERS)})
    found = versions_of([(view("a", "v1"), told)])
    assert len(found.names) == 1 + MAX_ADAPTERS
    assert found.shown[0].requests == 10 + 2 * MAX_ADAPTERS
