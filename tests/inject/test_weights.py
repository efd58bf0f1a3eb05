"""Where an engine's model is, and which mount the sidecar gets to read it: asked for, or not."""

import copy
import json
from typing import Any

import pytest
from any_pod import any_namespace, any_pod, any_spec
from hypothesis import given, settings
from hypothesis import strategies as st
from injection_world import SETTINGS, engine, judge, model, pod

from sidelight_contract.injection import decode_record
from sidelight_contract.names import ANNOTATION_INJECTION, WEIGHTS_VARIABLE
from sidelight_contract.weights import WeightsPlan, decode_plan
from sidelight_operator.inject import NamespaceFacts, decide
from sidelight_operator.inject.tap import ephemeral_tap

Json = dict[str, Any]
ASKS = model(version={"readWeights": True})
PVC = {"name": "models", "persistentVolumeClaim": {"claimName": "models"}}
HUB = "models--org--name"


def vllm(*arguments: str, **changes: Any) -> Json:
    return engine(
        **{
            "image": "vllm/vllm-openai:v1", "command": ["vllm", "serve"],
            "args": [*arguments, "--port", "8080"], **changes,
        }
    )  # fmt: skip


def mounted(folder: str, **more: Any) -> Json:
    return {"name": "models", "mountPath": folder, **more}


def sidecar_of(body: Json) -> Json:
    found = [
        one
        for key in ("initContainers", "containers")
        for one in body["spec"].get(key) or ()
        if one["name"] == "sidelight"
    ]
    return found[0]


def plan_of(body: Json) -> WeightsPlan | None:
    values = [e["value"] for e in sidecar_of(body)["env"] if e["name"] == WEIGHTS_VARIABLE]
    return decode_plan(values[0]) if values else None


def told(container: Json, folder: str = "/models", *volumes: Json, **spec: Any) -> WeightsPlan:
    """What the sidecar is told of a container with a mount at `folder`."""
    body = pod(
        {**container, "volumeMounts": [mounted(folder)]}, volumes=list(volumes) or [PVC], **spec
    )
    decision = judge(body, ASKS)
    assert decision.patched is not None, decision.message
    plan = plan_of(decision.patched)
    assert plan is not None
    record = decode_record(decision.patched["metadata"]["annotations"][ANNOTATION_INJECTION])
    assert record is not None
    assert record.weights == plan.state == decision.weights
    assert record.weights_message
    return plan


def test_unasked_nothing_of_the_pod_is_read() -> None:
    """The default: no mount, no variable, no word in the record."""
    body = pod(vllm("--model", "/models/a", volumeMounts=[mounted("/models")]), volumes=[PVC])
    patched = judge(body).patched
    assert patched is not None
    assert plan_of(patched) is None
    names = [mount["name"] for mount in sidecar_of(patched)["volumeMounts"]]
    assert names == ["sidelight-config", "sidelight-config"]
    assert "weights" not in json.loads(patched["metadata"]["annotations"][ANNOTATION_INJECTION])


def test_the_sidecar_gets_the_engines_mount_read_only_and_nothing_else_changes() -> None:
    """The same volume and subPath at our own path; no propagation; the engine stays as it was."""
    mount = mounted("/models", subPath="llama", mountPropagation="HostToContainer")
    body = pod(vllm("--model=/models/chat/v2", volumeMounts=[mount]), volumes=[PVC])
    plain, asked = judge(body).patched, judge(body, ASKS).patched
    assert plain is not None
    assert asked is not None
    sidecar = sidecar_of(asked)
    assert sidecar["volumeMounts"].pop() == {
        "name": "models", "mountPath": "/sidelight/weights", "readOnly": True, "subPath": "llama",
    }  # fmt: skip
    assert json.loads(sidecar["env"].pop()["value"]) == {"paths": ["/sidelight/weights/chat/v2"]}
    for one in (plain, asked):
        del one["metadata"]["annotations"]
    assert asked == plain


HF = [{"name": "HF_HOME", "value": "/models/hf"}]
LLAMA: Json = {"image": "example/any:1", "command": ["llama-server"]}
OLLAMA: Json = {"image": "ollama/ollama:1", "command": ["ollama", "serve"], "args": [], "ports": []}
TGI = "ghcr.io/huggingface/text-generation-inference:3"
SCRIPT = ["sh", "-c", "export HF_HOME=/models\nexec vllm serve org/name --port 8080"]


@pytest.mark.parametrize(
    ("container", "paths", "revision"),
    [
        (vllm("/models/a"), ["a"], ""),
        (vllm("/models/"), [""], ""),
        (vllm("--model", "/models/a/../a"), None, ""),
        (vllm("org/name", env=HF), [f"hf/hub/{HUB}"], ""),
        (vllm("org/name", "--download-dir", "/models/d"), [f"d/{HUB}"], ""),
        (vllm("org/name", "--revision=v2", env=HF), [f"hf/hub/{HUB}"], "v2"),
        (
            vllm("org/name", env=[*HF, {"name": "HF_HUB_CACHE", "value": "/models/hub"}]),
            [f"hub/{HUB}"], "",
        ),
        (vllm(command=SCRIPT, args=None), [f"hub/{HUB}"], ""),
        (engine(**LLAMA, args=["-m", "/models/a.gguf", "--port", "8080"]), ["a.gguf"], ""),
        (
            engine(
                **LLAMA, args=["--port", "8080"],
                env=[{"name": "LLAMA_ARG_MODEL", "value": "/models/b.gguf"}],
            ),
            ["b.gguf"], "",
        ),
        (
            engine(**LLAMA, args=["-m", "a.gguf", "--port", "8080"], workingDir="/models/x"),
            ["x/a.gguf"], "",
        ),
        (
            engine(
                image="lmsysorg/sglang:1",
                command=["python3", "-m", "sglang.launch_server", "--model-path", "/models/q"],
                args=["--host", "0.0.0.0", "--port", "8080"],
            ),
            ["q"], "",
        ),
        (
            engine(
                image="nvcr.io/nvidia/tritonserver:1", command=["tritonserver"],
                args=["--model-repository=/models/repo", "--http-port=8080"],
            ),
            ["repo"], "",
        ),
        (
            engine(
                image="nvcr.io/nvidia/tensorrt-llm/release:1", command=["trtllm-serve"],
                args=["serve", "/models/e", "--host", "0.0.0.0", "--port", "8080"],
            ),
            ["e"], "",
        ),
        (
            engine(**{**OLLAMA, "env": [{"name": "OLLAMA_MODELS", "value": "/models/o"}]}),
            ["o"], "",
        ),
        (
            engine(
                image=TGI, command=None, args=["--port", "8080"],
                env=[
                    {"name": "MODEL_ID", "value": "org/name"}, {"name": "REVISION", "value": "r"},
                    {"name": "HUGGINGFACE_HUB_CACHE", "value": "/models"},
                ],
            ),
            [HUB], "r",
        ),
        (
            engine(
                image="kserve/huggingfaceserver:1", command=None,
                args=["--model_name=x", "--model_dir=/models", "--http_port=8080"],
            ),
            [""], "",
        ),
    ],
)  # fmt: skip
def test_where_the_model_is(container: Json, paths: list[str] | None, revision: str) -> None:
    """As each engine is told; below the mount at /models."""
    plan = told(container)
    if paths is None:
        assert plan.state == "path_unknown"
        return
    whole = [f"/sidelight/weights/{path}".rstrip("/") for path in paths]
    assert (plan.state, plan.paths, plan.revision) == ("", whole, revision)


@pytest.mark.parametrize(
    ("container", "folder", "paths"),
    [
        (vllm("org/name"), "/root/.cache/huggingface", [f"hub/{HUB}"]),
        (
            vllm("org/name", env=[{"name": "HOME", "value": "/home/v"}]),
            "/home/v/.cache", [f"huggingface/hub/{HUB}"],
        ),
        (engine(**OLLAMA), "/root/.ollama", ["models"]),
        (
            engine(image=TGI, command=None, args=["--model-id", "org/name", "--port", "8080"]),
            "/data", [HUB, f"hub/{HUB}"],
        ),
        (
            engine(
                image="nvcr.io/nim/meta/a:1", command=None, args=None,
                env=[{"name": "NIM_SERVER_PORT", "value": "8080"}],
            ),
            "/opt/nim/.cache", ["ngc/hub", "huggingface/hub"],
        ),
    ],
)  # fmt: skip
def test_where_it_is_when_nothing_says_otherwise(
    container: Json, folder: str, paths: list[str]
) -> None:
    """The usual caches: a volume that is mounted there is for them."""
    plan = told(container, folder)
    assert plan.paths == [f"/sidelight/weights/{path}" for path in paths]


SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}
MORE = [{"configMapRef": {"name": "more"}}]


@pytest.mark.parametrize(
    "container",
    [
        vllm("$(MODEL)", env=[{"name": "MODEL", "valueFrom": SECRET}]),
        vllm("org/name", env=[{"name": "HF_HOME", "valueFrom": SECRET}]),
        vllm("org/name", envFrom=MORE),
        vllm("org/name", "--config", "/etc/vllm.yaml"),
        vllm("org/name", env=[*HF, {"name": "VLLM_USE_MODELSCOPE", "value": "1"}]),
        vllm("org/name", securityContext={"runAsUser": 1000}),
        vllm("s3://bucket/model"),
        vllm("model"),
        vllm("/models/a", "--model", "/models/b"),
        vllm("--served-model-name", "a"),
        vllm(command=["sh", "-c", "vllm serve ${M:-/models/a} --port 8080"], args=None),
        vllm(command=["sh", "-c", "vllm serve --port 8080 $MORE"], args=None, envFrom=MORE),
        engine(
            image="nvcr.io/nvidia/tritonserver:1", command=["tritonserver"],
            args=[f"--model-repository=/models/{one}" for one in "ab"], ports=[],
        ),
        engine(image="deepset/hayhooks:1", command=["hayhooks", "run"], args=["--port", "8080"]),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_not_guessed(container: Json) -> None:
    """The pod is injected, nothing is mounted, and the record says why."""
    assert told(container) == WeightsPlan(state="path_unknown")


@pytest.mark.parametrize(
    ("volume", "allowed"),
    [
        ({"persistentVolumeClaim": {"claimName": "c"}}, True),
        ({"ephemeral": {"volumeClaimTemplate": {}}}, True),
        ({"emptyDir": {}}, True),
        ({}, True),  # the API server makes it an emptyDir
        ({"image": {"reference": "example/model:1"}}, True),
        ({"nfs": {"server": "n", "path": "/"}}, True),
        ({"secret": {"secretName": "s"}}, False),
        ({"configMap": {"name": "c"}}, False),
        ({"projected": {"sources": []}}, False),
        ({"downwardAPI": {"items": []}}, False),
        ({"csi": {"driver": "gcsfuse.csi.storage.gke.io"}}, False),
        ({"hostPath": {"path": "/mnt/models"}}, False),
        ({"fc": {}}, False),
    ],
)
def test_which_volumes_are_mounted_a_second_time(volume: Json, allowed: bool) -> None:
    """Those of files, and not those with secrets, of the node, or with a driver of their own."""
    plan = told(vllm("/models/a"), "/models", {"name": "models", **volume})
    assert plan.state == ("" if allowed else "volume_left_alone")
    assert bool(plan.paths) is allowed


INIT = {"name": "fetch", "image": "fetch:1", "volumeMounts": [mounted("/into")]}


@pytest.mark.parametrize(
    ("changes", "mount", "state"),
    [
        ({}, mounted("/models", subPathExpr="$(POD)"), "volume_left_alone"),
        ({"initContainers": [INIT]}, mounted("/models", subPath="a"), "volume_left_alone"),
        ({"initContainers": [INIT]}, mounted("/models"), ""),
        ({}, mounted("/models", subPath="a"), ""),
        (
            {"initContainers": [
                {**INIT, "volumeMounts": [mounted("/x", mountPropagation="Bidirectional")]}
            ]},
            mounted("/models"), "volume_left_alone",
        ),
        ({"volumes": []}, mounted("/models"), "volume_left_alone"),
        ({}, mounted("/modelsx"), "not_on_volume"),
        ({}, mounted("/elsewhere"), "not_on_volume"),
        ({}, mounted("/models/a/adapters"), "volume_left_alone"),
    ],
)  # fmt: skip
def test_mounts_that_could_hold_up_a_pod_are_not_made(
    changes: Json, mount: Json, state: str
) -> None:
    """What an init container is to make, what another container serves, what is in two volumes."""
    body = pod(
        vllm("/models/a", volumeMounts=[mount]),
        **{"volumes": [PVC], "initContainers": [], **changes},
    )
    decision = judge(body, ASKS)
    assert decision.patched is not None
    plan = plan_of(decision.patched)
    assert plan is not None
    assert plan.state == state


def test_the_deepest_mount_counts() -> None:
    """A volume inside another volume's mount hides what is there."""
    other = {"name": "other", "emptyDir": {}}
    mounts = [mounted("/models"), {"name": "other", "mountPath": "/models/a"}]
    body = pod(vllm("/models/a/b", volumeMounts=mounts), volumes=[PVC, other])
    patched = judge(body, ASKS).patched
    assert patched is not None
    assert sidecar_of(patched)["volumeMounts"][-1]["name"] == "other"
    assert plan_of(patched) == WeightsPlan(["/sidelight/weights/b"])


def test_an_engine_with_selinux_options_of_its_own_keeps_its_volume_for_itself() -> None:
    """With two labels for one volume the kubelet may not start the pod; one for all is fine."""
    own = {"seLinuxOptions": {"level": "s0:c1,c2"}}
    assert told(vllm("/models/a", securityContext=own)).state == "volume_left_alone"
    assert not told(vllm("/models/a", securityContext=own), securityContext=own).state


def test_a_pod_with_a_fuse_daemon_to_come_is_left_alone() -> None:
    """GKE's sidecar for Cloud Storage starts after ours, and would never start."""
    body = pod(vllm("/models/a", volumeMounts=[mounted("/models")]), volumes=[PVC])
    body["metadata"]["annotations"] = {"gke-gcsfuse/volumes": "true"}
    assert judge(body, ASKS).weights == "volume_left_alone"


def test_a_tap_in_a_new_pod_reads_and_one_in_a_running_pod_says_that_it_does_not() -> None:
    """An ephemeral container gets no mount, and its word is `attached`."""
    body = pod(vllm("/models/a", volumeMounts=[mounted("/models")]), volumes=[PVC])
    view = model(version={"readWeights": True}, interception={"mode": "Tap"})
    patched = decide(body, NamespaceFacts(), [view], SETTINGS).patched
    assert patched is not None
    assert plan_of(patched) == WeightsPlan(["/sidelight/weights/a"])
    record = decode_record(patched["metadata"]["annotations"][ANNOTATION_INJECTION])
    assert record is not None
    record.weights = "attached"
    tap = ephemeral_tap(
        SETTINGS, record, NamespaceFacts(), config="{}", token_sha256="", lease_seconds=1
    )
    assert "volumeMounts" not in tap
    values = [entry["value"] for entry in tap["env"] if entry["name"] == WEIGHTS_VARIABLE]
    assert values == ['{"state":"attached"}']


def test_a_running_pod_is_outdated_by_the_wish_and_by_nothing_that_the_api_server_adds() -> None:
    """Its word changes with `readWeights`, and stays when the pod is looked at again."""

    def word(body: Json | None) -> str:
        assert body is not None
        record = decode_record(body["metadata"]["annotations"][ANNOTATION_INJECTION])
        assert record is not None
        return record.config_hash

    body = pod(vllm("/models/a", volumeMounts=[mounted("/models")]), volumes=[{"name": "models"}])
    first = judge(body, ASKS).patched
    assert word(first) != word(judge(body).patched)
    running = copy.deepcopy(first)
    assert running is not None
    running["spec"]["volumes"][0]["emptyDir"] = {}
    token = {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/x"}
    running["spec"]["containers"][0]["volumeMounts"].append({**token, "readOnly": True})
    running["spec"]["volumes"].append({"name": "kube-api-access-x", "projected": {"sources": []}})
    assert word(judge(running, ASKS).patched) == word(first)


_mounts = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["models", "other", "none"]),
            "mountPath": st.sampled_from(["/", "/models", "/root/.ollama", "models", "", "/data/"]),
        },
        optional={
            "subPath": st.sampled_from(["", "a"]),
            "subPathExpr": st.just("$(A)"),
            "readOnly": st.booleans(),
            "mountPropagation": st.sampled_from(["None", "Bidirectional", "HostToContainer"]),
        },
    ),
    max_size=3,
)
_volumes = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["models", "other"])},
        optional={
            "emptyDir": st.just({}), "hostPath": st.just({"path": "/"}),
            "persistentVolumeClaim": st.just({"claimName": "c"}),
        },
    ),
    max_size=3, unique_by=lambda volume: volume["name"],
)  # fmt: skip
_words = st.lists(
    st.sampled_from(
        ["--model", "/models/a", "org/name", "-m", "--model=/data/x", "--model-repository=/models",
         "--download-dir=/models", "--revision", "$(M)", "s3://b", ""]
    ),
    max_size=4,
)  # fmt: skip


@given(any_pod(), any_spec, any_namespace, _mounts, _volumes, _words)
@settings(max_examples=300)
def test_asking_changes_the_sidecar_alone(
    body: Json,
    spec: Json,
    namespace: dict[str, str],
    mounts: list[Json],
    volumes: list[Json],
    words: list[str],
) -> None:
    """For any pod: the same outcome as unasked, the same other containers and volumes; at most one
    more mount, read-only and of a volume of the engine's own; twice is once; never a node's folder.
    """
    first = body["spec"]["containers"][0]
    first["volumeMounts"], body["spec"]["volumes"] = mounts, volumes
    first["args"] = [*(first.get("args") or ()), *words]
    before = copy.deepcopy(body)
    plain = judge(body, model(**spec), namespace=namespace)
    view = model(**spec, version={"readWeights": True})
    asked = judge(body, view, namespace=namespace)
    assert body == before
    assert (asked.outcome, asked.reason, asked.message) == (
        plain.outcome, plain.reason, plain.message,
    )  # fmt: skip
    if asked.patched is None or plain.patched is None:
        return
    assert judge(asked.patched, view, namespace=namespace).patched == asked.patched
    assert judge(asked.patched, model(**spec), namespace=namespace).patched == plain.patched
    sidecar, usual = sidecar_of(asked.patched), sidecar_of(plain.patched)
    more = [mount for mount in sidecar["volumeMounts"] if mount not in usual["volumeMounts"]]
    assert len(more) <= 1
    for mount in more:
        assert mount["readOnly"] is True
        assert mount["mountPath"] == "/sidelight/weights"
        assert set(mount) <= {"name", "mountPath", "readOnly", "subPath"}
        (volume,) = (one for one in volumes if one["name"] == mount["name"])
        assert "hostPath" not in volume
    plan = plan_of(asked.patched)
    assert plan is not None
    assert bool(plan.paths) == bool(more) == (not plan.state)
    for key in ("env", "volumeMounts"):
        sidecar[key] = usual[key]
    for one in (plain.patched, asked.patched):
        del one["metadata"]["annotations"]
    assert asked.patched == plain.patched
