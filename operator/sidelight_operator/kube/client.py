"""What the controller asks of Kubernetes. Objects are raw dicts: typed ones cost four times the
time and drop fields that they do not know.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

Json = dict[str, Any]
"""An object of the Kubernetes API, as its JSON has it."""


class KubeError(Exception):
    """The API server refused, or could not be reached; the message says what was asked and why
    it failed.
    """

    def __init__(self, what: str, why: str, status: int = 0) -> None:
        super().__init__(f"{what}: {why}")
        self.status = status
        """HTTP status of the answer; 0 when there was none."""


class NotFoundError(KubeError):
    """The object, or the namespace or kind it would be in, does not exist."""


class ConflictError(KubeError):
    """The object is not, or no longer, what the request said it was."""


class KubeClient(Protocol):
    """The few calls that the controller makes. Every one raises KubeError."""

    async def list_models(self) -> list[Json]:
        """All ObservedModels of the cluster."""
        ...

    def list_pods(self, namespace: str, selector: str) -> AsyncIterator[Json]:
        """The pods of `namespace` that the label selector matches, page by page."""
        ...

    def list_exporters(self, namespace: str, selector: str) -> AsyncIterator[Json]:
        """The running pods that the label selector matches, of a namespace or ("") of all; they
        may be some seconds old.
        """
        ...

    async def get_namespace_labels(self, name: str) -> dict[str, str]:
        """Labels of a namespace."""
        ...

    def list_bounds(self, kind: str, namespace: str) -> AsyncIterator[Json]:
        """The `limitranges` or `resourcequotas` of a namespace."""
        ...

    async def get_config_map(self, namespace: str, name: str) -> Json | None:
        """A ConfigMap; None when there is none."""
        ...

    async def create_config_map(self, namespace: str, body: Json) -> None:
        """Create a ConfigMap."""
        ...

    async def patch_config_map(self, namespace: str, name: str, patch: Json) -> None:
        """Change a ConfigMap by merge patch."""
        ...

    async def patch_model_status(self, namespace: str, name: str, patch: Json) -> None:
        """Change an ObservedModel's status by merge patch; `patch` is the status' part of it.

        Raises:
            NotFoundError: it was deleted in the meantime.
        """
        ...

    async def delete_pod(
        self, namespace: str, name: str, *, uid: str, resource_version: str
    ) -> None:
        """Delete a pod if it still is exactly the one that was judged.

        Raises:
            NotFoundError: it is gone.
            ConflictError: it has changed, or another one has its name.
        """
        ...

    async def add_ephemeral_container(
        self, namespace: str, pod: str, uid: str, container: Json
    ) -> None:
        """Add an ephemeral container to a pod, if it still is the one with this uid.

        Raises:
            NotFoundError: it is gone.
            ConflictError: another one has its name.
        """
        ...

    async def get_workload(self, namespace: str, kind: str, name: str) -> Json | None:
        """A workload by its kind in lower case; None when it, or its kind, is not known."""
        ...

    def list_budgets(self, namespace: str) -> AsyncIterator[Json]:
        """The PodDisruptionBudgets of a namespace."""
        ...

    async def patch_workload(self, namespace: str, kind: str, name: str, patch: Json) -> None:
        """Change a workload by merge patch; its kind is one that `get_workload` knows.

        Raises:
            ConflictError: `patch` names a resourceVersion, and it has another one.
        """
        ...

    async def patch_pod(self, namespace: str, name: str, patch: Json) -> None:
        """Change a pod by strategic merge patch, in which containers are told by their names.

        Raises:
            ConflictError: `patch` names a uid or resourceVersion, and it has another one.
        """
        ...

    def list_events(self, namespace: str, reason: str) -> AsyncIterator[Json]:
        """The Events of a namespace that have this reason."""
        ...

    async def create_event(self, namespace: str, body: Json) -> None:
        """Create an Event; one of this name that is there already is left as it is."""
        ...
