"""Which pods do not start because of Sidelight, from the pods' own statuses. Pure.

Rules:
1. Only Sidelight's own containers are looked at; the engine's troubles are its own.
2. One failure is no trouble: registries hiccup and nodes boot. Two are, or thirty seconds of not
   getting an image.
3. Whether a pod ever served is told by its Ready condition alone: it has never changed.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sidelight_contract import names
from sidelight_contract.names import Reason
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.kube import Json

PATIENCE = timedelta(seconds=30)
"""For an image or a container that does not come: the kubelet tries again after 10 and 20 s."""
COMEBACK = timedelta(seconds=45)
"""For a sidecar whose image was changed: the pod is unready meanwhile, and an image of 80 MB may
still have to be pulled."""
_SAME_MOMENT = timedelta(seconds=1)
"""The kubelet takes `startTime` and a new condition's time separately, in whole seconds."""
_MESSAGE_LIMIT = 300

_NEVER_PULLED = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_NOT_PULLED = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable",
     "SignatureValidationFailed"}
)  # fmt: skip
_NOT_CREATED = frozenset(
    {"CreateContainerError", "CreateContainerConfigError", "RunContainerError",
     "PreCreateHookError", "PreStartHookError"}
)  # fmt: skip


def never_ready(pod: Json) -> bool:
    """Whether the pod has not been ready even once, so that it never served anybody."""
    status = pod.get("status", {})
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    if ready is None or "startTime" not in status:
        return bool(status.get("phase", "Pending") == "Pending")
    if ready.get("status") == "True" or "lastTransitionTime" not in ready:
        return False
    since = parse_time(ready["lastTransitionTime"]) - parse_time(status["startTime"])
    return since <= _SAME_MOMENT


def trouble_of(pod: Json, now: datetime, *, changed: bool = False) -> Refusal | None:
    """Why an injected pod does not start, if one of Sidelight's containers is why.

    Args:
        pod: as the API server has it.
        now: to tell what is a hiccup.
        changed: whether the sidecar's image was changed while the pod ran. Then its path is broken
            while there is none, and less is waited for.
    """
    fresh = changed or never_ready(pod)
    patient = fresh and not changed and now - _begun(pod) < PATIENCE
    for container in _ours(pod):
        found = _trouble(container, pod, fresh=fresh, patient=patient)
        if found is None and changed and container["name"] == names.SIDECAR_CONTAINER:
            found = _stayed_away(container, now)
        if found is not None:
            return found
    if fresh and not patient and _not_native(pod):
        why = "restartPolicy was taken from it after it was injected: the pod waits for its end"
        return Refusal(Reason.SIDECAR_NOT_NATIVE, f"container {names.SIDECAR_CONTAINER}: {why}")
    return None


def _not_native(pod: Json) -> bool:
    """Whether the sidecar became an init container like others, which never ends: webhooks with an
    old client library drop what they do not know.
    """
    return any(
        container["name"] == names.SIDECAR_CONTAINER and container.get("restartPolicy") != "Always"
        for container in pod.get("spec", {}).get("initContainers") or ()
    )


def _ours(pod: Json) -> Iterator[Json]:
    status = pod.get("status", {})
    for key in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(key) or ():
            if container["name"] in (names.INIT_CONTAINER, names.SIDECAR_CONTAINER):
                yield container


def _trouble(container: Json, pod: Json, *, fresh: bool, patient: bool) -> Refusal | None:
    name, restarts = container["name"], container.get("restartCount", 0)
    state = container.get("state") or {}
    waiting = (state.get("waiting") or {}).get("reason", "")
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    failed = bool(ended.get("exitCode"))
    looping = waiting == "CrashLoopBackOff"
    if waiting in _NEVER_PULLED or (waiting in _NOT_PULLED and fresh and not patient):
        said = f"image {container.get('image', '')} of container {name}: {_said(state, waiting)}"
        return Refusal(Reason.SIDECAR_IMAGE_NOT_PULLED, said)
    if waiting in _NOT_CREATED and fresh and not patient:
        return Refusal(Reason.SIDECAR_NOT_CREATED, f"container {name}: {_said(state, waiting)}")
    if name == names.INIT_CONTAINER:
        for_good = pod.get("status", {}).get("phase") == "Failed"
        if fresh and failed and (restarts or looping or for_good):
            return Refusal(Reason.INIT_CONTAINER_FAILED, _ended(name, restarts, ended))
    elif (looping and restarts) or (fresh and failed and restarts > 1):
        return Refusal(Reason.SIDECAR_CRASHED, _ended(name, restarts, ended))
    return None


def _stayed_away(container: Json, now: datetime) -> Refusal | None:
    """The kubelet ends the old sidecar before it pulls the new image, and goes on to show its
    good end while it cannot (Kubernetes 1.34).
    """
    ended = (container.get("state") or {}).get("terminated")
    if not ended or now - parse_time(ended["finishedAt"]) < COMEBACK:
        return None
    seconds = int(COMEBACK.total_seconds())
    message = f"container {container['name']} did not come back with its new image in {seconds} s"
    return Refusal(Reason.SIDECAR_IMAGE_NOT_PULLED, message)


def _begun(pod: Json) -> datetime:
    """When the kubelet could begin with the containers."""
    status = pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodReadyToStartContainers" and condition["status"] == "True":
            return parse_time(condition["lastTransitionTime"])
    return parse_time(status.get("startTime") or pod["metadata"]["creationTimestamp"])


def _said(state: Json, waiting: str) -> str:
    message = (state.get("waiting") or {}).get("message", "")
    return f"{waiting} {message}".strip()[:_MESSAGE_LIMIT]


def _ended(name: str, restarts: int, ended: Json) -> str:
    why = f"container {name} ended with status {ended.get('exitCode', '?')}"
    why += f" ({ended['reason']})" if ended.get("reason") else ""
    why += f" after {restarts} restarts" if restarts else ""
    last = str(ended.get("message", "")).strip()
    return f"{why}: {last[-_MESSAGE_LIMIT:]}" if last else why
