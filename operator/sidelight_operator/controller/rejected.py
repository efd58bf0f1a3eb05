"""Whether the API server refused a pod because of what Sidelight added to it. Pure.

Told from the refusal's own words: a quota's figures are reckoned again without the sidecar, a limit
range's are looked for among the sidecar's. A policy that gives no clue is held to be about
Sidelight: that costs an observation, the other mistake costs a model.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from sidelight_contract import names
from sidelight_operator.controller.quantities import Amounts, parse_quantity, pod_amounts
from sidelight_operator.kube import Json

_QUOTA = re.compile(
    r"exceeded quota: [^,]+, requested: (\S+), used: (\S+), limited: (\S+?)(?:[;\s]|$)"
)
_RANGE = re.compile(
    r"(minimum|maximum) (\S+) usage per (Container|Pod) is ([^\s,]+), but (request|limit) is "
    r"([^\s,\].]+)"
)
_POLICY = re.compile(r"denied|violates|not allowed|must (?:not )?(?:be|set|specify|have)|ratio per")


class Blame(StrEnum):
    """Whose doing a refusal is."""

    OURS = "ours"
    LIKELY = "likely"
    """A policy's, without a clue; without the sidecar it would show."""
    THEIRS = "theirs"


def blame(message: str, before: Json, after: Json) -> Blame:
    """Judge a refusal.

    Args:
        message: the API server's words.
        before: the pod's spec as its owner wrote it.
        after: the pod's spec as injection makes it.
    """
    added = _added(before, after)
    images = {str(container.get("image")) for container in added}
    if names.SIDECAR_CONTAINER in message or any(image in message for image in images):
        return Blame.OURS
    if quotas := _QUOTA.findall(message):
        fit = all(_fits(quota, before, after) for quota in quotas)
        return Blame.OURS if fit else Blame.THEIRS
    if ranges := _RANGE.findall(message):
        ours = any(_is_about(found, added, before, after) for found in ranges)
        return Blame.OURS if ours else Blame.THEIRS
    if " is invalid: " in message:
        return Blame.OURS  # the template was valid when its owner wrote it
    return Blame.LIKELY if _POLICY.search(message) else Blame.THEIRS


def _added(before: Json, after: Json) -> list[Json]:
    known = {container.get("name") for container in _containers(before)}
    return [item for item in _containers(after) if item.get("name") not in known]


def _containers(spec: Json) -> Iterable[Json]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _fits(quota: tuple[str, str, str], before: Json, after: Json) -> bool:
    """Whether the pod would have been within the quota without the sidecar."""
    try:
        requested, used, limits = (_pairs(text) for text in quota)
        return all(
            used[key] + requested[key] - _extra(key, before, after) <= limits[key]
            for key in requested
        )
    except (KeyError, ValueError):
        return False


def _pairs(text: str) -> Amounts:
    return {
        key: parse_quantity(value)
        for key, _, value in (part.rpartition("=") for part in text.split(","))
    }


def _extra(key: str, before: Json, after: Json) -> Decimal:
    """How much of a resource the sidecar adds; a quota may leave `requests.` out."""
    without, whole = pod_amounts(before), pod_amounts(after)
    known = key if key in whole else f"requests.{key}"
    return whole.get(known, Decimal(0)) - without.get(known, Decimal(0))


def _is_about(
    found: tuple[str, str, str, str, str, str], added: Iterable[Json], before: Json, after: Json
) -> bool:
    """Whether it is the sidecar that a limit range is about."""
    bound, resource, scope, limit, kind, value = found
    try:
        asked_for, allowed = parse_quantity(value), parse_quantity(limit)
        if scope == "Container":
            asked = [
                (container.get("resources") or {}).get(f"{kind}s", {}).get(resource)
                for container in added
            ]
            return any(text is not None and parse_quantity(text) == asked_for for text in asked)
        extra = _extra(f"{kind}s.{resource}", before, after)
        return bound == "maximum" and asked_for - extra <= allowed
    except ValueError:
        return False
