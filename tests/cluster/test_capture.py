"""Records in a real cluster: a real engine's streamed chat, masked, in files of its pod."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_client import ROOT, Cluster, CommandError, wait_until
from installed import SYSTEM, apply_model, condition, installed, relay_pids, until_asked

from sidelight_sidecar.coding import zstd

LLM = (ROOT / "examples/llm.yaml").read_text()
MODEL = yaml.safe_load((ROOT / "examples/capture-file.yaml").read_text())
SPEC = MODEL["spec"]
EXAMPLES = sorted((ROOT / "examples").glob("capture-*.yaml"))
MAIL = "ada.lovelace@example.org"
CARD = "4111 1111 1111 1111"
PROMPT = f"My address is {MAIL}, my card is {CARD}. Say my card."


@pytest.fixture(scope="module")
def sidelight(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, without consent to payloads that are not masked."""
    with installed(cluster):
        yield cluster


def model(cluster: Cluster, namespace: str, payloads: str) -> None:
    """The example, with everything kept."""
    capture = SPEC["capture"] | {"payloads": payloads, "keep": {"share": "1"}}
    apply_model(cluster, namespace, capture=capture, export=SPEC["export"])


def ask(address: str) -> dict[str, Any]:
    """One streamed chat; the engine's own count of its tokens."""
    connection = http.client.HTTPConnection(address, 80, timeout=60)
    body = {
        "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 8, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    response = connection.getresponse()
    assert response.status == 200
    events = [line[6:] for line in response.read().splitlines() if line.startswith(b"data: {")]
    connection.close()
    usage: dict[str, Any] = next(u for e in reversed(events) if (u := json.loads(e).get("usage")))
    return usage


def records(pod: str) -> list[dict[str, Any]]:
    """What is in the files of the pod: its node, which is this machine, has them."""
    (relay,) = relay_pids(pod)
    folder = Path(f"/proc/{relay}/root/var/lib/sidelight/records/files")
    try:
        files = [zstd.decompress(path.read_bytes()) for path in sorted(folder.glob("*.zst*"))]
    except zstd.ZstdError:  # the end of it is being written
        return []
    return [json.loads(line) for file in files for line in file.splitlines()]


def told(cluster: Cluster, namespace: str, kind: str) -> tuple[str, str]:
    found = condition(cluster, namespace, kind)
    return found.get("status", ""), found.get("reason", "")


def said_anywhere(cluster: Cluster, namespace: str, pod: str) -> str:
    """All that the sidecar and the operator have logged and written into the cluster."""
    kinds = "pods,events,observedmodels,configmaps,deployments"
    found = [
        cluster.kubectl("logs", pod, "--namespace", namespace, "--container", "sidelight"),
        cluster.kubectl("get", kinds, "--namespace", namespace, "--output", "yaml"),
        cluster.kubectl("get", "events", "--namespace", SYSTEM, "--output", "yaml"),
    ]
    for own in cluster.get("pods", "--namespace", SYSTEM)["items"]:
        name = own["metadata"]["name"]
        found.append(cluster.kubectl("logs", name, "--namespace", SYSTEM, "--all-containers"))
    return "\n".join(found)


def test_a_streamed_chat_is_in_a_file_of_its_pod_masked(sidelight: Cluster, namespace: str) -> None:
    """With the engine's tokens and the version; the conditions say so. Full without the chart's
    consent is said, and masked all the same. Nothing of the prompt is anywhere else.
    """
    model(sidelight, namespace, "Redacted")
    until_asked(sidelight, namespace)
    sidelight.apply(LLM, "--namespace", namespace)
    rollout = ("rollout", "status", "deployment/chat", "--namespace", namespace)
    sidelight.kubectl(*rollout, "--timeout", "90s")
    pods = sidelight.get("pods", "--namespace", namespace, "--selector", "app=chat")["items"]
    (pod,) = (one["metadata"]["name"] for one in pods)
    address = sidelight.get("service/chat", "--namespace", namespace)["spec"]["clusterIP"]

    usage = ask(address)
    (record,) = wait_until(lambda: records(pod), 20, "the record in its file")
    assert record["payloads"] == "Redacted"
    asked = record["request"]["content"]["messages"][0]["content"]
    assert asked == "My address is [EMAIL], my card is [CARD]. Say my card."
    assert record["response"]["content"]["choices"][0]["message"]["content"]
    assert record["findings"]["email"] == 1
    assert record["origin"]["version"] == "2026-11-01"
    assert (record["origin"]["namespace"], record["origin"]["pod"]) == (namespace, pod)
    tokens = record["tokens"]
    assert (tokens["source"], tokens["prompt"], tokens["output"]) == (
        "usage", usage["prompt_tokens"], usage["completion_tokens"],
    )  # fmt: skip
    for kind, reason in (("Captured", "PayloadsRedacted"), ("Exported", "RecordsDelivered")):
        wait_until(
            lambda kind=kind, reason=reason: told(sidelight, namespace, kind) == ("True", reason),
            60, f"{kind} {reason}",
        )  # fmt: skip

    model(sidelight, namespace, "Full")
    wait_until(
        lambda: told(sidelight, namespace, "Captured") == ("False", "FullNotAllowed"),
        60, "the missing consent in the status",
    )  # fmt: skip
    ask(address)
    both = wait_until(lambda: len(found := records(pod)) == 2 and found, 20, "a second record")
    assert [one["payloads"] for one in both] == ["Redacted", "Redacted"]
    for secret in (MAIL, CARD, "Say my card"):
        assert secret not in said_anywhere(sidelight, namespace, pod)
    for secret in (MAIL, CARD):
        assert secret not in json.dumps(both)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_api_server_takes_each_example(
    sidelight: Cluster, common_namespace: str, path: Path
) -> None:
    """With the rules of the schema that only it checks, and no field that it does not know."""
    strict = ("--dry-run=server", "--validate=strict")
    sidelight.apply(path.read_text(), "--namespace", common_namespace, *strict)


FOR_NOTHING = {"name": "a", "otlp": {"endpoint": "http://collector:4318", "records": False}}
METRICS_TO_LANGFUSE = {
    "name": "a",
    "otlp": {"endpoint": "https://x.example.org", "dialect": "Langfuse", "metrics": True},
}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"export": {"sinks": [{"name": "a"}]}}, "a sink must be exactly one of file"),
        (
            {"export": {"sinks": [{"name": "a", "file": {}}, {"name": "a", "file": {}}]}},
            "export.sinks has two of one name",
        ),
        (
            {"capture": {"redaction": {"without": ["names"]}}},
            "redaction.without names a detector that there is not",
        ),
        (
            {"capture": {"redaction": {"patterns": [{"name": "own-id", "pattern": "x"}]}}},
            "spec.capture.redaction.patterns",
        ),
        (
            {
                "export": {
                    "sinks": [{"name": "a", "file": {}, "secretRef": {"name": "db-password"}}]
                }
            },
            "secretRef.name",
        ),
        ({"export": {"sinks": [METRICS_TO_LANGFUSE]}}, "metrics are taken by Standard, Coralogix"),
        ({"export": {"sinks": [FOR_NOTHING]}}, "must be asked for metrics or for engineSpans"),
    ],
)
def test_capture_that_cannot_be_is_refused_with_a_sentence(
    sidelight: Cluster, common_namespace: str, spec: dict, says: str
) -> None:
    """Where it is written, not in every sidecar."""
    with pytest.raises(CommandError, match=says):
        sidelight.apply(
            MODEL | {"spec": {"selector": SPEC["selector"], **spec}},
            "--namespace", common_namespace, "--dry-run=server",
        )  # fmt: skip
