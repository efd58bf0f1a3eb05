"""One round: every ObservedModel is looked at, its sidecars asked, its status written.

Level triggered: a round begins with what the API server has, not with what a watch has told, so a
lost event or a restart costs nothing. One model's failure never stops the others'.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from sidelight_contract.names import Reason
from sidelight_operator.controller.changes import merge_patch
from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.evaluate import Answer, Evaluation, Told, asks, evaluate
from sidelight_operator.controller.explain import Explain, refusal_of
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.models import Model, format_time, parse_model, selector_text
from sidelight_operator.controller.objects import ensure_objects
from sidelight_operator.controller.pods import (
    PodView,
    Refusal,
    is_injected,
    is_selected,
    view_pod,
)
from sidelight_operator.kube import Json, KubeClient, KubeError, NotFoundError

logger = logging.getLogger("sidelight.controller")


class Reconciler:
    """Holds what outlives a round: which Events were made, and which metrics' labels are in use."""

    def __init__(
        self,
        kube: KubeClient,
        collector: Collector,
        explain: Explain,
        *,
        clock: Callable[[], datetime],
        models_at_once: int = 8,
        metrics: Metrics | None = None,
    ) -> None:
        self._kube = kube
        self._collector = collector
        self._explain = explain
        self._clock = clock
        self._slots = asyncio.Semaphore(models_at_once)
        self.metrics = metrics or Metrics()
        self._told: dict[str, set[tuple[str, Reason]]] = {}

    async def round(self) -> None:
        """Look at every model once.

        Raises:
            KubeError: not even the list of ObservedModels could be read.
        """
        started = time.monotonic()
        models = [parse_model(body) for body in await self._kube.list_models()]
        self.metrics.models.set(len(models))
        self.metrics.pods_selected.clear()
        self.metrics.pods_not_observed.clear()
        known = {model.uid for model in models}
        self._told = {uid: told for uid, told in self._told.items() if uid in known}
        neighbours: dict[str, list[Model]] = {}
        for model in models:
            neighbours.setdefault(model.namespace, []).append(model)
        async with asyncio.TaskGroup() as tasks:
            for model in models:
                tasks.create_task(self._guarded(model, neighbours[model.namespace]))
        self.metrics.round_seconds.observe(time.monotonic() - started)

    async def _guarded(self, model: Model, neighbours: Sequence[Model]) -> None:
        async with self._slots:
            try:
                await self._reconcile(model, neighbours)
            except NotFoundError:
                logger.info("observed model went away", extra={"model": model.key})
            except KubeError as error:
                self.metrics.errors.labels("KubeError").inc()
                logger.warning(
                    "round of a model failed", extra={"model": model.key, "error": str(error)}
                )
            except Exception as error:  # a fault of ours with one model must not blind the others
                self.metrics.errors.labels(type(error).__name__).inc()
                logger.exception("round of a model failed", extra={"model": model.key})

    async def _reconcile(self, model: Model, neighbours: Sequence[Model]) -> None:
        told = self._told.setdefault(model.uid, set())
        pods: list[PodView] = []
        answers: dict[str, Answer] = {}
        if model.spec is None:
            why = f"the spec is not understood by this release: {model.spec_error}"
            problem: Refusal | None = Refusal(Reason.SPEC_NOT_UNDERSTOOD, why)
        else:
            token, problem = await ensure_objects(self._kube, model)
            pods = await self._pods(model, neighbours)
            answers = await self._answers(model, pods, token)
        result = evaluate(model, pods, answers, self._clock(), problem=problem, told=told)
        self._count(model, len(pods), result)
        await self._write(model, result)
        for event in result.events:
            await self._tell(model, event)
            told.add((event.pod, event.reason))
        names = {pod.name for pod in pods}
        told.intersection_update({pair for pair in told if pair[0] in names})

    async def _pods(self, model: Model, neighbours: Sequence[Model]) -> list[PodView]:
        assert model.spec is not None
        labels: dict[str, str] | None = None
        views = []
        selector = selector_text(model.spec.selector)
        async for pod in self._kube.list_pods(model.namespace, selector):
            if not is_selected(pod):
                continue
            refusal = None
            if not is_injected(pod):
                if labels is None:
                    labels = await self._kube.get_namespace_labels(model.namespace)
                refusal = refusal_of(pod, labels, model, neighbours, self._explain)
            views.append(view_pod(pod, model.spec.version.labels, refusal))
        return views

    async def _answers(
        self, model: Model, pods: Sequence[PodView], token: str | None
    ) -> dict[str, Answer]:
        asked = [pod for pod in pods if asks(model, pod)]
        async with asyncio.TaskGroup() as tasks:
            waiting = {
                pod.uid: tasks.create_task(self._collector.collect(pod.ip, token)) for pod in asked
            }
        return {uid: task.result() for uid, task in waiting.items()}

    def _count(self, model: Model, selected: int, result: Evaluation) -> None:
        labels = (model.namespace, model.name)
        self.metrics.pods_selected.labels(*labels).set(selected)
        for reason, count in result.not_observed.items():
            self.metrics.pods_not_observed.labels(*labels, reason).set(count)
            if reason in _COLLECT_REASONS:
                self.metrics.collect_failures.labels(reason).inc(count)

    async def _write(self, model: Model, result: Evaluation) -> None:
        after = result.status.model_dump(by_alias=True, exclude_none=True, mode="json")
        patch = merge_patch(model.status, after)
        if patch:
            await self._kube.patch_model_status(model.namespace, model.name, patch)
            self.metrics.status_writes.inc()

    async def _tell(self, model: Model, told: Told) -> None:
        """An Event's name follows from what it says, so a restart does not tell it again."""
        now = self._clock()
        said = "\0".join((model.uid, told.pod, told.reason, "" if told.pod else format_time(now)))
        body: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{model.name}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
                "namespace": model.namespace,
            },
            "involvedObject": {**model.reference(), "namespace": model.namespace},
            "reason": told.reason,
            "message": told.message[:1000],
            "type": told.type,
            "source": {"component": "sidelight-controller"},
            "firstTimestamp": format_time(now),
            "lastTimestamp": format_time(now),
            "count": 1,
        }
        try:
            await self._kube.create_event(model.namespace, body)
        except KubeError as error:
            self.metrics.errors.labels("Event").inc()
            logger.warning("event not written", extra={"model": model.key, "error": str(error)})


_COLLECT_REASONS = frozenset(
    {Reason.SIDECAR_UNREACHABLE, Reason.SIDECAR_REFUSED_TOKEN, Reason.SUMMARY_NOT_UNDERSTOOD}
)
