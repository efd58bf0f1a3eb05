"""The resources of what is added where a namespace sets bounds (LimitRange, ResourceQuota).

What the API server would refuse must not be asked for: a request below `min` or too far below the
limit is raised, a CPU limit is set where there will be one anyway or where one is demanded, and
where `max` is below what the sidecar needs, the pod is left alone: with less, the relay could be
killed with a model's traffic in its hands.

What is about the whole pod, a LimitRange of `Pod` or a quota that is full, is not reckoned here:
it depends on what else is there. The circuit breaker answers it.
"""

import math
import re
from collections.abc import Iterator

from sidelight_contract.names import Reason
from sidelight_operator.inject.types import Json, NamespaceFacts, RefusedError

RESOURCES = ("cpu", "memory")
DEMANDED = "limits.cpu"
"""All else that a quota can demand of a container is set anyway."""
_UNITS = {
    "": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][0-9]+)?)([A-Za-z]*)")
CPU_LIMIT = "1"
"""Only where there must be one: a whole core, so that it seldom throttles."""


def amount(quantity: object) -> float:
    """What a Kubernetes quantity comes to; 0 for what is none."""
    found = _QUANTITY.fullmatch(str(quantity))
    return float(found[1]) * _UNITS.get(found[2], 0) if found else 0.0


def fitted(resources: Json, namespace: NamespaceFacts) -> Json:
    """`resources` made to fit the namespace's bounds.

    Raises:
        RefusedError: they do not fit.
    """
    requests, limits = dict(resources["requests"]), dict(resources["limits"])
    every = list(_bounds(namespace))
    if "cpu" not in limits and (_quota_demands(namespace) or any(map(_limits_cpu, every))):
        highest = [most for _, bounds in every if (most := _bound(bounds, "max", "cpu"))]
        limits["cpu"] = min([CPU_LIMIT, *highest], key=amount)
    for resource in RESOURCES:
        for _, bounds in every:
            _raise(resource, requests, limits, bounds)
        for _, bounds in every:
            _come_near(resource, requests, limits, bounds)
        for name, bounds in every:
            _check(resource, requests, limits, bounds, name)
    return {**resources, "requests": requests, "limits": limits}


def _bounds(namespace: NamespaceFacts) -> Iterator[tuple[str, Json]]:
    """In one order, whoever read them: the message names the first that is too low."""
    for limit_range in sorted(namespace.limit_ranges, key=name_of):
        for bounds in (limit_range.get("spec") or {}).get("limits") or ():
            if bounds.get("type") == "Container":
                yield name_of(limit_range), bounds


def name_of(body: Json) -> str:
    """The name of an object; "" for one without."""
    return str((body.get("metadata") or {}).get("name", ""))


def _bound(bounds: Json, kind: str, resource: str) -> str:
    return str((bounds.get(kind) or {}).get(resource, ""))


def _limits_cpu(found: tuple[str, Json]) -> bool:
    """Whether a container without a CPU limit is given one, which may be a small one (`default`;
    `max` is the default of that), or refused (a ratio).
    """
    return any(_bound(found[1], kind, "cpu") for kind in ("default", "max", "maxLimitRequestRatio"))


def _raise(resource: str, requests: Json, limits: Json, bounds: Json) -> None:
    lowest = _bound(bounds, "min", resource)
    for asked in (requests, limits):
        if lowest and resource in asked and amount(asked[resource]) < amount(lowest):
            asked[resource] = lowest


def _come_near(resource: str, requests: Json, limits: Json, bounds: Json) -> None:
    """Raise the request to the limit's share that `maxLimitRequestRatio` wants at least."""
    ratio, limit = amount(_bound(bounds, "maxLimitRequestRatio", resource)), limits.get(resource)
    if not ratio or limit is None or amount(limit) <= ratio * amount(requests.get(resource)):
        return
    least = amount(limit) / ratio
    in_units = (
        f"{math.ceil(least * 1e3)}m" if resource == "cpu" else f"{math.ceil(least / 2**20)}Mi"
    )
    requests[resource] = min(in_units, limit, key=amount)


def _check(resource: str, requests: Json, limits: Json, bounds: Json, name: str) -> None:
    highest = _bound(bounds, "max", resource)
    for needed in (requests.get(resource), limits.get(resource)):
        if highest and amount(needed) > amount(highest):
            raise RefusedError(
                Reason.LIMITS_TOO_LOW,
                f"the sidecar needs {needed} of {resource}, and LimitRange {name} allows a "
                f"container at most {highest}",
            )


def _quota_demands(namespace: NamespaceFacts) -> bool:
    return any(
        DEMANDED in ((quota.get("spec") or {}).get("hard") or {}) for quota in namespace.quotas
    )
