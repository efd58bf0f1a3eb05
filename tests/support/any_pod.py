"""Pods of any shape that an API server takes, and ObservedModels that may select them."""

from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

PORTS = (80, 8000, 8080, 9000, 15001, 15080, 15420)
_NAMES = ("server", "other", "istio-proxy", "queue-proxy", "sidelight", "front")
_PORT_NAMES = ("http", "metrics", "sidelight", "h2c")
_IMAGES = (
    "vllm/vllm-openai:v1", "ollama/ollama:1", "ghcr.io/huggingface/text-generation-inference:3",
    "nvcr.io/nim/meta/a:1", "kserve/huggingfaceserver:1", "modular/max-full:1", "nginx:1",
    "nvcr.io/nvidia/tritonserver:1", "deepset/hayhooks:1", "ghcr.io/ggml-org/llama.cpp:server",
)  # fmt: skip
_COMMANDS = (
    ["vllm", "serve", "m"], ["python3", "-m", "sglang.launch_server"], ["ollama", "serve"],
    ["llama-server"], ["trtllm-serve", "m"], ["tritonserver"], ["sh", "-c"], ["bash", "-lc", "--"],
    ["/start.sh"], ["tini", "--", "text-generation-launcher"],
)  # fmt: skip
_WORDS = (
    "--port", "8000", "8080", "--port=8080", "--port=$(P)", "$(P)", "-p", "--host", "127.0.0.1",
    "0.0.0.0", "::", "--host=$(IP)", "--headless", "--node-rank", "$(RANK)", "--config=f", "serve",
    "--http-port", "$$(P)", "--upstream=http://localhost:8000", "--vllm-port=8080", "",
)  # fmt: skip
_SCRIPT_WORDS = (
    *_WORDS, "vllm serve m", "ollama serve", "exec", "llama-server", "&", ";", "\n", "\\\n", "E",
    "'8080'", "${P:-8000}", "$P", "${P}", "$ARGS", '"$@"', "PORT=8080", "export", "if", "then",
    '"8000"', "# it's", '"', "'", "<<E",
    "2>&1", "|", "$(", ")", "eval", '"exec vllm serve --port 8000"',
)  # fmt: skip
_VARIABLES = (
    "PORT", "P", "ARGS", "IP", "OLLAMA_HOST", "LLAMA_ARG_PORT", "NIM_SERVER_PORT", "LLAMA_ARG_HOST",
    "NIM_HTTP_API_PORT", "MAX_SERVE_PORT", "ISTIO_KUBE_APP_PROBERS",
)  # fmt: skip
_VALUES = (
    "8000", "8080", "", "0.0.0.0:8080", "127.0.0.1", "[::]:8000", "http://0.0.0.0:80", "$(P)",
    "--port 9000", '{"/app-health/server/livez":{"httpGet":{"port":8080}}}', "[]", "x",
)  # fmt: skip


def _optional(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(required, optional=optional)


_ports = st.sampled_from(PORTS)
_references = st.one_of(_ports, st.sampled_from(_PORT_NAMES))
_actions = st.one_of(
    st.builds(lambda port: {"httpGet": {"path": "/", "port": port}}, _references),
    st.builds(lambda port: {"tcpSocket": {"port": port}}, _references),
    st.builds(
        lambda text, port: {"exec": {"command": ["sh", "-c", text.format(port)]}},
        st.sampled_from(["curl localhost:{}/x", "true", "check {}", "curl http://127.0.0.1:{}"]),
        _ports,
    ),
)
_probes = st.one_of(_actions, st.builds(lambda port: {"grpc": {"port": port}}, _ports))
_script = st.lists(st.sampled_from(_SCRIPT_WORDS), max_size=10).map(" ".join)
_arguments = st.one_of(
    st.lists(st.sampled_from(_WORDS), max_size=6),
    st.builds(lambda script, more: [script, *more], _script, st.lists(st.sampled_from(_WORDS))),
)
_variables = st.one_of(
    _optional({"name": st.sampled_from(_VARIABLES)}, {"value": st.sampled_from(_VALUES)}),
    st.builds(
        lambda name, path: {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}},
        st.sampled_from(_VARIABLES),
        st.sampled_from(["status.podIP", "metadata.name", "metadata.labels['app']"]),
    ),
)
_container_ports = st.lists(
    _optional(
        {"containerPort": _ports},
        {
            "name": st.sampled_from(_PORT_NAMES),
            "protocol": st.sampled_from(["TCP", "UDP"]),
        },
    ),
    max_size=3,
    unique_by=(lambda port: port["containerPort"], lambda port: port.get("name", object())),
)


def _container(names: tuple[str, ...], more: dict[str, Any]) -> st.SearchStrategy[Json]:
    return _optional(
        {"name": st.sampled_from(names), "image": st.sampled_from(_IMAGES)},
        {
            "command": st.sampled_from(_COMMANDS),
            "args": _arguments,
            "env": st.lists(_variables, max_size=4),
            "envFrom": st.just([{"configMapRef": {"name": "more", "optional": True}}]),
            "ports": _container_ports,
            "readinessProbe": _probes,
            "livenessProbe": _probes,
            "startupProbe": _probes,
            "lifecycle": _optional({}, {"preStop": _actions, "postStart": _actions}),
            **more,
        },
    )


_init = st.one_of(
    st.just({"name": "prepare", "image": "busybox:1", "command": ["true"]}),
    _container(("front-native", "istio-proxy"), {}).map(
        lambda one: {**one, "restartPolicy": "Always"}
    ),
)
_by_name = {"unique_by": lambda container: container["name"]}
_annotations = st.dictionaries(
    st.sampled_from(["linkerd.io/inject", "sidecar.istio.io/inject", "sidelight.dev/injection"]),
    st.sampled_from(["enabled", "true", "false", '{"edits":[]}', "{"]),
    max_size=2,
)


@st.composite
def any_pod(draw: st.DrawFn) -> Json:
    """A pod with the label `app: chat`."""
    spec: Json = {
        "containers": draw(st.lists(_container(_NAMES, {}), min_size=1, max_size=3, **_by_name))
    }
    taken = {one["name"] for one in spec["containers"]}
    inits = draw(st.lists(_init, max_size=2, **_by_name))
    spec["initContainers"] = [one for one in inits if one["name"] not in taken]
    for key, values in (
        ("hostNetwork", (False, False, False, True)), ("restartPolicy", ("Always", "OnFailure")),
        ("shareProcessNamespace", (False, True)), ("imagePullSecrets", ([], [{"name": "own"}])),
    ):  # fmt: skip
        if draw(st.booleans()):
            spec[key] = draw(st.sampled_from(values))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "chat-",
            "labels": {"app": "chat"},
            "annotations": draw(_annotations),
        },
        "spec": spec,
    }


any_spec = st.fixed_dictionaries(
    {
        "engine": _optional(
            {},
            {
                "type": st.sampled_from(["Auto", "VLLM", "Ollama", "TGI", "NIM", "Triton"]),
                "port": st.sampled_from(["", "8080", "http", "9000"]),
                "container": st.sampled_from(["", "server"]),
                "morePorts": st.sampled_from([[], ["9000"], ["metrics"]]),
            },
        ),
        "interception": st.fixed_dictionaries(
            {"mode": st.sampled_from(["Auto", "Redirect", "PortTakeover", "NamedPort", "Tap"])}
        ),
    }
)
any_namespace = st.sampled_from(
    [{}, {}, {"pod-security.kubernetes.io/enforce": "baseline"}, {"istio-injection": "enabled"}]
)
