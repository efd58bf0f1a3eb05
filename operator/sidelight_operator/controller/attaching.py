"""Live attach, round by round: taps are added, asked with a token of their own, told what their
configuration is by now, and told to end.

What is kept here between rounds costs nothing when it is lost: a refusal is tried again, and a tap
that nobody tells to end does so when its lease is over.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sidelight_contract.config import SidecarConfig, encode_config
from sidelight_contract.names import Reason
from sidelight_contract.summary import Summary
from sidelight_operator.attach.add import Target, add_tap
from sidelight_operator.attach.plan import Attached, Candidate, Plan, Why, plan
from sidelight_operator.attach.taps import Tap
from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.evaluate import Answer, Told
from sidelight_operator.controller.models import Model
from sidelight_operator.controller.objects import sidecar_config
from sidelight_operator.controller.pods import PodView, Refusal
from sidelight_operator.inject import InjectionSettings, NamespaceFacts
from sidelight_operator.kube import KubeClient

logger = logging.getLogger("sidelight.controller")

REFUSED_FOR = timedelta(minutes=10)
"""After a refusal of the API server nothing is attached for that long: it would say the same of
the next pod."""
_WITHOUT_TAP = frozenset(
    {Reason.ATTACH_PENDING, Reason.CREATED_BEFORE_MODEL, Reason.WEBHOOK_MISSED}
)
END_TRIES = 30
"""Rounds in which a tap that does not answer is told to end; then its lease has to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a model's sidecars are asked with, and the SHA-256 of all that they are to accept."""

    token: str
    accepted: tuple[str, ...]

    @classmethod
    def of(cls, token: str | None) -> "Credentials | None":
        """Those of one token."""
        if token is None:
            return None
        return cls(token, (hashlib.sha256(token.encode()).hexdigest(),))


@dataclass(frozen=True, slots=True)
class _Known:
    """A tap that runs. `told`: the hashes that it knows; `refused`: the revision of the
    configuration that it did not take; `tries`: how often it was told to end in vain.
    """

    pod: str
    where: tuple[str, int]
    token: str
    told: str
    refused: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class _Refused:
    """The API server's last refusal for a model."""

    uid: str
    why: Why
    until: datetime


class Attaching:
    """Holds what outlives a round: refusals, and the taps of pods that may be unselected."""

    def __init__(
        self,
        kube: KubeClient,
        collector: Collector,
        settings: InjectionSettings,
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._collector = collector
        self._settings = settings
        self._clock = clock
        self._refused: dict[str, _Refused] = {}
        self._known: dict[str, dict[str, _Known]] = {}

    async def keep_up(
        self, model: Model, pods: Sequence[PodView], credentials: Credentials | None
    ) -> None:
        """Tell the taps that were not told yet what they are to accept from now on, and those whose
        pods `model` selects no more to end.
        """
        if credentials is not None:
            for pod in pods:
                if pod.tap is not None and pod.model == model.name:
                    await self._know(model, pod, pod.tap, credentials)
        selected = {pod.uid for pod in pods}
        await self._end(model.uid, selected, f"ObservedModel {model.name}")

    async def _know(self, model: Model, pod: PodView, tap: Tap, credentials: Credentials) -> None:
        known = self._known.setdefault(model.uid, {})
        before = known.get(pod.uid)
        told, wanted = before.told if before else tap.token_sha256, ",".join(credentials.accepted)
        where = (pod.ip, pod.injection.admin_port)
        if told != wanted and await self._collector.tell_tokens(where, credentials.token, wanted):
            told = wanted
        refused = before.refused if before else ""
        known[pod.uid] = _Known(pod.name, where, credentials.token, told, refused)

    async def configure(self, model: Model, answers: Mapping[str, Answer]) -> None:
        """Tell the taps that answered with another configuration than the model's what it is now.
        One that refused it is not told the same again.
        """
        config = sidecar_config(model, ships=False)
        async with asyncio.TaskGroup() as tasks:
            for uid, tap in self._known.get(model.uid, {}).items():
                answer = answers.get(uid)
                if not isinstance(answer, Summary) or tap.refused == config.revision:
                    continue
                if answer.sidecar.config_revision != config.revision:
                    tasks.create_task(self._configure(model.uid, uid, config))

    async def _configure(self, model_uid: str, uid: str, config: SidecarConfig) -> None:
        tap = self._known[model_uid][uid]
        taken = await self._collector.tell_config(tap.where, tap.token, encode_config(config))
        what = {"pod": tap.pod, "revision": config.revision}
        if taken:
            logger.info("tap configured", extra=what)
        elif taken is not None:
            self._known[model_uid][uid] = replace(tap, refused=config.revision)
            logger.warning("tap refused its configuration", extra=what)

    async def proceed(
        self,
        model: Model,
        namespace_labels: Mapping[str, str],
        seen: tuple[Sequence[PodView], Mapping[str, Answer]],
        credentials: Credentials | None,
    ) -> tuple[tuple[PodView, ...], list[Told]]:
        """Add the next tap, if it is time for one; the pods with what is to be said of them."""
        pods, answers = seen
        told = [_told(name) for name in _untold(model, pods)]
        candidates = [pod.candidate for pod in pods if pod.candidate is not None]
        if not candidates or credentials is None:
            return tuple(pods), told
        chosen = self._plan(model, candidates, pods, answers)
        why = dict(chosen.why)
        if (pod := chosen.next) is not None:
            config = encode_config(sidecar_config(model, ships=False)).decode()
            facts = NamespaceFacts(dict(namespace_labels))
            target = Target(model.namespace, facts, self._settings, config, credentials.accepted)
            refused = await add_tap(self._kube, pod, target)
            if refused is not None:
                why[pod.uid] = refused
                until = self._clock() + REFUSED_FOR
                self._refused[model.uid] = _Refused(pod.uid, refused, until)
            else:
                logger.info("tap added", extra={"model": model.key, "pod": pod.name})
                told.append(_told(pod.name))
        shown = tuple(
            replace(view, refusal=Refusal(*why[view.uid])) if view.uid in why else view
            for view in pods
        )
        return shown, told

    async def end_forgotten(self, models: Sequence[Model]) -> None:
        """Tell the taps of ObservedModels that are gone to end."""
        here = {model.uid for model in models}
        self._refused = {uid: item for uid, item in self._refused.items() if uid in here}
        for uid in [uid for uid in self._known if uid not in here]:
            await self._end(uid, set(), "its ObservedModel was deleted and")

    def _plan(
        self,
        model: Model,
        candidates: Sequence[Candidate],
        pods: Sequence[PodView],
        answers: Mapping[str, Answer],
    ) -> Plan:
        attached = [
            Attached(pod.name, pod.uid, pod.tap)
            for pod in pods
            if pod.tap is not None
            and pod.tap.record is not None
            and pod.tap.record.model == model.name
        ]
        answering = {uid for uid, answer in answers.items() if isinstance(answer, Summary)}
        last = self._refused.get(model.uid)
        refused = {last.uid: last.why} if last and self._clock() < last.until else {}
        return plan(candidates, attached, answering, refused=refused)

    async def _end(self, model_uid: str, selected: set[str], who: str) -> None:
        known = self._known.get(model_uid, {})
        for uid in [uid for uid in known if uid not in selected]:
            tap = known.pop(uid)
            why = f"{who} no longer selects pod {tap.pod}"
            if await self._collector.end(tap.where, tap.token, why):
                logger.info("tap told to end", extra={"pod": tap.pod, "why": why})
            elif tap.tries + 1 < END_TRIES:
                known[uid] = replace(tap, tries=tap.tries + 1)
        if not known:
            self._known.pop(model_uid, None)


def _untold(model: Model, pods: Sequence[PodView]) -> list[str]:
    """Pods that have a tap of the model, and of which the status does not know that yet: who added
    it did not come to write it down. Told twice, it is the same Event.
    """
    tapped = [pod.name for pod in pods if pod.tap is not None and pod.model == model.name]
    if (known := model.status.get("pods")) is None:
        return tapped
    without = {
        item.get("name")
        for item in known.get("notObserved") or ()
        if item.get("reason") in _WITHOUT_TAP
    }
    return [name for name in tapped if name in without]


def _told(pod: str) -> Told:
    message = (
        f"pod {pod} was running already and got an ephemeral container that reads its packets; it "
        "was not restarted, and nothing is in its path"
    )
    return Told("Normal", Reason.ATTACHED_TO_RUNNING_POD, message, pod=pod)
