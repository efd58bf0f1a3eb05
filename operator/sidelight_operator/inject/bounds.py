"""What is kept of LimitRanges and ResourceQuotas: as little as a decision reads.

A quota's status changes with every pod of its namespace; what is kept of it does not.
"""

from collections.abc import Iterable, Mapping, Sequence
from sys import intern

from sidelight_operator.inject.limits import DEMANDED, RESOURCES, name_of
from sidelight_operator.inject.types import Json, NamespaceFacts

LIMIT_RANGES, QUOTAS = "limitranges", "resourcequotas"
KINDS = (LIMIT_RANGES, QUOTAS)
"""What they are called in the API's addresses."""
_DEMANDING: Json = {"hard": {DEMANDED: ""}}
_READ = ("min", "max", "default", "maxLimitRequestRatio")


def kept(kind: str, body: Json) -> Json | None:
    """What a decision reads of the object `body`; None: nothing."""
    spec = body.get("spec") or {}
    if kind == QUOTAS:
        demanded = DEMANDED in (spec.get("hard") or {})
        return _named(body, _DEMANDING) if demanded else None
    limits = [_of_containers(item) for item in spec.get("limits") or () if _is_read(item)]
    return _named(body, {"limits": limits}) if limits else None


def facts_of(labels: Mapping[str, str], bounds: Iterable[tuple[str, Json]] = ()) -> NamespaceFacts:
    """What a decision rests on, from a namespace's labels and what was kept of its bounds, each
    with its kind.
    """
    by_kind: dict[str, list[Json]] = {kind: [] for kind in KINDS}
    for kind, found in bounds:
        by_kind[kind].append(found)
    return NamespaceFacts(dict(labels), _sorted(by_kind[LIMIT_RANGES]), _sorted(by_kind[QUOTAS]))


def _sorted(found: Sequence[Json]) -> tuple[Json, ...]:
    return tuple(sorted(found, key=name_of))


def _named(body: Json, spec: Json) -> Json:
    return {"metadata": {"name": name_of(body)}, "spec": spec}


def _is_read(item: Json) -> bool:
    return item.get("type") == "Container" and len(_of_containers(item)) > 1


def _of_containers(item: Json) -> Json:
    read: Json = {"type": "Container"}
    for bound in _READ:
        found = item.get(bound) or {}
        if values := {name: intern(str(found[name])) for name in RESOURCES if name in found}:
            read[bound] = values
    return read
