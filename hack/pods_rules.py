"""How an injection is judged beside what a reader said of the pod; used by `hack/pods.py`.

Wrong is worse than refused: a pod that is left alone runs as before, and its owner is told why. So
a refusal is never wrong, though it is listed where the reader thought that more was possible.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sidelight_contract.names import InterceptionMode
from sidelight_contract.spec import Engine
from sidelight_operator.inject import Decision
from sidelight_operator.inject.detect import find_engine
from sidelight_operator.inject.types import RefusedError

ENGINES = {
    "vllm": "VLLM", "sglang": "SGLang", "tgi": "TGI", "llamacpp": "LlamaCpp", "ollama": "Ollama",
    "triton": "Triton", "trtllm": "TensorRTLLM", "max": "MAX", "nim": "NIM", "kserve-hf": "KServe",
}  # fmt: skip
_UNNAMED = ("other", "ray")
"""The reader's words for servers that are known by no name, or by one that only we give them."""
_PROBES = ("livenessProbe", "startupProbe")


@dataclass(frozen=True)
class Judged:
    """What the reader said of a pod."""

    file: str
    engine: str
    port: int | None
    movable: Any
    """True, False or "unsure"."""


def faults(judged: Judged, decision: Decision) -> Iterator[str]:
    """What is wrong with an injection."""
    assert decision.engine is not None
    if judged.port is None:
        yield "it has no inference API"
        return
    known = ENGINES.get(judged.engine)
    generic = decision.engine.value == "Generic"
    if not generic and judged.engine not in _UNNAMED and known != decision.engine.value:
        yield f"it is {judged.engine}, not {decision.engine.value}"
    if decision.port != judged.port:
        yield f"it serves on {judged.port}, not {decision.port}"
    if decision.mode is InterceptionMode.PORT_TAKEOVER:
        if judged.movable is False:
            yield "it cannot be moved"
        yield from _after_takeover(decision)
    if decision.mode is not InterceptionMode.TAP:
        yield from _liveness(decision)


def disagreement(judged: Judged, mode: str, decision: Decision) -> str:
    """What the reader thought possible and was refused; empty when nothing."""
    if decision.patched is not None or judged.port is None:
        return ""
    if mode == "PortTakeover" and judged.movable is not True:
        return ""
    if mode in ("NamedPort", "Tap", "Generic"):
        return ""
    return f"{decision.reason}: {decision.message}"


def _after_takeover(decision: Decision) -> Iterator[str]:
    """The moved engine, looked at as if it had been written so, serves on the new port."""
    containers = [
        one for one in decision.patched["spec"]["containers"] if one["name"] != "sidelight"
    ]
    engine = Engine.model_validate({"container": decision.engine_container})
    try:
        found = find_engine(containers, engine)
    except RefusedError as refused:
        yield f"after the move: {refused.reason}: {refused}"
        return
    if found.port not in (15080, 15480):
        yield f"after the move it serves on {found.port}"


def _liveness(decision: Decision) -> Iterator[str]:
    """No probe that keeps a container alive asks the port that leads through the relay."""
    if decision.mode is InterceptionMode.NAMED_PORT:
        return
    for container in decision.patched["spec"]["containers"]:
        for name in _PROBES:
            for kind in ("httpGet", "tcpSocket"):
                probe = ((container.get(name) or {}).get(kind)) or {}
                port = probe.get("port", 0)
                names = {p.get("name"): p["containerPort"] for p in container.get("ports") or ()}
                if names.get(port, port) == decision.port:
                    yield f"{name} of {container['name']} depends on the relay"
