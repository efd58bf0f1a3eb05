"""Adds the container to one pod: as the controller, or as the user of `sidelight attach`."""

from dataclasses import dataclass
from typing import Any, Protocol

from sidelight_contract.names import Reason
from sidelight_operator.attach.plan import Candidate, Why
from sidelight_operator.inject import InjectionSettings, NamespaceFacts
from sidelight_operator.inject.tap import POD_SECURITY, ephemeral_tap
from sidelight_operator.kube import KubeError

Json = dict[str, Any]

LEASE_SECONDS = 24 * 3600
"""How long a tap goes on when nobody asks for its summary. Default a day: it can never be started
again, so a controller that is away for a night must not end it; and who removes Sidelight without
a word has taps for a day more."""
_GONE = (404, 409)
_UNDECIDED = (0, 401, 429)
_SERVER_ERROR = 500
_BASELINE = NamespaceFacts({POD_SECURITY: "baseline"})


class AttachClient(Protocol):
    """What is asked of Kubernetes here."""

    async def add_ephemeral_container(
        self, namespace: str, pod: str, uid: str, container: Json
    ) -> None:
        """Add a container to a pod that runs, if it still is the one with this uid."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What a tap is for and in which surroundings."""

    namespace: str
    facts: NamespaceFacts
    settings: InjectionSettings
    config: str
    """The sidecar's configuration, as JSON."""
    token_sha256: tuple[str, ...]
    """By what it knows who may ask it."""


async def add_tap(kube: AttachClient, pod: Candidate, target: Target) -> Why | None:
    """Add a tap to `pod`.

    Returns:
        Why it was refused; None when it was added, or the pod is not there any more.

    Raises:
        KubeError: there was no answer that decides anything; the pod itself says what became of it.
    """
    try:
        await _add(kube, pod, target, target.facts)
    except KubeError as error:
        if 'violates PodSecurity "baseline' not in str(error):
            return _refusal(error)
        try:  # a level that is the cluster's default is in no label: then as if it were
            await _add(kube, pod, target, _BASELINE)
        except KubeError as again:
            return _refusal(again)
    return None


async def _add(kube: AttachClient, pod: Candidate, target: Target, facts: NamespaceFacts) -> None:
    container = tap_for(pod, target, facts)
    await kube.add_ephemeral_container(target.namespace, pod.name, pod.uid, container)


def tap_for(pod: Candidate, target: Target, facts: NamespaceFacts) -> Json:
    """The container for `pod`."""
    return ephemeral_tap(
        target.settings, pod.record, facts,
        config=target.config, token_sha256=",".join(target.token_sha256),
        lease_seconds=LEASE_SECONDS,
    )  # fmt: skip


def _refusal(error: KubeError) -> Why | None:
    if error.status in _GONE:
        return None
    if error.status in _UNDECIDED or error.status >= _SERVER_ERROR:
        raise error
    return Why(Reason.ATTACH_REFUSED, _explained(str(error)))


def _explained(message: str) -> str:
    if 'cannot patch resource "pods/ephemeralcontainers"' in message:
        return (
            f"{message}. The chart's value liveAttach.enabled=true gives that right; or attach as "
            "yourself, with kubectl sidelight attach"
        )
    return message
