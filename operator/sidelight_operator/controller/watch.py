"""kopf's part: it watches ObservedModels and wakes the loop when a spec changes.

Only `on.event`: no finalizer, no annotation on a user's object, nothing to clean up.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from sidelight_contract import names


class Changes:
    """Tells the loop that an ObservedModel came, went, or has another spec."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._changed = asyncio.Event()
        self._generations: dict[str, int] = {}
        self._since: float | None = None
        self.last_event = monotonic()
        """When the watch last brought anything."""

    def saw(self, kind: str | None, metadata: Mapping[str, Any]) -> None:
        """One event of the watch; our own writes to the status leave the generation alone."""
        self.last_event = self._monotonic()
        uid, generation = str(metadata["uid"]), int(metadata.get("generation", 0))
        if kind == "DELETED":
            self._generations.pop(uid, None)
        elif self._generations.get(uid) == generation:
            return
        else:
            self._generations[uid] = generation
        self._since = self._since or self.last_event
        self._changed.set()

    def taken(self) -> float | None:
        """Since when a change waits that nobody has acted on; from now on somebody does."""
        since, self._since = self._since, None
        return since

    def behind(self, listed: Mapping[str, int]) -> bool:
        """Whether the watch lacks one of these uids, or its generation."""
        known = self._generations
        return any(known.get(uid, -1) < generation for uid, generation in listed.items())

    async def wait(self, seconds: float) -> None:
        """Return after a change, else after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()


def make_registry(
    *listeners: Changes, login: kopf.ConnectionInfo | None = None
) -> kopf.OperatorRegistry:
    """Handlers that feed the listeners; `login` replaces the service account or kubeconfig."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, id="login")
    def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return (
            login
            or kopf.login_with_service_account(**kwargs)
            or kopf.login_with_kubeconfig(**kwargs)
        )

    @kopf.on.event(
        names.GROUP, names.API_VERSION, names.PLURAL, registry=registry, id="observedmodel"
    )
    async def saw(event: Any, meta: Any, **_: Any) -> None:
        for changes in listeners:
            changes.saw(event["type"], meta)

    return registry
