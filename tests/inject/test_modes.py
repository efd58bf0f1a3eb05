"""What injection makes of a pod, part by part."""

from typing import Any

import pytest
from injection_world import RESTRICTED, engine, judge, model, pod

from sidelight_contract.names import InterceptionMode, Reason


def probes(port: int | str) -> dict[str, Any]:
    """Probes and a hook on `port`; one object for several, as a YAML alias gives it."""
    check = {"httpGet": {"path": "/health", "port": port}}
    return {
        "livenessProbe": check,
        "readinessProbe": check,
        "startupProbe": {"tcpSocket": {"port": port}},
        "lifecycle": {"preStop": check},
    }


def patched(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """The patched pod's spec."""
    decision = judge(*args, **kwargs)
    assert decision.patched is not None, decision.message
    spec: dict[str, Any] = decision.patched["spec"]
    return spec


def test_redirect_adds_and_leaves_the_engine_as_it_is() -> None:
    """An init container that writes the redirect, then a native sidecar, before the pod's own."""
    own = {"name": "download", "image": "x"}
    spec = patched(pod(initContainers=[own]))
    assert [c["name"] for c in spec["initContainers"]] == [
        "sidelight-init",
        "sidelight",
        "download",
    ]
    assert spec["containers"] == [engine()]
    redirect, sidecar, _ = spec["initContainers"]
    assert redirect["args"] == [
        "redirect",
        "--port",
        "8080",
        "--to",
        "15001",
        "--liveness",
        "15008",
    ]
    assert redirect["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert sidecar["restartPolicy"] == "Always"
    listen = ["--listen", "0.0.0.0:15001", "--listen", "[::]:15001"]
    assert sidecar["args"][:7] == ["run", *listen, "--engine", "original-dst"]


@pytest.mark.parametrize("port", [8080, "http"])
def test_redirect_leads_liveness_around_the_relay_and_readiness_through_it(port: int | str) -> None:
    """By number or by name; readiness stays as it was written."""
    container = patched(pod(engine(**probes(port))))["containers"][0]
    assert container["livenessProbe"]["httpGet"]["port"] == 15008
    assert container["startupProbe"]["tcpSocket"]["port"] == 15008
    assert container["lifecycle"]["preStop"]["httpGet"]["port"] == 15008
    assert container["readinessProbe"]["httpGet"]["port"] == port


@pytest.mark.parametrize(
    "probe", [{"exec": {"command": ["true"]}}, {"httpGet": {"port": 9090}}, {"grpc": {"port": 9}}]
)
def test_probes_that_do_not_touch_the_engines_port_stay(probe: dict[str, Any]) -> None:
    """They never went through the relay."""
    container = patched(pod(engine(livenessProbe=probe)))["containers"][0]
    assert container["livenessProbe"] == probe


@pytest.mark.parametrize("port", [8080, "http"])
def test_takeover_moves_the_engine_and_gives_its_port_to_the_sidecar(port: int | str) -> None:
    """Services find the port, by number or name, at the sidecar; probes become numbers."""
    spec = patched(pod(engine(**probes(port))), namespace=RESTRICTED)
    (container,), (sidecar,) = spec["containers"], spec["initContainers"]
    assert container["args"] == ["--host", "0.0.0.0", "--port", "15080"]
    assert container["ports"] == []
    listen = ["--listen", "0.0.0.0:8080", "--listen", "[::]:8080"]
    assert sidecar["args"][:7] == ["run", *listen, "--engine", "127.0.0.1:15080"]
    assert {"name": "http", "containerPort": 8080} in sidecar["ports"]
    assert container["livenessProbe"]["httpGet"]["port"] == 15080
    assert container["startupProbe"]["tcpSocket"]["port"] == 15080
    assert container["readinessProbe"]["httpGet"]["port"] == 8080


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"args": ["--port=8080"]}, {"args": ["--port=15080"]}),
        ({"args": ["-c", "99"]}, {"args": ["-c", "99", "--port", "15080"]}),
        ({"command": ["llama-server", "--port", "8080"], "args": []},
         {"command": ["llama-server", "--port", "15080"]}),
        ({"args": [], "env": [{"name": "LLAMA_ARG_PORT", "value": "8080"}]},
         {"env": [{"name": "LLAMA_ARG_PORT", "value": "15080"}]}),
        ({"args": ["--port", "$(P)"], "env": [{"name": "P", "value": "8080"}]},
         {"args": ["--port", "15080"], "env": [{"name": "P", "value": "8080"}]}),
        ({"args": ["--port", "1", "--port", "8080"]}, {"args": ["--port", "1", "--port", "15080"]}),
        ({"image": "ollama/ollama", "command": ["ollama", "serve"], "args": [],
          "env": [{"name": "OLLAMA_HOST", "value": "0.0.0.0:8080"}]},
         {"env": [{"name": "OLLAMA_HOST", "value": "0.0.0.0:15080"}]}),
    ],
)  # fmt: skip
def test_takeover_writes_the_port_where_the_engine_reads_it(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    """The argument or variable in force, and nothing else, changes."""
    container = patched(pod(engine(**before)), namespace=RESTRICTED)["containers"][0]
    assert {key: container[key] for key in after} == after


@pytest.mark.parametrize(
    ("container", "kind", "port"),
    [
        ({"image": "vllm/vllm-openai:v1", "args": ["--model", "m"]}, "VLLM", 8000),
        ({"image": "a/b", "command": ["vllm", "serve", "m", "--port=9"]}, "VLLM", 9),
        ({"image": "a/b", "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"]},
         "VLLM", 8000),
        ({"image": "a/b", "command": ["python3", "-m", "sglang.launch_server"]}, "SGLang", 30000),
        ({"image": "ghcr.io/huggingface/text-generation-inference:3", "args": ["-p", "88"]},
         "TGI", 88),
        ({"image": "ollama/ollama"}, "Ollama", 11434),
        ({"image": "ghcr.io/ggml-org/llama.cpp:server"}, "LlamaCpp", 8080),
        ({"image": "a/b", "command": ["/bin/bash", "-c", "exec llama-server --port 8081"]},
         "LlamaCpp", 8081),
        ({"image": "a/b", "command": ["sh", "-ec", "llama-server --port 8081", "name"]},
         "LlamaCpp", 8081),
        ({"image": "ollama/ollama", "env": [{"name": "OLLAMA_HOST", "value": ":1"},
          {"name": "OLLAMA_HOST", "value": ":8082"}]}, "Ollama", 8082),
    ],
)  # fmt: skip
def test_engines_are_recognised_with_their_port(
    container: dict[str, Any], kind: str, port: int
) -> None:
    """By command, else by image; the port from its argument, else the usual one."""
    decision = judge(pod({"name": "log", "image": "fluent"}, {"name": "server", **container}))
    assert (decision.engine, decision.port, decision.engine_container) == (kind, port, "server")


def test_auto_says_which_mode_and_why() -> None:
    """Redirect where it is allowed, PortTakeover where Pod Security forbids it."""
    free, restricted = judge(pod()), judge(pod(), namespace=RESTRICTED)
    assert (free.mode, free.mode_reason) == (InterceptionMode.REDIRECT, Reason.REDIRECT_ALLOWED)
    assert restricted.mode is InterceptionMode.PORT_TAKEOVER
    assert restricted.mode_reason is Reason.POD_SECURITY_FORBIDS_REDIRECT
    assert "restricted" in restricted.mode_message


def test_a_takeover_pod_satisfies_pod_security_restricted() -> None:
    """The sidecar has no privilege of any kind."""
    context = patched(pod(), namespace=RESTRICTED)["initContainers"][0]["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True, "runAsGroup": 65532, "runAsNonRoot": True,
        "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip


def test_no_environment_value_but_the_port_is_in_the_annotation() -> None:
    """A secret in the engine's environment is not copied to where more people can read."""
    env = [{"name": "KEY", "value": "s3cret"}, {"name": "LLAMA_ARG_PORT", "value": "8080"}]
    decision = judge(pod(engine(args=[], env=env)), namespace=RESTRICTED)
    assert decision.patched is not None
    assert "s3cret" not in str(decision.patched["metadata"])


def test_the_models_own_port_name_is_resolved() -> None:
    """`engine.port: http` is the container port of that name."""
    generic = model(engine={"type": "Generic", "port": "http"})
    assert judge(pod(engine(command=["x"], args=[])), generic).port == 8080
