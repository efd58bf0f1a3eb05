"""What the webhook knows of the cluster: ObservedModels and namespaces with their bounds.

kopf's watch makes it quick, a list now and then makes it right. A watch alone may be wrong for
good: after an interruption kopf lists what there is and says nothing of what is there no more; and
an API server whose etcd was restored from a backup accepts a watch from a version that is still to
come, and is silent until then.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.inject import NamespaceFacts, ObservedModelView
from sidelight_operator.inject.bounds import facts_of
from sidelight_operator.inject.breaker import open_breakers
from sidelight_operator.webhook.bounds import Bounds

logger = logging.getLogger("sidelight.webhook")


class ClusterView:
    """Fed by watch events; read for each pod."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, ObservedModelView]] = {}
        self._namespaces: dict[str, NamespaceFacts] = {}
        self.bounds = Bounds()
        self.seen_models: set[tuple[str, str]] = set()
        """Namespace and name of every ObservedModel seen, whether its spec is understood or not."""
        self._raw: dict[tuple[str, str], tuple[dict[str, Any], frozenset[str]]] = {}
        """What of each of them was said last."""
        self._events = 0
        self._last: dict[tuple[str, str], int] = {}
        """When an ObservedModel, or a namespace ("", name), was told of since the last list."""

    @property
    def now(self) -> int:
        """The present moment, in events."""
        return self._events

    def put_right(
        self,
        models: Sequence[Mapping[str, Any]],
        namespaces: Mapping[str, Mapping[str, str]] | None,
        since: int,
    ) -> int:
        """Correct what a list says otherwise.

        Args:
            models: every ObservedModel, as the API server has it.
            namespaces: labels of every namespace; None: they are not watched.
            since: `now` as it was before the list was asked for; of what was told of since then,
                the watch knows better.

        Returns:
            How many corrections there were.
        """
        listed = {(m["metadata"]["namespace"], m["metadata"]["name"]): m for m in models}
        wrong = sum(
            self._correct_model(key, listed.get(key))
            for key in {*self._raw, *listed}
            if self._last.get(key, 0) <= since
        )
        if namespaces is not None:
            wrong += sum(
                self._correct_namespace(name, namespaces.get(name))
                for name in {*self._namespaces, *namespaces}
                if self._last.get(("", name), 0) <= since
            )
        self._last = {key: at for key, at in self._last.items() if at > since}
        return wrong

    def _correct_model(self, key: tuple[str, str], found: Mapping[str, Any] | None) -> bool:
        if found is None:
            self.model_event("DELETED", *key, {})
            return True
        breaker = open_breakers(found.get("status") or {}, found["metadata"].get("generation", 1))
        spec = found.get("spec") or {}
        if self._raw.get(key) == (spec, breaker):
            return False
        self.model_event(None, *key, spec, breaker)
        return True

    def _correct_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        known = self._namespaces.get(name)
        if labels is None:
            self.namespace_event("DELETED", name, {})
            return True
        if known is not None and dict(known.labels) == dict(labels):
            return False
        self.namespace_event(None, name, labels)
        return True

    def _note(self, key: tuple[str, str]) -> None:
        self._events += 1
        self._last[key] = self._events

    @property
    def seen_namespaces(self) -> set[str]:
        """Names of every namespace seen."""
        return set(self._namespaces)

    def models_in(self, namespace: str) -> list[ObservedModelView]:
        """The ObservedModels of a namespace."""
        return list(self._models.get(namespace, {}).values())

    def facts_of(self, namespace: str) -> NamespaceFacts:
        """A namespace's labels and bounds; none are known of one that was never seen."""
        facts = self._namespaces.get(namespace, NamespaceFacts())
        bounds = self.bounds.of(namespace)
        return facts_of(facts.labels, bounds) if bounds else facts

    def namespace_event(self, kind: str | None, name: str, labels: Mapping[str, str]) -> None:
        """A namespace is there, has changed or has gone (`DELETED`)."""
        self._note(("", name))
        if kind == "DELETED":
            self._namespaces.pop(name, None)
        else:
            self._namespaces[name] = NamespaceFacts(dict(labels))

    def model_event(
        self,
        kind: str | None,
        namespace: str,
        name: str,
        spec: Mapping[str, Any],
        breaker: frozenset[str] = frozenset(),
    ) -> None:
        """An ObservedModel is there, has changed or has gone; `breaker`: see `open_breakers`."""
        self._note((namespace, name))
        models = self._models.setdefault(namespace, {})
        models.pop(name, None)
        self.seen_models.discard((namespace, name))
        self._raw.pop((namespace, name), None)
        if kind == "DELETED":
            return
        self.seen_models.add((namespace, name))
        self._raw[namespace, name] = (dict(spec), breaker)
        try:
            parsed = ObservedModelSpec.model_validate(dict(spec))
        except ValidationError as error:
            logger.warning(
                "spec not understood",
                extra={"namespace": namespace, "model": name, "errors": error.error_count()},
            )
            return
        models[name] = ObservedModelView(name, parsed, breaker)
