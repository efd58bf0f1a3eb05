"""Which version a pod is: its owner's word, else what its engine's image really is.

Rules:
1. The first of `spec.version.labels` that the pod carries is its version.
2. Else the digest of the image that runs, by the node's word; before the node has said it, one that
   the image's own name has. A tag is only a name: the same one may be pushed again.
3. A pod whose engine has not started has no version yet. By its tag it would be one version for
   some seconds and another one after.
4. The tag counts where the engine runs and its node tells no digest.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from sidelight_contract import names
from sidelight_operator.kube import Json

NO_VERSION = "unknown"
"""Of an engine that runs, from an image of which neither digest nor tag is known."""
NOT_YET = ""
"""The version of a pod whose engine has not started."""
_DIGEST_LETTERS = 12
_IMAGES = 4096
"""Images whose digests are remembered: pods share them, and their strings."""
_TAG_LIMIT = 128
_DIGEST = re.compile(r"(?:^|[@/])(sha256|sha512):([0-9a-f]{64,128})$")
_BARE = re.compile(r"[0-9a-f]{64}")


def version_of(pod: Json, container: str, version_labels: Sequence[str]) -> str:
    """The version of `pod`, whose engine is in `container`; `NOT_YET` before it has one."""
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    label = next((labels[name] for name in version_labels if labels.get(name)), "")
    if label:
        return label
    digest = digest_of(pod, container)
    if digest or not _runs(pod, container):
        return digest
    return image_tag(engine_image(pod, container)) or NO_VERSION


def digest_of(pod: Json, container: str) -> str:
    """The start of the digest of the engine's image, such as `sha256:0123456789ab`; empty while it
    is not known.
    """
    told = str(_status(pod, container).get("imageID") or "")
    return short_digest(told) or short_digest(engine_image(pod, container))


@lru_cache(_IMAGES)
def short_digest(image: str) -> str:
    """The start of the digest that an image's name or ID ends with; empty when it has none.

    `docker.io/x/y@sha256:...`, `docker-pullable://x@sha256:...`, `sha256:...` of an image that was
    loaded by hand, and the bare ID of older runtimes.
    """
    found = _DIGEST.search(image)
    if found is not None:
        return f"{found[1]}:{found[2][:_DIGEST_LETTERS]}"
    return f"sha256:{image[:_DIGEST_LETTERS]}" if _BARE.fullmatch(image) else ""


def image_tag(image: str) -> str:
    """The tag of an image; empty for a name without one."""
    name = image.partition("@")[0]
    return name.rsplit("/", 1)[-1].partition(":")[2][:_TAG_LIMIT]


def engine_image(pod: Json, container: str) -> str:
    """The image of the engine's container, as the pod asks for it."""
    return str(engine_container(pod, container).get("image", ""))


def engine_container(pod: Json, container: str) -> Json:
    """The engine's container; where no name tells it, the first that is not ours."""
    containers: Sequence[Json] = pod.get("spec", {}).get("containers") or ()
    others = [item for item in containers if item["name"] != names.SIDECAR_CONTAINER]
    chosen = next((item for item in others if item["name"] == container), None)
    return chosen or (others[0] if others else {})


def _status(pod: Json, container: str) -> Json:
    name = engine_container(pod, container).get("name")
    statuses: Sequence[Json] = pod.get("status", {}).get("containerStatuses") or ()
    return next((item for item in statuses if item["name"] == name), {})


def _runs(pod: Json, container: str) -> bool:
    return "running" in (_status(pod, container).get("state") or {})
