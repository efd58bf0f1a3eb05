"""What holds for every pod: no exception, no change of the input, twice is once."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from injection_world import RESTRICTED, engine, judge, model, pod

ports = st.sampled_from([8080, 80, 9000, 15001, 15080])
port_refs = st.one_of(ports, st.sampled_from(["http", "metrics"]))
handlers = st.one_of(
    st.fixed_dictionaries({"httpGet": st.fixed_dictionaries({"port": port_refs})}),
    st.fixed_dictionaries({"tcpSocket": st.fixed_dictionaries({"port": port_refs})}),
    st.fixed_dictionaries({"grpc": st.fixed_dictionaries({"port": ports})}),
    st.just({"exec": {"command": ["true"]}}),
)
words = st.lists(
    st.sampled_from(["--port", "8080", "--port=8080", "--port=$(P)", "-p", "serve", "-c", ""]),
    max_size=5,
)
variables = st.one_of(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["PORT", "LLAMA_ARG_PORT", "OLLAMA_HOST", "P"])},
        optional={"value": st.sampled_from(["8080", "", "0.0.0.0", "0.0.0.0:8080", "x"])},
    ),
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["PORT", "LLAMA_ARG_PORT", "OLLAMA_HOST", "P"]),
            "valueFrom": st.just({"fieldRef": {"fieldPath": "metadata.name"}}),
        }
    ),
)
containers = st.fixed_dictionaries(
    {"name": st.sampled_from(["server", "sidelight", "other"])},
    optional={
        "image": st.sampled_from(["vllm/vllm-openai:1", "ollama/ollama", "nginx", "llama-server"]),
        "command": st.one_of(
            st.just(["llama-server"]), st.just(["ollama"]), st.just(["sh", "-c"]),
            st.just(["text-generation-launcher"]), st.none(),
        ),
        "args": st.one_of(words, st.none()),
        "env": st.one_of(st.lists(variables, max_size=3), st.none()),
        "ports": st.lists(
            st.fixed_dictionaries(
                {"containerPort": ports}, optional={"name": st.sampled_from(["http", "metrics"])}
            ),
            max_size=2, unique_by=(lambda p: p["containerPort"], lambda p: p.get("name")),
        ),
        "livenessProbe": handlers,
        "readinessProbe": handlers,
        "startupProbe": handlers,
    },
)  # fmt: skip
pods = st.one_of(
    st.lists(containers, min_size=1, max_size=3, unique_by=lambda one: one["name"]),
    st.lists(containers, min_size=2, max_size=3),  # one name twice, which only the API server
).map(lambda found: pod(*found))  # refuses, and after the webhook
specs = st.fixed_dictionaries(
    {
        "engine": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["Auto", "LlamaCpp", "Ollama", "TGI", "VLLM"]),
                "port": st.sampled_from(["", "8080", "http"]),
            },
        ),
        "interception": st.fixed_dictionaries(
            {"mode": st.sampled_from(["Auto", "Redirect", "PortTakeover", "Tap"])}
        ),
    }
)
namespaces = st.sampled_from([{}, RESTRICTED])


@given(pods, specs, namespaces)
def test_injecting_twice_is_injecting_once(
    body: dict[str, Any], spec: dict[str, Any], namespace: dict[str, str]
) -> None:
    """Never an exception; the given pod is not touched; a patched pod is decided alike."""
    before = copy.deepcopy(body)
    first = judge(body, model(**spec), namespace=namespace)
    assert body == before
    if first.patched is not None:
        second = judge(first.patched, model(**spec), namespace=namespace)
        assert second.patched == first.patched
        names = [
            port["name"]
            for key in ("containers", "initContainers")
            for container in first.patched["spec"].get(key, ())
            for port in container.get("ports") or ()
            if container["name"] in ("server", "sidelight") and "name" in port
        ]
        assert "sidelight" in names
        for container in first.patched["spec"]["containers"]:
            for entry in container.get("env") or ():
                assert not ("value" in entry and "valueFrom" in entry), "the API server refuses it"


def test_a_change_of_mode_leaves_no_trace_of_the_first() -> None:
    """PortTakeover over Redirect equals PortTakeover of the bare pod, and back."""
    body = pod(engine(livenessProbe={"tcpSocket": {"port": "http"}}))
    redirected = judge(body).patched
    taken = judge(body, namespace=RESTRICTED).patched
    assert redirected is not None
    assert taken is not None
    assert judge(redirected, namespace=RESTRICTED).patched == taken
    assert judge(taken).patched == redirected


def test_a_pod_that_the_api_server_has_rewritten_between_is_injected_alike() -> None:
    """It drops empty lists, and asks again when another webhook changed the pod after us."""
    first = judge(pod(), namespace=RESTRICTED).patched
    assert first is not None
    between = copy.deepcopy(first)
    assert between["spec"]["containers"][0].pop("ports") == []
    assert judge(between, namespace=RESTRICTED).patched == first
