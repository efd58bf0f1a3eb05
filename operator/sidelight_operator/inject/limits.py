"""The sidecar's resources where a namespace sets bounds (LimitRange, ResourceQuota).

What the API server would refuse must not be asked for: a request below `min` or too far below the
limit is raised, a CPU limit is set where a quota demands one, and where `max` is below what the
sidecar needs, the pod is left alone: with less, the relay could be killed with a model's traffic in
its hands.
"""

import re
from collections.abc import Iterator

from sidelight_contract.names import Reason
from sidelight_operator.inject.types import Json, NamespaceFacts, RefusedError

_UNITS = {
    "": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][0-9]+)?)([A-Za-z]*)")
CPU_LIMIT = "1"
"""Only where a quota of `limits.cpu` demands one: a whole core, so that it seldom throttles."""


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
    if _quota_demands(namespace, "limits.cpu") and "cpu" not in limits:
        limits["cpu"] = CPU_LIMIT
    for name, bounds in _bounds(namespace):
        for resource in ("cpu", "memory"):
            _fit(resource, requests, limits, bounds, name)
    return {"requests": requests, "limits": limits}


def _bounds(namespace: NamespaceFacts) -> Iterator[tuple[str, Json]]:
    for limit_range in namespace.limit_ranges:
        name = str((limit_range.get("metadata") or {}).get("name", ""))
        for bounds in (limit_range.get("spec") or {}).get("limits") or ():
            if bounds.get("type") == "Container":
                yield name, bounds


def _fit(resource: str, requests: Json, limits: Json, bounds: Json, name: str) -> None:
    highest = (bounds.get("max") or {}).get(resource)
    for needed in (requests.get(resource), limits.get(resource)):
        if highest is not None and amount(needed) > amount(highest):
            raise RefusedError(
                Reason.LIMITS_TOO_LOW,
                f"the sidecar needs {needed} of {resource}, and LimitRange {name} allows a "
                f"container at most {highest}",
            )
    lowest = (bounds.get("min") or {}).get(resource)
    if lowest is not None:
        if amount(requests.get(resource)) < amount(lowest):
            requests[resource] = lowest
        if resource in limits and amount(limits[resource]) < amount(lowest):
            limits[resource] = lowest
    ratio = amount((bounds.get("maxLimitRequestRatio") or {}).get(resource))
    limit = limits.get(resource)
    if ratio and limit is not None and amount(limit) > ratio * amount(requests.get(resource)):
        requests[resource] = limit


def _quota_demands(namespace: NamespaceFacts, resource: str) -> bool:
    return any(
        resource in ((quota.get("spec") or {}).get("hard") or {}) for quota in namespace.quotas
    )
