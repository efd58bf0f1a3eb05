"""What the webhook knows of LimitRanges and ResourceQuotas: as little of each as a decision reads.

They are seen like ObservedModels, by kopf's watch and a list now and then (see `view.py`), but no
pod waits for them: what is not known does not bound. A pod that is then refused is tried again by
its owner.
"""

from collections.abc import Mapping

from sidelight_operator.inject.bounds import kept
from sidelight_operator.inject.types import Json

Key = tuple[str, str, str]
"""Namespace, kind and name."""


class Bounds:
    """Fed by watch events and lists; read for each pod."""

    def __init__(self) -> None:
        self.known: bool | None = None
        """Whether the last list succeeded; None before the first."""
        self._kept: dict[str, dict[Key, Json]] = {}
        self._events = 0
        self._last: dict[Key, int] = {}
        """When each was told of since the last list."""

    @property
    def now(self) -> int:
        """The present moment, in events."""
        return self._events

    def of(self, namespace: str) -> list[tuple[str, Json]]:
        """Those of a namespace, each with its kind."""
        return [(key[1], found) for key, found in self._kept.get(namespace, {}).items()]

    def event(self, change: str | None, kind: str, body: Json) -> None:
        """One is there, has changed or has gone (`DELETED`)."""
        key = key_of(kind, body)
        self._events += 1
        self._last[key] = self._events
        self._put(key, None if change == "DELETED" else kept(kind, body))

    def put_right(self, listed: Mapping[Key, Json], since: int) -> int:
        """Correct what a list says otherwise; how many corrections there were.

        Args:
            listed: what is kept of each of which something is, as the API server has them.
            since: `now` as it was before the list was asked for; of what was told of since then,
                the watch knows better.
        """
        known = {key: found for every in self._kept.values() for key, found in every.items()}
        wrong = [
            key
            for key in {*known, *listed}
            if self._last.get(key, 0) <= since and known.get(key) != listed.get(key)
        ]
        for key in wrong:
            self._put(key, listed.get(key))
        self._last = {key: at for key, at in self._last.items() if at > since}
        return len(wrong)

    def _put(self, key: Key, found: Json | None) -> None:
        here = self._kept.setdefault(key[0], {})
        here.pop(key, None)
        if found is not None:
            here[key] = found
        if not here:
            del self._kept[key[0]]


def key_of(kind: str, body: Json) -> Key:
    """What it is called here."""
    return body["metadata"]["namespace"], kind, body["metadata"]["name"]
