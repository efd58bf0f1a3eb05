"""One word for everything about an injection that needs a new pod to change.

Rules:
1. The image is not in it: it stands beside the word in the annotation, because a pod whose image
   alone is old can be helped without a restart.
2. Nothing in it comes from the pod as the API server completes it (defaults, port protocols), so
   that deciding again about a running pod gives the word that its annotation has.
3. Resources are in it as they are asked for, not as a LimitRange or a quota has them: bounds that
   come or go while a pod runs change nothing about it, and must not restart it.
"""

import hashlib
import json
from collections.abc import Iterable

from sidelight_operator.inject.types import Json

_LENGTH = 12
_LEFT_OUT = frozenset({"image", "ports"})
"""`ports` are the engine's own, moved; which port it is follows from the arguments."""


def config_hash(containers: Iterable[Json], volumes: Iterable[Json]) -> str:
    """The word for the containers and volumes that injection adds."""
    kept = [
        {key: value for key, value in container.items() if key not in _LEFT_OUT}
        for container in containers
    ]
    text = json.dumps([kept, list(volumes)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
