"""What the sidecar gets for reading GPUs' driver: the engine's claim, or by consent all devices."""

import copy
import json
from typing import Any

import pytest
from any_pod import any_namespace, any_pod
from hypothesis import given, settings
from hypothesis import strategies as st
from injection_world import RESTRICTED, SETTINGS, engine, judge, model, pod

from sidelight_contract.injection import decode_record
from sidelight_contract.names import (
    ANNOTATION_INJECTION,
    CLAIM_OF_MANY,
    GPU_CLAIM_VARIABLE,
    GPU_UUIDS_VARIABLE,
    Reason,
)
from sidelight_operator.attach.decision import decide_tap, tapping
from sidelight_operator.inject import (
    Decision,
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)
from sidelight_operator.inject.gpu import asks_for_gpu

Json = dict[str, Any]
NVML = {"source": "NVML"}
UNSAFE = {"source": "NVML", "nvml": {"unsafeVisibleAll": True}}
CONSENT = InjectionSettings(SETTINGS.sidecar_image, allow_unsafe_visible_all=True)
CLAIM = [{"name": "gpus", "resourceClaimTemplateName": "gpu"}]
PLUGIN = {"limits": {"nvidia.com/gpu": "1"}}
UUID = "GPU-5ba1e000-0000-4000-8000-000000000001"
MIG = "MIG-5ba1e000-0000-5000-8000-000000000002"


def claimed(*claims: Json, **spec: Any) -> Json:
    """A pod whose engine has these claims."""
    return pod(engine(resources={"claims": list(claims)}), resourceClaims=CLAIM, **spec)


def decided(
    body: Json, gpu: Json, by: InjectionSettings = CONSENT, namespace: Json | None = None
) -> Decision:
    return decide(body, NamespaceFacts(namespace or {}), [model(gpu=gpu)], by)


def patched(decision: Decision) -> Json:
    assert decision.patched is not None, decision.message
    return decision.patched


def sidecar_of(decision: Decision) -> Json:
    (found,) = [one for one in patched(decision)["spec"]["initContainers"]
                if one["name"] == "sidelight"]  # fmt: skip
    return dict(found)


def environment(container: Json) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def recorded(decision: Decision) -> tuple[str, str]:
    annotation = patched(decision)["metadata"]["annotations"][ANNOTATION_INJECTION]
    record = decode_record(annotation)
    assert record is not None
    assert (record.gpu, record.gpu_message) == (decision.gpu, decision.gpu_message)
    return record.gpu, record.gpu_message


@pytest.mark.parametrize("source", ["Auto", "DCGM", "AMD", "None"])
def test_no_other_source_changes_the_pod(source: str) -> None:
    """Not even of a pod with claims: exporters cost it nothing."""
    body = claimed({"name": "gpus"})
    plain = decide(body, NamespaceFacts(), [model()], CONSENT)
    assert decided(body, {"source": source}).patched == plain.patched
    assert environment(sidecar_of(plain))["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert recorded(plain) == ("", "")


def test_the_engines_claim_is_shared_and_memory_is_added() -> None:
    """The same entries, requests and all; nothing else of the pod is another."""
    body = claimed({"name": "gpus", "request": "first"})
    plain, asked = decided(body, {}), decided(body, NVML)
    theirs, ours = sidecar_of(plain), sidecar_of(asked)
    assert ours["resources"].pop("claims") == [{"name": "gpus", "request": "first"}]
    assert theirs["resources"].pop("limits") == {"memory": "384Mi"}
    assert ours["resources"].pop("limits") == {"memory": "448Mi"}
    assert theirs["resources"].pop("requests") == {"cpu": "50m", "memory": "96Mi"}
    assert ours["resources"].pop("requests") == {"cpu": "50m", "memory": "160Mi"}
    assert ours["env"].pop() == {"name": GPU_CLAIM_VARIABLE, "value": "shared"}
    assert ours == theirs
    assert recorded(asked) == ("", "device claim gpus is shared")
    assert recorded(plain) == ("", "")


def test_a_claim_that_other_pods_may_have_is_told_apart() -> None:
    """One by name is no pod's own: its devices' joules are not this pod's alone."""
    for entry, value in (
        (CLAIM[0], "shared"), ({"name": "gpus", "resourceClaimName": "one-for-all"}, CLAIM_OF_MANY),
    ):  # fmt: skip
        body = pod(engine(resources={"claims": [{"name": "gpus"}]}),
                   resourceClaims=[entry, {"name": "nic", "resourceClaimName": "x"}])  # fmt: skip
        assert environment(sidecar_of(decided(body, NVML)))[GPU_CLAIM_VARIABLE] == value


@pytest.mark.parametrize(
    ("claim", "engines", "shared"),
    [
        ("gpus", [{"name": "gpus", "request": "a"}], [{"name": "gpus", "request": "a"}]),
        ("gpus", [], [{"name": "gpus"}]),
        ("gpus", [{"name": "nic"}, {"name": "gpus"}], [{"name": "gpus"}]),
        ("other", [{"name": "gpus"}], None),
        ("", [{"name": "never-defined"}], None),
    ],
)
def test_a_claim_that_is_named_is_the_only_one(
    claim: str, engines: list[Json], shared: list[Json] | None
) -> None:
    """The engine's entries of it, else the whole; what the pod has not is never asked for: the API
    server would refuse the pod.
    """
    decision = decided(claimed(*engines), {"source": "NVML", "nvml": {"claim": claim}})
    assert sidecar_of(decision)["resources"].get("claims") == shared
    reason, message = recorded(decision)
    assert reason == ("" if shared else Reason.NO_DEVICE_CLAIM)
    assert message


def test_without_a_claim_the_pod_is_injected_and_the_record_says_why_nothing_is_read() -> None:
    """A device of the device plugin cannot be shared, and none is taken."""
    body = pod(engine(resources={"limits": {"nvidia.com/gpu": 4}}))
    decision = decided(body, NVML)
    sidecar = sidecar_of(decision)
    assert "nvidia.com" not in json.dumps(sidecar)
    assert "claims" not in sidecar["resources"]
    assert environment(sidecar)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert recorded(decision)[0] == Reason.NO_DEVICE_CLAIM


def test_all_devices_take_the_installations_consent() -> None:
    """The resource alone gets what it would get without asking, and the record says so."""
    body = pod(engine(resources=PLUGIN), runtimeClassName="nvidia")
    refused = decided(body, UNSAFE, by=SETTINGS)
    assert sidecar_of(refused) == sidecar_of(decided(body, NVML, by=SETTINGS))
    assert recorded(refused)[0] == Reason.VISIBLE_ALL_NOT_ALLOWED
    allowed = decided(body, UNSAFE)
    found = environment(sidecar_of(allowed))
    assert (found["NVIDIA_VISIBLE_DEVICES"], found["NVIDIA_DRIVER_CAPABILITIES"]) == (
        "all", "utility",
    )  # fmt: skip
    assert GPU_UUIDS_VARIABLE not in found
    assert recorded(allowed) == ("", "the sidecar may see every GPU of the node, by "
                                     "runtimeClassName nvidia")  # fmt: skip


def test_a_pod_without_a_gpu_is_not_shown_those_of_others() -> None:
    """On a node with a single device that would pass for the pod's."""
    decision = decided(pod(engine(), runtimeClassName="nvidia"), UNSAFE)
    found = environment(sidecar_of(decision))
    assert found["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_DRIVER_CAPABILITIES" not in found
    assert recorded(decision) == ("", "the pod asks for no GPU, so its sidecar sees none")


@pytest.mark.parametrize("runtime", [None, "nvidia", "kata"])
def test_the_pods_runtime_class_and_other_containers_stay_as_they_are(runtime: str | None) -> None:
    """It is the whole pod's: with it, images of CUDA would gain every device of the node."""
    spec = {"runtimeClassName": runtime} if runtime else {}
    cuda = {"name": "helper", "image": "nvidia/cuda:13.0.1-base-ubuntu24.04"}
    body = pod(engine(resources=PLUGIN), cuda, **spec)
    after = patched(decided(body, UNSAFE))
    assert after["spec"].get("runtimeClassName") == runtime
    plain = patched(decided(body, {}))
    assert after["spec"]["containers"] == plain["spec"]["containers"]
    others = [one for one in after["spec"]["initContainers"] if one["name"] != "sidelight"]
    for other in others:
        assert environment(other)["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_claim_is_shared_rather_than_all_devices_shown() -> None:
    """Also where both are allowed."""
    sidecar = sidecar_of(decided(claimed({"name": "gpus"}), UNSAFE))
    assert sidecar["resources"]["claims"] == [{"name": "gpus"}]
    assert environment(sidecar)["NVIDIA_VISIBLE_DEVICES"] == "void"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (UUID, UUID), (f"{UUID},{MIG}", f"{UUID},{MIG}"), (f" {UUID} , {MIG}", f"{UUID},{MIG}"),
        ("all", None), ("0,1", None), ("void", None), ("", None), (f"{UUID},0", None),
        (f"{UUID};rm", None),
    ],
)  # fmt: skip
def test_uuids_of_the_engines_environment_are_told(value: str, told: str | None) -> None:
    """All of them are, or none: a list that is known in part would leave devices out."""
    env = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": value}]
    body = pod(engine(env=env, resources=PLUGIN))
    found = environment(sidecar_of(decided(body, UNSAFE)))
    assert found.get(GPU_UUIDS_VARIABLE) == told


def test_a_bound_of_the_namespace_leaves_the_claim() -> None:
    """Limits that are fitted to a LimitRange are not all that the sidecar has."""
    bounds = {"metadata": {"name": "b"}, "spec": {"limits": [
        {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "256Mi"}}
    ]}}  # fmt: skip
    facts = NamespaceFacts({}, limit_ranges=[bounds])
    decision = decide(claimed({"name": "gpus"}), facts, [model(gpu=NVML)], SETTINGS)
    resources = sidecar_of(decision)["resources"]
    assert resources["claims"] == [{"name": "gpus"}]
    assert resources["requests"]["memory"] == "256Mi"


def test_a_tap_in_a_running_pod_shares_nothing_and_says_so() -> None:
    """An ephemeral container has no resources."""
    asked = model(gpu=NVML)
    view = ObservedModelView(asked.name, tapping(asked.spec))
    record = decide_tap(
        claimed({"name": "gpus"}), lambda body: decide(body, NamespaceFacts(), [view], SETTINGS)
    )
    assert record.gpu == Reason.NO_DEVICE_CLAIM
    assert "running pod" in record.gpu_message


_CLAIMS = st.sampled_from(
    [None, {}, {"claims": []}, {"claims": [{"name": "gpus"}]}, {"claims": [{"name": "x"}]},
     {"claims": [{"name": "gpus", "request": "a"}], "limits": {"nvidia.com/gpu": "1"}}]
)  # fmt: skip


@settings(max_examples=60)
@given(any_pod(), any_namespace, st.sampled_from([NVML, UNSAFE]), st.data())
def test_any_pod_twice_is_once_and_never_gets_a_device(
    body: Json, namespace: Any, gpu: Json, data: st.DataObject
) -> None:
    """Whatever its containers claim."""
    for container in body["spec"].get("containers") or ():
        container["resources"] = data.draw(_CLAIMS)
    body["spec"]["resourceClaims"] = data.draw(st.sampled_from([None, [], CLAIM]))
    before, facts = copy.deepcopy(body), NamespaceFacts(namespace)
    view = model(gpu=gpu)
    once = decide(body, facts, [view], CONSENT)
    assert body == before
    if once.patched is None:
        return
    assert decide(once.patched, facts, [view], CONSENT).patched == once.patched
    resources = sidecar_of(once)["resources"] if SETTINGS.native_sidecar else {}
    assert "nvidia.com/gpu" not in json.dumps(resources)
    defined = {claim["name"] for claim in body["spec"]["resourceClaims"] or ()}
    assert {claim["name"] for claim in resources.get("claims", ())} <= defined


@pytest.mark.parametrize(
    ("resources", "asks"),
    [
        ({}, False), (None, False), ({"limits": {"cpu": "1", "memory": "1Gi"}}, False),
        ({"limits": {"nvidia.com/gpu": "1"}}, True), ({"limits": {"nvidia.com/gpu": 0}}, False),
        ({"limits": {"nvidia.com/mig-1g.10gb": 1}}, True), ({"limits": {"amd.com/gpu": 1}}, True),
        ({"limits": {"volcano.sh/vgpu-number": 1}}, True), ({"claims": [{"name": "g"}]}, True),
        ({"limits": {"rdma/hca": 1}}, False), ({"limits": {"gpu": 1}}, False),
    ],
)  # fmt: skip
def test_who_asks_for_a_gpu(resources: Json | None, asks: bool) -> None:
    """By a device plugin's resource, whole, in part or shared, or by a claim."""
    body = pod(engine(resources=resources))
    assert asks_for_gpu(body["spec"], body["spec"]["containers"][0]) is asks


@pytest.mark.parametrize(
    ("value", "asks"), [("all", True), (UUID, True), ("void", False), ("none", False), ("", False)]
)
def test_past_the_scheduler_the_engines_variable_tells(value: str, asks: bool) -> None:
    """It is how a GPU is had without asking for it."""
    body = pod(engine(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": value}]))
    assert asks_for_gpu(body["spec"], body["spec"]["containers"][0]) is asks


def test_the_sidecars_own_claim_is_not_the_pods_asking() -> None:
    """A pod that is asked about later has the sidecar in it."""
    after = patched(judge(pod(engine()), namespace=RESTRICTED))
    (sidecar,) = (one for one in after["spec"]["initContainers"] if one["name"] == "sidelight")
    sidecar["resources"]["claims"] = [{"name": "gpus"}]
    assert not asks_for_gpu(after["spec"], after["spec"]["containers"][0])
