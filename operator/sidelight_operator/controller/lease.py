"""One controller at a time, by a Lease: who does not hold it writes nothing.

The chart runs one replica and ends it before the next begins, so there are two only by accident: a
pod of a node that is cut off, a forced deletion. Two of the same release would mostly do the same;
two of different releases would restart workloads in turns, each for its own image.

1. Who holds it renews it, and counts it as held for `HELD_SECONDS` from when it asked to.
2. Another takes it over when it has not changed for `DURATION_SECONDS` by its own clock. Between
   the two is the longest time that a request takes: what was begun under the Lease has ended.
3. Writes to it name the version that was read. No clock of another machine is believed.
4. A container that is started again in its pod has the same name, and goes on at once.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sidelight_operator.kube import ConflictError, Json, KubeError

logger = logging.getLogger("sidelight.controller")

DURATION_SECONDS = 45.0
HELD_SECONDS = 30.0
RENEW_SECONDS = 10.0
RETRY_SECONDS = 5.0
"""After a request that failed, or while another one holds it."""


class LeaseKube(Protocol):
    """What this module asks of Kubernetes; raises KubeError."""

    async def get_lease(self, namespace: str, name: str) -> Json | None:
        """The Lease; None when there is none."""
        ...

    async def create_lease(self, namespace: str, body: Json) -> None:
        """Create it."""
        ...

    async def patch_lease(self, namespace: str, name: str, patch: Json) -> None:
        """Change it by merge patch, if it has the patch's resourceVersion."""
        ...


class Lease:
    """The Lease `name`, as the process called `holder` sees it."""

    def __init__(
        self,
        kube: LeaseKube,
        where: tuple[str, str],
        holder: str,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._kube = kube
        self._namespace, self._name = where
        self._holder = holder
        self._clock = clock
        self._monotonic = monotonic
        self._until = float("-inf")
        self._seen: tuple[Json, float] = ({}, monotonic())
        """The specification as it was last, and since when."""

    @property
    def held(self) -> bool:
        """Whether this process may write."""
        return self._monotonic() < self._until

    async def run(self) -> None:
        """Acquire it and keep it, until cancelled."""
        while True:
            before = self.held
            try:
                await self.renew()
            except KubeError as error:
                logger.warning("lease not renewed", extra={"error": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if self.held != before:
                logger.info("lease acquired" if self.held else "lease lost")
            await asyncio.sleep(RENEW_SECONDS if self.held else RETRY_SECONDS)

    async def renew(self) -> None:
        """Take it if it is free or ours, else look whether its holder still renews it.

        Raises:
            KubeError: it could not be read or written.
        """
        asked = self._monotonic()
        found = await self._kube.get_lease(self._namespace, self._name)
        spec = (found or {}).get("spec") or {}
        if spec != self._seen[0]:
            self._seen = (spec, asked)
        owner = spec.get("holderIdentity") or ""
        if owner not in ("", self._holder) and asked - self._seen[1] < DURATION_SECONDS:
            self._until = float("-inf")
            return
        try:
            await self._write(found, self._holder)
        except ConflictError:  # another one was first
            self._until = float("-inf")
            return
        self._until = asked + HELD_SECONDS

    async def release(self) -> None:
        """Give it back, so that nobody has to wait. Nothing may be written any more."""
        if not self.held:
            return
        self._until = float("-inf")
        try:
            await self._write(await self._kube.get_lease(self._namespace, self._name), "")
        except KubeError as error:
            logger.warning("lease not released", extra={"error": str(error)})

    async def _write(self, found: Json | None, holder: str) -> None:
        now = self._clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = (found or {}).get("spec") or {}
        spec: Json = {
            "holderIdentity": holder, "leaseDurationSeconds": int(DURATION_SECONDS),
            "renewTime": now,
        }  # fmt: skip
        if before.get("holderIdentity") != holder:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = before.get("leaseTransitions", 0) + 1
        metadata: Json = {"name": self._name, "namespace": self._namespace}
        if found is None:
            kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
            body = {**kind, "metadata": metadata, "spec": spec}
            await self._kube.create_lease(self._namespace, body)
            return
        metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
        patch = {"metadata": metadata, "spec": spec}
        await self._kube.patch_lease(self._namespace, self._name, patch)
