"""Events, as `kubectl describe` shows them: of the ObservedModel, and of the workload they concern.

Rules:
1. An Event's name follows from what it says, so that one which is told again, by a controller that
   was restarted, is the one that is there already.
2. An Event that cannot be written is counted and logged; it never ends a round.
"""

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime

from sidelight_operator.controller.evaluate import Told
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.models import Model, format_time
from sidelight_operator.kube import Json, KubeClient, KubeError

logger = logging.getLogger("sidelight.controller")

_MESSAGE_LIMIT = 1000


class Teller:
    """Writes Events."""

    def __init__(self, kube: KubeClient, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._kube = kube
        self._clock = clock
        self._metrics = metrics

    async def tell(self, model: Model, told: Told) -> None:
        """Write `told`, on the workload too when it concerns one that is there."""
        logger.info(
            "told",
            extra={"reason": told.reason, "model": model.key, "subject": told.subject},
        )  # fmt: skip
        try:
            await self._write(model, told, model.reference())
            if told.workload and (target := await self._workload(model, told.workload)):
                await self._write(model, told, target)
        except KubeError as error:
            self._metrics.errors.labels("Event").inc()
            logger.warning("event not written", extra={"model": model.key, "error": str(error)})

    async def _workload(self, model: Model, workload: str) -> Json | None:
        kind, _, name = workload.partition("/")
        found = await self._kube.get_workload(model.namespace, kind, name)
        if found is None:
            return None
        return {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "name": name,
            "uid": found["metadata"]["uid"],
        }

    async def _write(self, model: Model, told: Told, target: Json) -> None:
        now = format_time(self._clock())
        said = "\0".join((model.uid, target["uid"], told.subject, told.reason, told.occasion))
        body: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{target['name']}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
                "namespace": model.namespace,
            },
            "involvedObject": {**target, "namespace": model.namespace},
            "reason": told.reason,
            "message": told.message[:_MESSAGE_LIMIT],
            "type": told.type,
            "source": {"component": "sidelight-controller"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._kube.create_event(model.namespace, body)
