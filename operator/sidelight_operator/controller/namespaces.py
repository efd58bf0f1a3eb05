"""What the controller knows of a namespace: its labels each time, its bounds now and then.

They are the facts that the webhook decides by, so that both give one answer about a pod. Bounds
that cannot be read (the right to is missing, the API server is away) end no round: the last ones
that were read stay, and without any there are none.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.inject import NamespaceFacts
from sidelight_operator.inject.bounds import KINDS, facts_of, kept
from sidelight_operator.kube import Json, KubeClient, KubeError

logger = logging.getLogger("sidelight.controller")

BOUNDS_FOR = timedelta(seconds=30)
"""So long they are not read again: they change seldom, and there is a request for each kind."""

_Bounds = tuple[tuple[str, Json], ...]


class Namespaces:
    """Remembers bounds, by namespace."""

    def __init__(self, kube: KubeClient, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._kube = kube
        self._clock = clock
        self._metrics = metrics
        self._known: dict[str, tuple[datetime, _Bounds]] = {}
        self._unread: set[str] = set()

    async def facts_of(self, name: str) -> NamespaceFacts:
        """What a decision about a pod of the namespace rests on.

        Raises:
            KubeError: not even its labels can be read.
        """
        labels = await self._kube.get_namespace_labels(name)
        return facts_of(labels, await self._bounds_of(name))

    def forget(self, but: Iterable[str]) -> None:
        """Forget all namespaces but these."""
        kept_names = frozenset(but)
        self._known = {name: found for name, found in self._known.items() if name in kept_names}
        self._unread &= kept_names

    async def _bounds_of(self, name: str) -> _Bounds:
        now = self._clock()
        read_at, bounds = self._known.get(name, (None, ()))
        if read_at is not None and now - read_at < BOUNDS_FOR:
            return bounds
        try:
            bounds = tuple(
                [
                    (kind, less)
                    for kind in KINDS
                    async for body in self._kube.list_bounds(kind, name)
                    if (less := kept(kind, body)) is not None
                ]
            )
            self._unread.discard(name)
        except KubeError as error:
            self._metrics.errors.labels("Bounds").inc()
            if name not in self._unread:
                logger.warning("bounds not read", extra={"namespace": name, "error": str(error)})
            self._unread.add(name)
        self._known[name] = now, bounds
        return bounds
