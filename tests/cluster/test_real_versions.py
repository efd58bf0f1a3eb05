"""Two versions behind one Service, both real llama.cpp servers in a real cluster: which requests
were slow and why, and that the new version is slower.

The new one is started with `--no-cache-prompt`, so it computes prompts anew that the old one knows.
"""

import asyncio
import copy
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest
import yaml
from cluster_client import PREFIX, ROOT, Cluster, run, wait_until
from installed import (
    SYSTEM,
    apply_model,
    condition,
    engine_pid,
    installed,
    plugin,
    status,
    until_asked,
)
from raw_chat import Chat, stop_in_the_midst

from sidelight_operator import __version__
from sidelight_operator.controller.breaker import Installed
from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.decision import planner
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.settings import parse_settings
from sidelight_operator.controller.summary_key import read_keys, tokens_of
from sidelight_operator.kube.api import connect

OLD, NEW = "2026-11-01", "2026-11-24"
EXAMPLE = ROOT / "examples/llm.yaml"
TALK = {
    "messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": 4,
    "temperature": 0, "ignore_eos": True, "stream_options": {"include_usage": True},
}  # fmt: skip
TRIES = 5


@dataclass(frozen=True)
class Served:
    """The Service's address, and each version's one pod: its name and its address."""

    address: str
    pods: dict[str, tuple[str, str]]

    def chat(self, version: str, words: str, tokens: int) -> Chat:
        """A chat with one version, past the Service."""
        return Chat((self.pods[version][1], 8080), words, tokens)

    def talk(self, requests: int) -> None:
        """So many requests to the Service, one after the other, each over a new connection."""
        for _ in range(requests):
            with closing(http.client.HTTPConnection(self.address, 80, timeout=60)) as connection:
                connection.request("POST", "/v1/chat/completions", json.dumps(TALK))
                response = connection.getresponse()
                assert response.status == 200
                response.read()


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, with short rounds."""
    with installed(cluster, "controller.intervalSeconds=2") as made:
        yield made


@pytest.fixture(scope="module")
def served(sidelight: Cluster, common_namespace: str) -> Served:
    """Both versions, observed and compared."""
    apply_model(sidelight, common_namespace)
    until_asked(sidelight, common_namespace)
    deployment, service = yaml.safe_load_all(EXAMPLE.read_text())
    sidelight.apply(service, "--namespace", common_namespace)
    for version, arguments in ((OLD, []), (NEW, ["--no-cache-prompt"])):
        body = versioned(deployment, version, arguments)
        sidelight.apply(body, "--namespace", common_namespace)
        what = f"deployment/{body['metadata']['name']}"
        sidelight.kubectl("rollout", "status", what, "-n", common_namespace, "--timeout", "90s")
    found = sidelight.get("pods", "--namespace", common_namespace, "--selector", "app=chat")
    pods = {
        pod["metadata"]["labels"]["app.kubernetes.io/version"]: (
            pod["metadata"]["name"],
            pod["status"]["podIP"],
        )
        for pod in found["items"]
    }
    address = sidelight.get("service/chat", "-n", common_namespace)["spec"]["clusterIP"]
    apply_model(sidelight, common_namespace, compare={})  # now: the first minute has both pods
    return Served(address, pods)


def versioned(deployment: dict[str, Any], version: str, arguments: list[str]) -> dict[str, Any]:
    """The example's Deployment as one of two."""
    made = copy.deepcopy(deployment)
    made["metadata"]["name"] = f"chat-{version}"
    template = made["spec"]["template"]
    template["metadata"]["labels"]["app.kubernetes.io/version"] = version
    made["spec"]["selector"]["matchLabels"] = template["metadata"]["labels"]
    template["spec"]["containers"][0]["args"] += arguments
    return made


def rows(cluster: Cluster, namespace: str, pod: str) -> dict[str, dict[str, Any]]:
    """What the status says of slow and failed requests of a pod, by cause."""
    told = status(cluster, namespace).get("autopsy", [])
    return {row["cause"]: row for row in told if row["pod"] == pod}


def test_status_and_command_say_why_requests_were_slow(
    sidelight: Cluster, common_namespace: str, served: Served
) -> None:
    """One pod gets more at once than it has slots; the other's engine stands still in the middle of
    an answer, and a client leaves it. Each is named by its pod, in the status and by the command.
    """
    (waiting, _), (standing, _) = served.pods[OLD], served.pods[NEW]

    def queued() -> bool:
        first = [served.chat(OLD, f"Count to {n}.", 150).until(1) for n in range(2)]
        last = [served.chat(OLD, f"Count from {n}.", 4) for n in range(2)]
        under_way = not any(chat.ended() for chat in first)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Chat.rest, [*first, *last]))
        return under_way

    def stalled() -> bool:
        chat = served.chat(NEW, "Count.", 24).until(4)
        under_way = stop_in_the_midst(engine_pid(standing), chat)
        chat.rest()
        return under_way

    assert any(queued() for _ in range(TRIES))
    assert any(stalled() for _ in range(TRIES))
    served.chat(NEW, "Count.", 500).until(3).socket.close()

    def named() -> bool:
        return "queued" in rows(sidelight, common_namespace, waiting) and {
            "upstream_stall",
            "client_left",
        } <= set(rows(sidelight, common_namespace, standing))

    wait_until(named, 60, "all three causes in the status")
    wanted = [
        rows(sidelight, common_namespace, pod)[cause]
        for pod, cause in (
            (waiting, "queued"),
            (standing, "upstream_stall"),
            (standing, "client_left"),
        )
    ]
    said = plugin(sidelight, "autopsy", "chat", "--namespace", common_namespace)
    alone = str(ROOT / ".venv/bin/sidelight")
    assert said == run(
        alone, "autopsy", "chat", "-n", common_namespace, KUBECONFIG=sidelight.kubeconfig
    )
    for row in wanted:
        assert f"{row['at']}  {row['pod']}  {row['duration']}  {row['cause']}\n" in said
        assert f"\n    {row['message']}\n" in said


def test_kubectl_waits_for_the_verdict_on_two_real_engines(
    sidelight: Cluster, common_namespace: str, served: Served
) -> None:
    """The installed controller's minute: counts, a difference, the reasons why it is not decided.
    A verdict takes a quarter of an hour of minutes; the rest of them pass by the test's clock, in a
    controller of its own that goes on from what stands in the status. What is measured is real.
    """

    def compared() -> dict[str, Any] | None:
        served.talk(1)
        time.sleep(5)  # some ten a minute, as later: a minute of many would outweigh the others
        found: dict[str, Any] = status(sidelight, common_namespace).get("compare", {})
        return found if found.get("figures") else None

    first = wait_until(compared, 150, "requests of both versions in the same minute")
    assert (first["baseline"], first["candidate"]) == (OLD, NEW)
    assert first["verdict"] == "NeedMoreData"
    assert first["baselineRequests"]
    assert first["candidateRequests"]
    said = condition(sidelight, common_namespace, "Verdict")
    assert (said["status"], said["reason"]) == ("Unknown", "NeedMoreData")
    assert "is not decided yet" in said["message"]

    deployment = ("deployment/sidelight-controller", "--namespace", SYSTEM)
    sidelight.kubectl("scale", *deployment, "--replicas", "0")
    try:
        wait_until(lambda: not controllers(sidelight), 60, "no controller")
        waiting = subprocess.Popen(
            [sidelight.program("kubectl"), "wait", "om/chat", "-n", common_namespace,
             "--for=condition=Verdict=False", "--timeout=240s"],
            env=sidelight.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            counted = asyncio.run(minutes(sidelight, common_namespace, served, waiting))
            printed, failed = waiting.communicate(timeout=30)
        finally:
            waiting.kill()
    finally:
        sidelight.kubectl("scale", *deployment, "--replicas", "1")
    assert waiting.returncode == 0, failed
    assert "condition met" in printed
    assert counted == sorted(counted)
    assert len(counted) > 10, "the verdict fell before there was evidence"
    found = status(sidelight, common_namespace)["compare"]
    assert found["verdict"] == "Rollback"
    # The prompt is in both times; on a busy machine either may be known for certain first.
    worse = ("time to first token is ", "duration is ")
    assert any(reason.startswith(worse) for reason in found["reasons"]), found["reasons"]
    lows = {f["name"]: f["low"].removesuffix(" %") for f in found["figures"] if f["low"]}
    surest = max(float(lows.get(name, "0")) for name in ("timeToFirstToken", "duration"))
    assert surest > 10, found["figures"]
    events = sidelight.get("events", "--namespace", common_namespace)["items"]
    assert "Rollback" in [event["reason"] for event in events]


def controllers(cluster: Cluster) -> list[dict[str, Any]]:
    """The pods of the installed controller."""
    selector = "app.kubernetes.io/component=controller"
    found = cluster.get("pods", "--namespace", SYSTEM, "--selector", selector)
    items: list[dict[str, Any]] = found["items"]
    return items


async def minutes(
    cluster: Cluster, namespace: str, served: Served, waiting: subprocess.Popen[str]
) -> list[int]:
    """Rounds a minute apart by the clock, with traffic between them, until kubectl has seen what it
    waits for; the candidate's matched requests after each.
    """
    now, counted = datetime.now(UTC), list[int]()
    image = f"{PREFIX}/sidelight-sidecar:dev"
    secret = cluster.get("secret/sidelight-summary-key", "--namespace", SYSTEM)
    keys = read_keys(secret)
    assert keys is not None
    async with connect(cluster.kubeconfig) as kube, aiohttp.ClientSession() as session:
        reconciler = Reconciler(
            kube, Collector(session, 8), planner(parse_settings(["--sidecar-image", image], {})),
            installed=Installed(__version__, image, now), clock=lambda: now,
            tokens=partial(tokens_of, keys),
        )  # fmt: skip
        while waiting.poll() is None and len(counted) < 60:
            await reconciler.round()
            compare = status(cluster, namespace)["compare"]
            counted.append(compare["candidateRequests"])
            await asyncio.to_thread(served.talk, 8)
            now += timedelta(minutes=1)
    return counted
