"""Kubernetes quantities, and what a pod asks for in all. Pure."""

import re
from collections.abc import Iterable
from decimal import Decimal

from sidelight_operator.kube import Json

Amounts = dict[str, Decimal]
"""By name as in a quota: `requests.cpu`, `limits.memory`."""

_PARTS = re.compile(r"([+-]?[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([eE][+-]?[0-9]+)|([A-Za-z]{0,2}))")
_FACTORS = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}  # fmt: skip


def parse_quantity(text: object) -> Decimal:
    """`100m`, `1.5Gi`, `3`, `1e3`.

    Raises:
        ValueError: it is none of these.
    """
    found = _PARTS.fullmatch(str(text).strip())
    if found is None or (found[3] or "") not in _FACTORS:
        raise ValueError(f"{text!r} is no quantity")
    return Decimal(found[1] + (found[2] or "")) * _FACTORS[found[3] or ""]


def pod_amounts(spec: Json) -> Amounts:
    """What a pod counts for in a quota: its containers together with its sidecars, or the largest
    that is needed while one init container runs, as the scheduler reckons it.
    """
    total = _sum(map(_amounts, spec.get("containers") or ()))
    sidecars: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _amounts(container)
        now = _sum((sidecars, own))
        if container.get("restartPolicy") == "Always":
            sidecars = now
            total = _sum((total, own))
        most = {key: max(most.get(key, Decimal(0)), now.get(key, Decimal(0))) for key in most | now}
    return {key: max(total.get(key, Decimal(0)), most.get(key, Decimal(0))) for key in total | most}


def _amounts(container: Json) -> Amounts:
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    requests = {**limits, **(resources.get("requests") or {})}
    return {
        f"{kind}.{name}": parse_quantity(value)
        for kind, asked in (("requests", requests), ("limits", limits))
        for name, value in asked.items()
    }


def _sum(parts: Iterable[Amounts]) -> Amounts:
    result: Amounts = {}
    for part in parts:
        for key, value in part.items():
            result[key] = result.get(key, Decimal(0)) + value
    return result
