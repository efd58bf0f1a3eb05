"""What a pod's own object says of its tap: whether there is one, for whom, and how it is.

The record that injection would write to an annotation is in the container's environment: nothing
about a running pod is changed but that the container was added.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from sidelight_contract import names
from sidelight_contract.injection import InjectionRecord, decode_record

Json = dict[str, Any]
_LIMIT = 300


class TapState(StrEnum):
    """How far a tap is."""

    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Tap:
    """The tap in a pod. `record` is None when the container is not of our making."""

    record: InjectionRecord | None
    state: TapState
    token_sha256: str = ""
    """By what it knew, when it was added, who may ask it."""
    failed: bool = False
    """It ended with an error, and not because it was told to."""
    message: str = ""
    """Why it does not run (any more), as far as the pod's status says."""


def tap_of(pod: Json) -> Tap | None:
    """The tap in `pod`; None when it has none."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    container = _named(spec.get("ephemeralContainers"))
    if container is None:
        return None
    record = decode_record(_variable(container, names.TAP_RECORD_VARIABLE))
    known = _argument(container, "--token-sha256")
    state = (_named(status.get("ephemeralContainerStatuses")) or {}).get("state") or {}
    if "running" in state:
        return Tap(record, TapState.RUNNING, known)
    if (ended := state.get("terminated")) is not None:
        code = ended.get("exitCode", 0)
        why = _why(str(ended.get("message") or "")) or f"{ended.get('reason', '')} ({code})"
        return Tap(record, TapState.ENDED, known, failed=code != 0, message=why)
    waiting = state.get("waiting") or {}
    said = [str(waiting[key]) for key in ("reason", "message") if waiting.get(key)]
    return Tap(record, TapState.STARTING, known, message=": ".join(said)[:_LIMIT])


def _named(entries: Any) -> Json | None:
    return next((item for item in entries or () if item.get("name") == names.TAP_CONTAINER), None)


def _variable(container: Json, name: str) -> str:
    for entry in container.get("env") or ():
        if entry.get("name") == name:
            return str(entry.get("value") or "")
    return ""


def _argument(container: Json, flag: str) -> str:
    for word, value in pairwise(container.get("args") or ()):
        if word == flag:
            return str(value)
    return ""


def _why(message: str) -> str:
    """The last words: a sentence, or the end of a log, of which the last `why` is the cause."""
    for line in reversed(message.strip().splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("why"):
            return str(entry["why"])[:_LIMIT]
    return message.strip()[:_LIMIT]
