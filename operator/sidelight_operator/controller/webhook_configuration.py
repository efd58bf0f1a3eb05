"""Which namespaces the API server asks the webhook about, and the CA bundle that it trusts: the two
fields of the MutatingWebhookConfiguration that the controller keeps, by server-side apply.

Rules:
1. The chart renders neither, so that no upgrade and no GitOps tool takes them back. Without them
   the API server trusts nobody and admits every pod as it is.
2. Nothing else of the object is touched, and it is never made: one that is missing is said.
3. It is written only when it would change.
"""

import base64
import binascii
from collections.abc import Collection
from typing import Protocol

from sidelight_operator.kube import Json, KubeError

WEBHOOK = "inject.sidelight.dev"
"""The entry in the configuration."""
NAMESPACE_LIMIT = 1000
"""Names in the selector: some 40 KB. With more, all namespaces are asked about; the chart excludes
kube-system and Sidelight's own by a condition besides."""
NAME_LABEL = "kubernetes.io/metadata.name"
"""Kubernetes sets it on every namespace, and nobody can change it."""


class AdmissionKube(Protocol):
    """What this module asks of Kubernetes; raises KubeError."""

    async def get_webhook_configuration(self, name: str) -> Json | None:
        """The MutatingWebhookConfiguration; None when there is none."""
        ...

    async def apply_webhook_configuration(self, body: Json) -> Json:
        """Apply it as the controller; what came of it."""
        ...


def wanted_selector(namespaces: Collection[str]) -> Json:
    """The namespaces with an ObservedModel, in an order that stays."""
    if not namespaces:
        return {"matchExpressions": [{"key": NAME_LABEL, "operator": "DoesNotExist"}]}
    if len(namespaces) > NAMESPACE_LIMIT:
        return {"matchExpressions": [{"key": NAME_LABEL, "operator": "Exists"}]}
    names = sorted(namespaces)
    return {"matchExpressions": [{"key": NAME_LABEL, "operator": "In", "values": names}]}


class WebhookConfiguration:
    """The two fields, or the one of them that is ours to keep."""

    def __init__(
        self, kube: AdmissionKube, name: str, *, keeps_bundle: bool, keeps_namespaces: bool
    ) -> None:
        self._kube = kube
        self._name = name
        self._keeps_bundle = keeps_bundle
        self._keeps_namespaces = keeps_namespaces
        self._live: Json = {}

    async def read(self) -> None:
        """See what there is.

        Raises:
            KubeError: it cannot be read, is not there, or has no entry of ours.
        """
        found = await self._kube.get_webhook_configuration(self._name)
        what = f"MutatingWebhookConfiguration {self._name}"
        if found is None:
            raise KubeError(what, "it is missing: no pod is injected; install the chart again")
        self._live = found
        if not self._entry:
            raise KubeError(what, f"it has no webhook {WEBHOOK}; install the chart again")

    @property
    def bundle(self) -> str:
        """The CA bundle in it, as PEM."""
        encoded = (self._entry.get("clientConfig") or {}).get("caBundle") or ""
        try:
            return base64.b64decode(encoded).decode()
        except (binascii.Error, UnicodeDecodeError):
            return ""

    async def trust(self, bundle: str) -> None:
        """Have the API server trust this bundle."""
        await self._apply(bundle, self._entry.get("namespaceSelector"))

    async def select(self, namespaces: Collection[str]) -> bool:
        """Have it ask about these namespaces; whether that was to be changed."""
        wanted = wanted_selector(namespaces)
        if self._entry.get("namespaceSelector") == wanted:
            return False
        await self._apply(self.bundle, wanted)
        return True

    @property
    def _entry(self) -> Json:
        entries = self._live.get("webhooks") or ()
        found: Json = next((entry for entry in entries if entry.get("name") == WEBHOOK), {})
        return found

    async def _apply(self, bundle: str, selector: Json | None) -> None:
        """All that is ours: what is left out of an apply is given up by it."""
        entry: Json = {"name": WEBHOOK}
        if bundle and self._keeps_bundle:
            entry["clientConfig"] = {"caBundle": base64.b64encode(bundle.encode()).decode()}
        if selector and self._keeps_namespaces:
            entry["namespaceSelector"] = selector
        metadata = {
            "name": self._name,
            "resourceVersion": self._live["metadata"]["resourceVersion"],
        }
        self._live = await self._kube.apply_webhook_configuration(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": metadata,
                "webhooks": [entry],
            }
        )
