"""Sidelight's own objects, and what they are called. The chart makes them under the same names;
`tests/chart` compares.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Installation:
    """One release of the chart."""

    namespace: str
    """Where the operator runs."""
    name: str
    """At the front of every name, and the name of the MutatingWebhookConfiguration."""
    keeps_certificates: bool = True
    """False: cert-manager makes them, and puts its CA into the configuration."""
    keeps_namespaces: bool = True
    """False: the chart writes down which namespaces the API server asks for."""

    @property
    def service(self) -> str:
        """The webhook's Service."""
        return f"{self.name}-webhook"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that the API server calls it by; the first is the one that it uses."""
        host = f"{self.service}.{self.namespace}.svc"
        return host, f"{host}.cluster.local"

    @property
    def authority_secret(self) -> str:
        """The authority's certificate and key; no pod mounts it."""
        return f"{self.service}-authority"

    @property
    def serving_secret(self) -> str:
        """The certificate that the webhook's pods mount."""
        return f"{self.service}-certificate"

    @property
    def key_secret(self) -> str:
        """The key from which every ObservedModel's token is derived."""
        return f"{self.name}-summary-key"

    @property
    def lease(self) -> str:
        """Whoever holds it is the controller."""
        return f"{self.name}-controller"
