"""Does what the plan says, in two Secrets of the release's own namespace.

Nothing is remembered but since when the authority was seen in the bundle; a controller that starts
anew waits that long again.
"""

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from prometheus_client import Gauge

from sidelight_operator.certificates.make import make_authority, make_serving
from sidelight_operator.certificates.plan import Found, Step, What, next_step
from sidelight_operator.certificates.read import Pair, read_bundle, read_pair
from sidelight_operator.kube import Json

logger = logging.getLogger("sidelight.certificates")

STEPS = 6
"""In one look; the plan needs four at most."""


class SecretKube(Protocol):
    """What this module asks of Kubernetes; raises KubeError."""

    async def get_secret(self, namespace: str, name: str) -> Json | None:
        """A Secret; None when there is none."""
        ...

    async def apply_secret(self, namespace: str, body: Json) -> Json:
        """Apply it as the controller: what it had by an earlier apply and has not now, goes."""
        ...


Trust = Callable[[str], Awaitable[None]]
"""Has the API server trust a bundle."""
Tell = Callable[[Json, What, str], Awaitable[None]]
"""Tells that the certificate in a Secret was made anew, and why."""


class CertificateKeeper:
    """Keeps authority and serving certificate of one webhook."""

    def __init__(
        self,
        kube: SecretKube,
        namespace: str,
        secrets: tuple[str, str],
        hosts: tuple[str, ...],
        *,
        clock: Callable[[], datetime],
        expiry: Gauge,
        tell: Tell,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._authority, self._serving = secrets
        self._hosts = hosts
        self._clock = clock
        self._expiry = expiry
        self._tell = tell
        self._trusted: tuple[str, datetime] = ("", clock())

    async def keep(self, bundle: str, trust: Trust) -> None:
        """Look, and do what is to be done now.

        Raises:
            KubeError: something could not be read or written; the next look goes on from there.
        """
        secrets = {
            name: await self._kube.get_secret(self._namespace, name)
            for name in (self._authority, self._serving)
        }
        for _ in range(STEPS):
            found = self._found(secrets, bundle)
            self._measure(found)
            step = next_step(found, self._clock())
            if step is None:
                return
            logger.info("certificates", extra={"step": step.what.value, "why": step.why})
            if step.what is What.TRUST:
                await trust(step.bundle)
                bundle = step.bundle
            else:
                await self._make(step, found, secrets)

    def _found(self, secrets: Mapping[str, Json | None], bundle: str) -> Found:
        authority = _pair(secrets[self._authority], "ca")
        now = self._clock()
        name = authority.certificate.fingerprint if authority else ""
        if name not in {known.fingerprint for known in read_bundle(bundle)}:
            self._trusted = ("", now)
        elif self._trusted[0] != name:
            self._trusted = (name, now)
        return Found(
            hosts=self._hosts,
            authority=authority,
            serving=_pair(secrets[self._serving], "tls"),
            bundle=bundle,
            trusted_for=now - self._trusted[1] if self._trusted[0] else timedelta(0),
        )

    async def _make(self, step: Step, found: Found, secrets: dict[str, Json | None]) -> None:
        if step.what is What.MAKE_AUTHORITY:
            name, kind = self._authority, "ca"
            pair = make_authority(self._hosts[0], self._clock())
        else:
            assert found.authority is not None
            name, kind = self._serving, "tls"
            pair = make_serving(found.authority, self._hosts, self._clock())
        before = secrets[name]
        metadata = {"name": name, "namespace": self._namespace}
        if before is not None:  # another controller's, made in the meantime, is not overwritten
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        body: Json = {
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata,
            "data": {
                f"{kind}.crt": _encoded(pair.certificate.pem), f"{kind}.key": _encoded(pair.key),
            },
        }  # fmt: skip
        secrets[name] = await self._kube.apply_secret(self._namespace, body)
        await self._tell(secrets[name] or body, step.what, step.why)

    def _measure(self, found: Found) -> None:
        for label, pair in (("authority", found.authority), ("serving", found.serving)):
            if pair is not None:
                self._expiry.labels(label).set(pair.certificate.ends.timestamp())


def _pair(secret: Json | None, kind: str) -> Pair | None:
    data = (secret or {}).get("data") or {}
    return read_pair(_decoded(data.get(f"{kind}.crt")), _decoded(data.get(f"{kind}.key")))


def _decoded(text: str | None) -> str:
    try:
        return base64.b64decode(text or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
