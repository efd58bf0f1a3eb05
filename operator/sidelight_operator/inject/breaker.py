"""Which workloads the circuit breaker keeps Sidelight out of, from an ObservedModel's status.

The controller writes it there; the webhook's watch brings it along, so no pod waits for a question.
"""

from collections.abc import Mapping
from typing import Any


def open_breakers(status: Mapping[str, Any], generation: int) -> frozenset[str]:
    """The workloads whose breaker is open. One that was tripped under another generation of the
    spec is closed, even before the controller has taken it out of the status.
    """
    found = status.get("breaker") or ()
    return frozenset(entry["workload"] for entry in found if entry.get("generation") == generation)
