"""The Kubernetes API as Sidelight uses it: one Protocol, one implementation, one error."""

from sidelight_operator.kube.client import (
    ConflictError,
    Json,
    KubeClient,
    KubeError,
    NotFoundError,
)

__all__ = ["ConflictError", "Json", "KubeClient", "KubeError", "NotFoundError"]
