"""The metric that says when a certificate ends; webhook and controller both have it."""

from prometheus_client import CollectorRegistry, Gauge


def expiry_gauge(registry: CollectorRegistry) -> Gauge:
    """One value for each certificate: `authority`, `serving` (both the controller's, as they are
    in their Secrets) and `served` (a webhook's, as it has it loaded).
    """
    return Gauge(
        "sidelight_certificate_expiry_timestamp_seconds",
        "When a certificate of the webhook ends, in seconds since the epoch.",
        ("certificate",), registry=registry,
    )  # fmt: skip
