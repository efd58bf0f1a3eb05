"""One round: every ObservedModel is looked at, its sidecars asked, its status written.

Level triggered: a round begins with what the API server has, not with what a watch has told, so a
lost event or a restart costs nothing. One model's failure never stops the others'.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sidelight_contract.names import ConditionType, Reason
from sidelight_operator.controller.attaching import Attaching, Credentials
from sidelight_operator.controller.breaker import Breaker, Installed, judge_breaker
from sidelight_operator.controller.changes import merge_patch
from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.comparing import Comparisons
from sidelight_operator.controller.decision import Plan, Scene
from sidelight_operator.controller.evaluate import Answer, Evaluation, Told, asks, evaluate
from sidelight_operator.controller.events import Teller
from sidelight_operator.controller.exporters import Exporters, asks_exporters
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.models import Model, parse_model
from sidelight_operator.controller.namespaces import Namespaces
from sidelight_operator.controller.objectives import ObjectivesKeeper
from sidelight_operator.controller.objects import ensure_config
from sidelight_operator.controller.pods import PodView, Refusal
from sidelight_operator.controller.rejections import find_rejections, list_rejections
from sidelight_operator.controller.rolling import Rolling
from sidelight_operator.controller.rollout import RolloutPlan
from sidelight_operator.controller.scraped import Scrapes, scraped_of
from sidelight_operator.controller.summary_key import Tokens
from sidelight_operator.controller.survey import Survey, survey
from sidelight_operator.controller.targets import Targets
from sidelight_operator.inject import InjectionSettings, NamespaceFacts
from sidelight_operator.kube import ConflictError, KubeClient, KubeError, NotFoundError

logger = logging.getLogger("sidelight.controller")

TokensOf = Callable[[str, datetime], Tokens]
"""The tokens of the ObservedModel with a uid, at a time."""


class Reconciler:
    """Holds what outlives a round: which Events were made, and which metrics' labels are in use."""

    def __init__(
        self,
        kube: KubeClient,
        collector: Collector,
        plan: Plan,
        *,
        installed: Installed,
        clock: Callable[[], datetime],
        tokens: TokensOf,
        models_at_once: int = 8,
        metrics: Metrics | None = None,
        injection: InjectionSettings | None = None,
        ended: Callable[[], None] = lambda: None,
        allow_full: bool = False,
        allow_visible_all: bool = False,
        exporters: Exporters | None = None,
    ) -> None:
        self._kube = kube
        self._collector = collector
        self._plan = plan
        self._installed = installed
        self._allow_full = allow_full
        self._allow_visible_all = allow_visible_all
        self._exporters = exporters or Exporters(kube, ())
        self._clock = clock
        self._slots = asyncio.Semaphore(models_at_once)
        self._ended = ended
        """Told of each model's end: of many, each may wait long for an API server that hangs."""
        self.metrics = metrics or Metrics()
        self._teller = Teller(kube, clock, self.metrics)
        self._tokens = tokens
        self._rolling = Rolling(kube, self.metrics)
        self._targets = Targets()
        self._namespaces = Namespaces(kube, clock, self.metrics)
        self._comparisons = Comparisons()
        self.scrapes = Scrapes()
        self._objectives = ObjectivesKeeper()
        self.generations: dict[str, int] = {}
        """Of the ObservedModels that the last round listed, by uid."""
        self._told: dict[str, set[tuple[str, Reason]]] = {}
        injection = injection or InjectionSettings(installed.image)
        self._attaching = Attaching(kube, collector, injection, clock)

    async def round(self, due: float | None = None) -> None:
        """Look at every model once.

        Args:
            due: since when the round was due, on the monotonic clock; None: since now.

        Raises:
            KubeError: not even the list of ObservedModels could be read.
        """
        started = time.monotonic()
        models = [parse_model(body) for body in await self._kube.list_models()]
        self.generations = {model.uid: model.generation for model in models}
        self.metrics.models.set(len(models))
        self.metrics.breakers_open.clear()
        self.metrics.pods_outdated.clear()
        self.metrics.versions_differ.clear()
        self.metrics.gpus_unhealthy.clear()
        self.metrics.pods_selected.clear()
        self.metrics.pods_not_observed.clear()
        known = {model.uid for model in models}
        self._told = {uid: told for uid, told in self._told.items() if uid in known}
        self._targets.forget_models(but=known)
        self._comparisons.forget_models(but=known)
        self.scrapes.forget_models(but=known)
        self._objectives.forget_models(but=known)
        self._namespaces.forget(but=(model.namespace for model in models))
        neighbours: dict[str, list[Model]] = {}
        for model in models:
            neighbours.setdefault(model.namespace, []).append(model)
        async with asyncio.TaskGroup() as tasks:
            for model in models:
                around = neighbours[model.namespace]
                tasks.create_task(self._guarded(model, around, due or started))
        self.scrapes.known = True
        await self._attaching.end_forgotten(models)
        self.metrics.round_seconds.observe(time.monotonic() - started)

    async def _guarded(self, model: Model, neighbours: Sequence[Model], due: float) -> None:
        async with self._slots:
            self.metrics.queue_age_seconds.observe(time.monotonic() - due)
            try:
                with self.metrics.reconcile_seconds.time():
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
            finally:
                self._ended()

    async def _reconcile(self, model: Model, neighbours: Sequence[Model]) -> None:
        told = self._told.setdefault(model.uid, set())
        seen, breaker = Survey(), Breaker()
        attached: Sequence[Told] = ()
        rollout: RolloutPlan | None = None
        answers: dict[str, Answer] = {}
        comparing = self._comparisons.due(model, self._clock())
        judging = self._objectives.due(model, self._clock())
        if model.spec is None:
            why = f"the spec is not understood by this release: {model.spec_error}"
            problem: Refusal | None = Refusal(Reason.SPEC_NOT_UNDERSTOOD, why)
            self.scrapes.saw(model.uid, ())
        else:
            tokens = self._tokens(model.uid, self._clock())
            problem = await ensure_config(
                self._kube, model, tokens.accepted,
                allow_full=self._allow_full, allow_visible_all=self._allow_visible_all,
            )  # fmt: skip
            facts = await self._namespaces.facts_of(model.namespace)
            seen, breaker = await self._look(model, neighbours, facts)
            self.scrapes.saw(model.uid, scraped_of(model.namespace, seen.pods))
            credentials = Credentials(tokens.send, tokens.accepted)
            await self._attaching.keep_up(model, seen.pods, credentials)
            answers = await self._answers(
                model, seen.pods, tokens.send, strata=comparing, slo_history=judging
            )
            await self._attaching.configure(model, answers)
            pods, attached = await self._attaching.proceed(
                model, facts.labels, (seen.pods, answers), credentials
            )
            seen = replace(seen, pods=pods)
            rollout = await self._rolling.plan(model, seen.pods, breaker_open=bool(breaker.entries))
        compare = self._comparisons.proceed(model, seen.pods, answers, self._clock(), due=comparing)
        objectives = self._objectives.proceed(model, seen.pods, answers, self._clock(), due=judging)
        result = evaluate(
            model, seen.pods, answers, self._clock(),
            breaker=breaker, rollout=rollout, problem=problem, told=told, compare=compare,
            objectives=objectives, allow_full=self._allow_full,
            allow_visible_all=self._allow_visible_all, exporters_problem=self._exporters.problem,
        )  # fmt: skip
        self._count(model, len(seen.pods), result)
        # Events first: what the status says already would not be told by a controller that comes
        # after this one. Told twice, they are the same Event.
        rolled = self._rolling.events(rollout) if rollout else ()
        for event in (*attached, *result.events, *rolled):
            await self._teller.tell(model, event)
            told.add((event.subject, event.reason))
        await self._write(model, result)
        await self._replace(model, breaker)
        if rollout:
            await self._rolling.carry_out(model, rollout)
        subjects = {pod.name for pod in seen.pods}
        told.intersection_update({pair for pair in told if pair[0] in subjects})

    async def _look(
        self, model: Model, neighbours: Sequence[Model], facts: NamespaceFacts
    ) -> tuple[Survey, Breaker]:
        scene = Scene(model, neighbours, facts, self._plan, self._clock())
        seen = await survey(self._kube, scene, self._targets)
        events = await list_rejections(self._kube, model.namespace)
        rejections = await find_rejections(self._kube, events, scene)
        pods = (*seen.pods, *seen.failed)
        return seen, judge_breaker(model, self._installed, pods, rejections, scene.now)

    async def _replace(self, model: Model, breaker: Breaker) -> None:
        """Delete stuck pods that never served; their owners make them anew, without a sidecar."""
        for pod in breaker.replace:
            assert pod.trouble is not None
            with suppress(NotFoundError, ConflictError):
                await self._kube.delete_pod(
                    model.namespace, pod.name, uid=pod.uid, resource_version=pod.resource_version
                )
                self.metrics.pods_replaced.labels(pod.trouble.reason).inc()
                logger.info(
                    "stuck pod replaced",
                    extra={"model": model.key, "pod": pod.name, "reason": pod.trouble.reason},
                )

    async def _answers(
        self, model: Model, pods: Sequence[PodView], token: str, *, strata: bool, slo_history: bool
    ) -> dict[str, Answer]:
        assert model.spec is not None
        gpu = model.spec.gpu
        asked = [pod for pod in pods if asks(model, pod)]
        if asks_exporters(gpu) and any(pod.gpu for pod in asked):
            await self._exporters.refresh()
        async with asyncio.TaskGroup() as tasks:
            waiting = {
                pod.uid: tasks.create_task(
                    self._collector.collect(
                        pod.ip,
                        token,
                        pod.injection.admin_port,
                        strata=strata,
                        slo_history=slo_history,
                        accelerators=self._exporters.told(pod.node, gpu) if pod.gpu else "",
                    )
                )
                for pod in asked
            }
        return {uid: task.result() for uid, task in waiting.items()}

    def _count(self, model: Model, selected: int, result: Evaluation) -> None:
        labels = (model.namespace, model.name)
        self.metrics.pods_selected.labels(*labels).set(selected)
        self.metrics.breakers_open.labels(*labels).set(len(result.status.breaker))
        false = {c.type for c in result.status.conditions if c.status == "False"}
        differ, unwell = ConditionType.VERSION_CONSISTENT, ConditionType.GPU_HEALTHY
        self.metrics.versions_differ.labels(*labels).set(differ in false)
        self.metrics.gpus_unhealthy.labels(*labels).set(unwell in false)
        if result.status.pods is not None:
            self.metrics.pods_outdated.labels(*labels).set(result.status.pods.outdated)
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


_COLLECT_REASONS = frozenset(
    {Reason.SIDECAR_UNREACHABLE, Reason.SIDECAR_REFUSED_TOKEN, Reason.SUMMARY_NOT_UNDERSTOOD}
)
