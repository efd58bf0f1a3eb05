"""Sidelight's own objects kept in order: the webhook's configuration and certificates, and the key
of the summaries' tokens. A task of its own beside the rounds: a namespace's first ObservedModel is
told to the API server at once, not when a round over all models has ended.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from prometheus_client import Gauge

from sidelight_contract.names import Reason
from sidelight_operator.certificates.expiry import expiry_gauge
from sidelight_operator.certificates.keep import CertificateKeeper, SecretKube
from sidelight_operator.certificates.plan import What
from sidelight_operator.controller.installation import Installation
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.models import format_time
from sidelight_operator.controller.summary_key import (
    Keys,
    Tokens,
    key_data,
    read_keys,
    rotated,
    tokens_of,
)
from sidelight_operator.controller.watch import Changes
from sidelight_operator.controller.webhook_configuration import (
    AdmissionKube,
    WebhookConfiguration,
)
from sidelight_operator.kube import Json, KubeError

logger = logging.getLogger("sidelight.controller")

LOOK_SECONDS = 30.0
"""Between two looks when no ObservedModel comes or goes: how soon damage is repaired."""
RETRY_SECONDS = 2.0
"""After a look that failed."""
LED_SECONDS = 0.2
"""Between two looks at whether this is the controller that leads."""
_FORBIDDEN = 403
_KEY = "SummaryKey"

_REASONS = {
    What.MAKE_AUTHORITY: Reason.AUTHORITY_RENEWED,
    What.MAKE_SERVING: Reason.CERTIFICATE_RENEWED,
}


class OwnKube(AdmissionKube, SecretKube, Protocol):
    """What this module asks of Kubernetes; raises KubeError."""

    async def list_models(self) -> list[Json]:
        """All ObservedModels."""
        ...

    async def create_event(self, namespace: str, body: Json) -> None:
        """Create an Event."""
        ...


class OwnObjects:
    """Keeps them. Until `has_key` the `tokens` are of a key that nobody else knows: a round with
    them would give every sidecar a token for a moment.
    """

    def __init__(
        self,
        kube: OwnKube,
        installation: Installation | None,
        *,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        self._kube = kube
        self._installation = installation
        self._clock = clock
        self._errors = metrics.errors
        self._keys: Keys = rotated(None, clock())
        self.kept = installation is None
        """Whether everything was once in order, as after an installation it soon must be."""
        self.has_key = installation is None
        """Whether the key was read or written, or the API server will not have us read it."""
        self._certificates: CertificateKeeper | None = None
        self._configuration: WebhookConfiguration | None = None
        if installation is None:
            return
        if installation.keeps_certificates or installation.keeps_namespaces:
            self._configuration = WebhookConfiguration(
                kube, installation.name, keeps_bundle=installation.keeps_certificates,
                keeps_namespaces=installation.keeps_namespaces,
            )  # fmt: skip
        if installation.keeps_certificates:
            self._certificates = self._keeper(installation, expiry_gauge(metrics.registry))

    def _keeper(self, installation: Installation, expiry: Gauge) -> CertificateKeeper:
        return CertificateKeeper(
            self._kube, installation.namespace,
            (installation.authority_secret, installation.serving_secret), installation.hosts,
            clock=self._clock, expiry=expiry, tell=self._tell,
        )  # fmt: skip

    def tokens(self, uid: str, now: datetime) -> Tokens:
        """The tokens of an ObservedModel."""
        return tokens_of(self._keys, uid, now)

    async def run(self, changes: Changes, led: Callable[[], bool] = lambda: True) -> None:
        """Look at each change, and now and then, until cancelled; not while another one leads."""
        while True:
            while not led():  # noqa: ASYNC110 - a clock decides it
                await asyncio.sleep(LED_SECONDS)
            done = await self.look()
            await changes.wait(LOOK_SECONDS if done else RETRY_SECONDS)

    async def look(self) -> bool:
        """Put everything in order; whether nothing failed. What failed is counted and logged."""
        if self._installation is None:
            return True
        results = [
            await self._guarded(_KEY, self._keep_key),
            await self._guarded("Admission", self._keep_admission),
        ]
        self.kept = self.kept or all(results)
        return all(results)

    async def _guarded(self, what: str, keep: Callable[[Installation], Awaitable[None]]) -> bool:
        assert self._installation is not None
        try:
            await keep(self._installation)
        except KubeError as error:
            self._errors.labels(what).inc()
            logger.warning("own objects not kept", extra={"what": what, "error": str(error)})
            self.has_key = self.has_key or (what == _KEY and error.status == _FORBIDDEN)
            return False
        return True

    async def _keep_key(self, installation: Installation) -> None:
        secret = await self._kube.get_secret(installation.namespace, installation.key_secret)
        found = read_keys(secret)
        keys = rotated(found, self._clock())
        if keys != found:
            metadata = {"name": installation.key_secret, "namespace": installation.namespace}
            if secret is not None:
                metadata["resourceVersion"] = secret["metadata"]["resourceVersion"]
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
            await self._kube.apply_secret(installation.namespace, {**body, "data": key_data(keys)})
            logger.info("summary key written", extra={"first": found is None})
        self._keys, self.has_key = keys, True

    async def _keep_admission(self, installation: Installation) -> None:
        if self._configuration is None:
            return
        await self._configuration.read()
        if self._certificates is not None:
            await self._certificates.keep(self._configuration.bundle, self._configuration.trust)
        if installation.keeps_namespaces:
            models = await self._kube.list_models()
            namespaces = {model["metadata"]["namespace"] for model in models}
            if await self._configuration.select(namespaces):
                logger.info("namespaces selected", extra={"count": len(namespaces)})

    async def _tell(self, secret: Json, what: What, why: str) -> None:
        """An Event about the Secret; one that cannot be written is no reason to stop."""
        now, metadata = format_time(self._clock()), secret["metadata"]
        name = hashlib.sha256(f"{what}\0{now}\0{why}".encode()).hexdigest()[:16]
        namespace = metadata["namespace"]
        body: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{name}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Secret", "name": metadata["name"],
                "namespace": namespace, "uid": metadata.get("uid", ""),
            },
            "reason": _REASONS[what],
            "message": f"made anew: {why}",
            "type": "Normal",
            "source": {"component": "sidelight-controller"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }  # fmt: skip
        try:
            await self._kube.create_event(namespace, body)
        except KubeError as error:
            self._errors.labels("Event").inc()
            logger.warning("event not written", extra={"error": str(error)})
