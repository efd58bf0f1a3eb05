"""Containers of the same pod that take the requests and hand them on to the engine over loopback,
where a redirect of the engine's port sees nothing.
"""

import re

from sidelight_operator.inject.types import Json

_NAMES = frozenset({"queue-proxy"})
_IMAGES = (
    "kserve/agent", "llm-d-router-disagg-sidecar", "llm-d-routing-sidecar",
    "knative.dev/serving/cmd/queue",
)  # fmt: skip
_HANDS_TO = re.compile(
    r"--?(?:vllm-port|decoder-port|component-port)[= ](?P<port>\d+)|"
    r"--?[a-z-]*(?:upstream|backend|proxy-to)[a-z-]*[= ](?:https?://)?"
    r"(?:localhost|127\.0\.0\.1|\[::1\]):(?P<url>\d+)"
)


def proxy_before(pod: Json, engine: str, port: int) -> str:
    """The container that stands before the engine's port; empty when none is known to."""
    spec = pod["spec"]
    for container in spec.get("containers") or ():
        if container.get("name") != engine and _is_proxy(container, port):
            return str(container.get("name"))
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always" and _is_proxy(container, port):
            return str(container.get("name"))
    return ""


def _is_proxy(container: Json, port: int) -> bool:
    image = str(container.get("image", ""))
    if container.get("name") in _NAMES or any(part in image for part in _IMAGES):
        return True
    words = [str(w) for key in ("command", "args") for w in container.get(key) or ()]
    text = " ".join(words)
    return any(str(port) in (found["port"], found["url"]) for found in _HANDS_TO.finditer(text))
