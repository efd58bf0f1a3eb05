"""What an injection decided is what the controller goes by: who serves, and where a sidecar is."""

import json

import aiohttp
from aiohttp import web
from controller_world import FakeKube, injects, model_body, pod_body, summary

from sidelight_contract import names
from sidelight_contract.summary import decode_counted, encode_summary
from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.decision import Scene
from sidelight_operator.controller.models import parse_model, parse_time
from sidelight_operator.controller.pods import view_pod
from sidelight_operator.controller.survey import survey
from sidelight_operator.inject import NamespaceFacts
from sidelight_operator.kube import Json

LEADER = {"leaderworkerset.sigs.k8s.io/worker-index": "0"}
WORKER = {"leaderworkerset.sigs.k8s.io/worker-index": "1"}


async def test_pods_that_the_filter_leaves_out_do_not_count() -> None:
    """Of a LeaderWorkerSet's pods only the leader is selected: no worker is ever unobserved."""
    model = parse_model(model_body(engine={"podFilter": {"matchLabels": LEADER}}))
    kube = FakeKube()
    kube.pods = [pod_body("leader", labels=LEADER), pod_body("worker", "", labels=WORKER)]
    scene = Scene(model, [model], NamespaceFacts(), injects, parse_time("2026-11-24T12:00:00Z"))
    found = await survey(kube, scene)
    assert [pod.name for pod in found.pods] == ["leader"]


async def test_a_sidecar_is_asked_where_its_injection_put_it() -> None:
    """Beside a mesh it serves on another port, and the annotation says which."""
    app = web.Application()
    app.router.add_get("/summary", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told = view_pod(injected_with_port(runner.addresses[0][1]), []).injection.admin_port
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            collector = Collector(session, 4, timeout_seconds=5)
            found = await collector.collect("127.0.0.1", "t", told)
            assert found == decode_counted(encode_summary(summary(7)))
    finally:
        await runner.cleanup()


async def answer(_: web.Request) -> web.Response:
    return web.Response(body=encode_summary(summary(7)))


def injected_with_port(port: int) -> Json:
    """A pod whose annotation names another port than the usual one."""
    body = pod_body("chat-1")
    record = json.loads(body["metadata"]["annotations"][names.ANNOTATION_INJECTION])
    record["adminPort"] = port
    body["metadata"]["annotations"][names.ANNOTATION_INJECTION] = json.dumps(record)
    return body
