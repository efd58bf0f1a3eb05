"""Versions that no sidecar told of in this round: with their last numbers they stay in the status.

Pure; what there is to remember stands in the status itself, so a controller that starts anew knows
as much. Rules:
1. A version is silent while a pod of its (of an adapter: of its pods' version) did not answer: what
   it would tell is not known. It has ended when no pod has it any more, or, of an adapter, when all
   such pods answered and none has had a request for it (they, or their sidecars, began anew).
2. Its numbers are those that were told last, and are not touched again: a status that does not
   change is not written. So is the time since when it is so.
3. What has ended stays for `KEPT`; what never had a request is not kept at all.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from sidelight_contract.status import MAX_VERSIONS, VersionStatus
from sidelight_contract.versions import parted
from sidelight_operator.controller.models import Model, format_time, parse_time

KEPT = timedelta(hours=24)

SERVING: Literal["Serving"] = "Serving"
SILENT: Literal["Silent"] = "Silent"
ENDED: Literal["Ended"] = "Ended"


def versions_before(model: Model) -> list[VersionStatus]:
    """Those of the round before; what cannot be read is forgotten."""
    found = []
    for told in model.status.get("versions") or ():
        try:
            found.append(VersionStatus.model_validate(told))
        except ValidationError:
            continue
    return found


def with_untold(
    before: Sequence[VersionStatus],
    told: Sequence[VersionStatus],
    names: Collection[str],
    unheard: Collection[str] | None,
    now: datetime,
) -> list[VersionStatus]:
    """The versions to show: those told of, then the silent ones, then those that ended, newest
    first; at most `MAX_VERSIONS`.

    Args:
        before: those of the round before.
        told: those of this round, in their order.
        names: of all that this round told of, shown or not.
        unheard: versions of pods that did not answer; None: no pod was asked.
        now: the time.
    """
    silent, ended = [], []
    for version in before:
        if version.name in names or not version.requests:
            continue
        if unheard is None or parted(version.name)[0] in unheard:
            silent.append(_since(version, SILENT, now))
        else:
            found = _since(version, ENDED, now)
            if now - _time(found.last_seen, now) < KEPT:
                ended.append(found)
    ended.sort(key=lambda version: _time(version.last_seen, now), reverse=True)
    return [*told, *silent, *ended][:MAX_VERSIONS]


def _since(
    version: VersionStatus, state: Literal["Silent", "Ended"], now: datetime
) -> VersionStatus:
    if version.state == state and _is_past(version.last_seen, now):
        return version
    return version.model_copy(update={"state": state, "last_seen": format_time(now), "pods": 0})


def _is_past(text: str | None, now: datetime) -> bool:
    return text is not None and _time(text, now + KEPT) <= now


def _time(text: str | None, otherwise: datetime) -> datetime:
    """What `text` says, where that is a time."""
    try:
        found = parse_time(text or "")
    except ValueError:
        return otherwise
    return found if found.tzinfo is not None else otherwise
