"""LimitRanges and quotas in the webhook: from events and lists, and never waited for."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from admission_world import DEADLINE_SECONDS, ApiServer, Webhook, webhook_process
from hypothesis import given
from hypothesis import strategies as st
from injection_world import SETTINGS, model, pod
from tls_world import new_authority, trusting, write_serving

from sidelight_operator.inject import NamespaceFacts, decide
from sidelight_operator.inject.bounds import KINDS, LIMIT_RANGES, QUOTAS, kept
from sidelight_operator.kube import Json
from sidelight_operator.webhook.bounds import Bounds, key_of
from sidelight_operator.webhook.view import ClusterView

LIMITS = "/api/v1/limitranges"


def limit_range(name: str = "small", **bounds: dict[str, str]) -> Json:
    """As the API server has it."""
    return {
        "metadata": {"name": name, "namespace": "ml", "uid": name, "resourceVersion": "2"},
        "spec": {"limits": [{"type": "Container", **bounds}, {"type": "Pod", "max": {"cpu": "9"}}]},
    }


def quota(name: str = "team", used: str = "1", **hard: str) -> Json:
    """As the API server has it, which writes to its status all the time."""
    return {
        "metadata": {"name": name, "namespace": "ml", "uid": name},
        "spec": {"hard": {key.replace("_", "."): value for key, value in hard.items()}},
        "status": {"used": {"pods": used}},
    }


def test_the_view_decides_as_sidelight_inject_does_with_the_whole_objects() -> None:
    """What is kept of them is enough; another namespace's are not counted."""
    view = ClusterView()
    ours = limit_range(min={"cpu": "200m"}, maxLimitRequestRatio={"cpu": "2"})
    demands = quota(limits_cpu="8", pods="9")
    view.bounds.event(None, LIMIT_RANGES, ours)
    view.bounds.event("ADDED", QUOTAS, demands)
    other = limit_range(max={"cpu": "1m"})
    other["metadata"]["namespace"] = "other"
    view.bounds.event(None, LIMIT_RANGES, other)
    offline = decide(pod(), NamespaceFacts({}, [ours], [demands]), [model()], SETTINGS)
    assert offline.patched is not None
    assert decide(pod(), view.facts_of("ml"), [model()], SETTINGS) == offline


def test_a_limit_range_that_comes_changes_and_goes() -> None:
    """Each in its event."""
    view = ClusterView()

    def reason() -> str:
        return decide(pod(), view.facts_of("ml"), [model()], SETTINGS).reason.value

    view.bounds.event("ADDED", LIMIT_RANGES, limit_range(max={"memory": "1Mi"}))
    assert reason() == "LimitsTooLow"
    view.bounds.event("MODIFIED", LIMIT_RANGES, limit_range(max={"memory": "1Gi"}))
    assert reason() == "Injected"
    view.bounds.event("MODIFIED", LIMIT_RANGES, limit_range(max={"memory": "1Mi"}))
    view.bounds.event("DELETED", LIMIT_RANGES, limit_range(max={"memory": "1Mi"}))
    assert reason() == "Injected"
    assert view.bounds.of("ml") == []


def test_little_is_kept_of_them() -> None:
    """Of most quotas nothing, however often their status changes; of a LimitRange the bounds for
    containers, of CPU and memory.
    """
    assert kept(QUOTAS, quota(used="7", pods="9", requests_cpu="4")) is None
    first, later = quota(used="7", limits_cpu="9"), quota(used="8", limits_cpu="8")
    assert kept(QUOTAS, first) == kept(QUOTAS, later) is not None
    storage = {"nvidia.com/gpu": "1", "ephemeral-storage": "1Gi"}
    assert kept(LIMIT_RANGES, limit_range(max=storage, defaultRequest={"cpu": "1"})) is None
    found = kept(LIMIT_RANGES, limit_range(max={"cpu": "2", **storage}))
    assert found is not None
    assert found["spec"] == {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}


NAMES = st.sampled_from("abc")
CPU = st.sampled_from(["1", "2", None])


@given(
    st.lists(st.tuples(st.sampled_from(["ADDED", "DELETED"]), NAMES, CPU)),
    st.dictionaries(NAMES, CPU),
    st.lists(st.tuples(st.sampled_from(["ADDED", "DELETED"]), NAMES, CPU)),
)
def test_a_list_puts_right_all_but_what_was_told_meanwhile(
    before: list[tuple[str, str, Any]],
    there: dict[str, Any],
    meanwhile: list[tuple[str, str, Any]],
) -> None:
    """Whatever the watch had told."""
    bounds = Bounds()

    def body(name: str, cpu: Any) -> Json:
        return limit_range(name, **({"max": {"cpu": cpu}} if cpu else {}))

    for change, name, cpu in before:
        bounds.event(change, LIMIT_RANGES, body(name, cpu))
    since = bounds.now
    expected = {name: kept(LIMIT_RANGES, body(name, cpu)) for name, cpu in there.items()}
    for change, name, cpu in meanwhile:
        bounds.event(change, LIMIT_RANGES, body(name, cpu))
        expected[name] = None if change == "DELETED" else kept(LIMIT_RANGES, body(name, cpu))
    listed = {
        key_of(LIMIT_RANGES, one): less
        for name, cpu in there.items()
        if (less := kept(LIMIT_RANGES, one := body(name, cpu))) is not None
    }
    bounds.put_right(listed, since)
    found = {one["metadata"]["name"]: one for _, one in bounds.of("ml")}
    assert found == {name: one for name, one in expected.items() if one is not None}


async def cpu_request(webhook: Webhook, context: Any) -> str | None:
    """Of the sidecar that a pod gets; None for one that gets none."""
    body = pod()
    body["metadata"]["namespace"] = "ml"
    answer = await webhook.ask(body, context)
    assert answer["allowed"], answer
    if "patch" not in answer:
        return None
    steps = json.loads(base64.b64decode(answer["patch"]))
    added = next(step for step in steps if step["path"] == "/spec/initContainers")["value"]
    (sidecar,) = [one for one in added if one["name"] == "sidelight"]
    return str(sidecar["resources"]["requests"]["cpu"])


async def until_asks(webhook: Webhook, context: Any, expected: str | None) -> None:
    """Return once the webhook decides so; the caller has the deadline."""
    while await cpu_request(webhook, context) != expected:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.05)


async def test_the_process_follows_a_limit_range(tmp_path: Path) -> None:
    """One that is there counts from the first pod on; what happens to it, at once."""
    authority = new_authority()
    write_serving(tmp_path, authority)
    context = trusting(authority)
    server = ApiServer()
    server.lists(LIMITS, limit_range(min={"cpu": "70m"}))
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        server.listen(),
        webhook_process(tmp_path, server) as webhook,
    ):
        assert await cpu_request(webhook, context) == "70m"
        server.tell(LIMITS, "MODIFIED", limit_range(max={"memory": "1Mi"}))
        await until_asks(webhook, context, None)
        server.tell(LIMITS, "DELETED", limit_range(max={"memory": "1Mi"}))
        await until_asks(webhook, context, "50m")
    assert server.writes == []


async def test_without_the_right_to_read_them_it_injects_and_says_so(tmp_path: Path) -> None:
    """Ready as ever; in the log, and in a metric."""
    authority = new_authority()
    write_serving(tmp_path, authority)
    server = ApiServer()
    server.forbidden = frozenset(KINDS)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        server.listen(),
        webhook_process(tmp_path, server) as webhook,
    ):
        assert await cpu_request(webhook, trusting(authority)) == "50m"
        async with webhook.client.get(f"http://127.0.0.1:{webhook.http_port}/metrics") as response:
            assert "sidelight_webhook_bounds_known 0.0" in (await response.text()).splitlines()
    assert webhook.log.read_text().count("bounds not read") == 1
