"""What the webhook knows of the cluster: ObservedModels and namespace labels, kept by kopf."""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.inject import NamespaceFacts, ObservedModelView

logger = logging.getLogger("sidelight.webhook")


class ClusterView:
    """Fed by watch events; read for each pod."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, ObservedModelView]] = {}
        self._namespaces: dict[str, NamespaceFacts] = {}
        self.seen_models: set[tuple[str, str]] = set()
        """Namespace and name of every ObservedModel seen, whether its spec is understood or not."""

    @property
    def seen_namespaces(self) -> set[str]:
        """Names of every namespace seen."""
        return set(self._namespaces)

    def models_in(self, namespace: str) -> list[ObservedModelView]:
        """The ObservedModels of a namespace."""
        return list(self._models.get(namespace, {}).values())

    def facts_of(self, namespace: str) -> NamespaceFacts:
        """A namespace's labels; none are known of one that was never seen."""
        return self._namespaces.get(namespace, NamespaceFacts())

    def namespace_event(self, kind: str | None, name: str, labels: Mapping[str, str]) -> None:
        """A namespace is there, has changed or has gone (`DELETED`)."""
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
        models = self._models.setdefault(namespace, {})
        models.pop(name, None)
        self.seen_models.discard((namespace, name))
        if kind == "DELETED":
            return
        self.seen_models.add((namespace, name))
        try:
            parsed = ObservedModelSpec.model_validate(dict(spec))
        except ValidationError as error:
            logger.warning(
                "spec not understood",
                extra={"namespace": namespace, "model": name, "errors": error.error_count()},
            )
            return
        models[name] = ObservedModelView(name, parsed, breaker)
