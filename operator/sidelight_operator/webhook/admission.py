"""One review: decide, and turn the decision into an answer. It never refuses a pod."""

import logging
from collections.abc import Callable, Mapping, MutableSequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from sidelight_contract.names import Reason
from sidelight_operator.inject import Decision, InjectionSettings, Outcome, decide
from sidelight_operator.inject.types import Json
from sidelight_operator.webhook.view import ClusterView

logger = logging.getLogger("sidelight.webhook")

Apply = Callable[[Callable[[Json], None]], None]
"""Registers a function that changes the pod in place; it may be called more than once."""


class Admission:
    """Answers reviews from the present view of the cluster."""

    def __init__(
        self, view: ClusterView, settings: InjectionSettings, registry: CollectorRegistry
    ) -> None:
        self._view = view
        self._settings = settings
        self._injections = Counter(
            "sidelight_injections", "Pods reviewed, by what became of them and why.",
            ("outcome", "reason"), registry=registry,
        )  # fmt: skip

    def review(
        self,
        pod: Mapping[str, Any],
        namespace: str,
        apply: Apply,
        warnings: MutableSequence[str],
    ) -> None:
        """Decide about `pod`. Whatever goes wrong here, the pod is admitted as it is: an exception
        out of a handler would refuse it (kopf answers `allowed: false`), whatever `failurePolicy`.
        """
        try:
            decision = decide(
                dict(pod),  # `decide` copies what it changes
                self._view.facts_of(namespace),
                self._view.models_in(namespace),
                self._settings,
            )
        except Exception:
            self._injections.labels("error", Reason.INJECTION_FAILED).inc()
            logger.exception("injection failed", extra={"namespace": namespace})
            warnings.append("Sidelight could not decide about this pod and left it as it is")
            return
        self._injections.labels(decision.outcome, decision.reason).inc()
        if decision.reason is not Reason.NO_MODEL_MATCHES:
            self._say(decision, pod, namespace)
        if decision.patched is not None:
            patched = decision.patched
            apply(lambda body: _replace(body, patched))
        elif decision.reason is not Reason.NO_MODEL_MATCHES:
            warnings.append(f"Sidelight does not observe this pod: {decision.message}"[:240])

    def _say(self, decision: Decision, pod: Mapping[str, Any], namespace: str) -> None:
        metadata = pod.get("metadata") or {}
        logger.info(
            "injected" if decision.outcome is Outcome.INJECT else "left alone",
            extra={
                "reason": decision.reason.value,
                "namespace": namespace,
                "pod": metadata.get("name") or metadata.get("generateName") or "",
                "model": decision.model,
                "mode": decision.mode.value if decision.mode else "",
            },
        )


def _replace(body: Json, patched: Json) -> None:
    """Make `body` equal to `patched`, in place; kopf only compares it with the pod then."""
    for key in ("metadata", "spec"):
        body[key] = patched[key]
