"""`KubeClient` on the `kubernetes` package's own asyncio client.

Only its connection, authentication and retries are used; requests are built here, so that
answers stay raw dicts.
"""

# mypy: disable-error-code="no-untyped-call"
# The package is annotated only in part.

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

from sidelight_contract import names
from sidelight_operator.kube.client import ConflictError, Json, KubeError, NotFoundError
from sidelight_operator.kube.timing import Observe, ignore, resource_of

PAGE = 500
"""Objects in one page of a list: kubectl's own number, a few MB of pods."""
TIMEOUT_SECONDS = 15.0
"""For one request; the API server itself gives up on slow ones after 60."""

FIELD_MANAGER = "sidelight-controller"
"""Whose the fields are that are applied."""

_ADMISSION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_LEASES = "/apis/coordination.k8s.io/v1"
_MODELS = f"/apis/{names.GROUP}/{names.API_VERSION}"
_WORKLOADS = {
    "deployment": ("apps/v1", "deployments"),
    "statefulset": ("apps/v1", "statefulsets"),
    "daemonset": ("apps/v1", "daemonsets"),
    "replicaset": ("apps/v1", "replicasets"),
    "job": ("batch/v1", "jobs"),
    "cronjob": ("batch/v1", "cronjobs"),
    "rollout": ("argoproj.io/v1alpha1", "rollouts"),
}
_OK = 200
_NOT_FOUND = 404
_CONFLICT = 409
_MESSAGE_LIMIT = 500


@asynccontextmanager
async def connect(
    kubeconfig: str | None, namespaces: Sequence[str] = ()
) -> AsyncIterator["ApiClient"]:
    """A client for the cluster of `kubeconfig`; None: the one this pod runs in, else kubectl's.
    With namespaces, ObservedModels are listed in these alone.

    Raises:
        KubeError: no usable configuration.
    """
    configuration = client.Configuration()
    try:
        if kubeconfig is None:
            try:
                config.load_incluster_config(client_configuration=configuration)
            except ConfigException:
                await config.load_kube_config(client_configuration=configuration)
        else:
            await config.load_kube_config(
                config_file=kubeconfig, client_configuration=configuration
            )
    except (ConfigException, OSError) as error:
        where = kubeconfig or "the pod's service account or the default kubeconfig"
        raise KubeError(f"reading {where}", str(error)) from error
    async with client.ApiClient(configuration) as api:
        yield ApiClient(api, namespaces)


class ApiClient:
    """See `KubeClient`."""

    def __init__(self, api: client.ApiClient, namespaces: Sequence[str] = ()) -> None:
        self._api = api
        self.observe: Observe = ignore
        """Told of every request."""
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before every request that writes, but those about the Lease itself."""
        self._namespaces = namespaces

    async def list_models(self) -> list[Json]:
        """See `KubeClient`."""
        places = [f"namespaces/{namespace}/" for namespace in self._namespaces] or [""]
        paths = [f"{_MODELS}/{place}{names.PLURAL}" for place in places]
        return [item for path in paths async for item in self._list(path, {})]

    async def list_pods(self, namespace: str, selector: str) -> AsyncIterator[Json]:
        """See `KubeClient`."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        async for item in self._list(path, {"labelSelector": selector}):
            yield item

    async def list_exporters(self, namespace: str, selector: str) -> AsyncIterator[Json]:
        """See `KubeClient`. By the API server's cache: a cluster's pods are many."""
        where = f"namespaces/{namespace}/" if namespace else ""
        query = {"labelSelector": selector, "fieldSelector": "status.phase=Running"}
        async for item in self._list(f"/api/v1/{where}pods", {**query, "resourceVersion": "0"}):
            yield item

    async def list_namespaces(self) -> dict[str, dict[str, str]]:
        """Labels of all namespaces, by name."""
        return {
            item["metadata"]["name"]: item["metadata"].get("labels") or {}
            async for item in self._list("/api/v1/namespaces", {})
        }

    async def get_namespace_labels(self, name: str) -> dict[str, str]:
        """See `KubeClient`."""
        found = await self._request("GET", f"/api/v1/namespaces/{name}")
        return found.get("metadata", {}).get("labels") or {}

    async def list_bounds(self, kind: str, namespace: str = "") -> AsyncIterator[Json]:
        """See `KubeClient`; without a namespace those of all, or of the client's own."""
        places = [namespace] if namespace else self._namespaces
        paths = [f"/api/v1/namespaces/{place}/{kind}" for place in places]
        for path in paths or [f"/api/v1/{kind}"]:
            async for item in self._list(path, {}):
                yield item

    async def get_config_map(self, namespace: str, name: str) -> Json | None:
        """See `KubeClient`."""
        return await self._get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")

    async def create_config_map(self, namespace: str, body: Json) -> None:
        """See `KubeClient`."""
        await self._request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)

    async def patch_config_map(self, namespace: str, name: str, patch: Json) -> None:
        """See `KubeClient`."""
        await self._request("PATCH", f"/api/v1/namespaces/{namespace}/configmaps/{name}", patch)

    async def get_secret(self, namespace: str, name: str) -> Json | None:
        """A Secret of Sidelight's own namespace; None when there is none."""
        return await self._get(f"/api/v1/namespaces/{namespace}/secrets/{name}")

    async def apply_secret(self, namespace: str, body: Json) -> Json:
        """Apply it as the controller; what came of it."""
        name = body["metadata"]["name"]
        return await self._apply(f"/api/v1/namespaces/{namespace}/secrets/{name}", body)

    async def get_webhook_configuration(self, name: str) -> Json | None:
        """The MutatingWebhookConfiguration of this name; None when there is none."""
        return await self._get(f"{_ADMISSION}/{name}")

    async def apply_webhook_configuration(self, body: Json) -> Json:
        """Apply it as the controller; what came of it."""
        return await self._apply(f"{_ADMISSION}/{body['metadata']['name']}", body)

    async def patch_model_status(self, namespace: str, name: str, patch: Json) -> None:
        """See `KubeClient`."""
        path = f"{_MODELS}/namespaces/{namespace}/{names.PLURAL}/{name}/status"
        await self._request("PATCH", path, {"status": patch})

    async def delete_pod(
        self, namespace: str, name: str, *, uid: str, resource_version: str
    ) -> None:
        """See `KubeClient`."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        await self._request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", body)

    async def add_ephemeral_container(
        self, namespace: str, pod: str, uid: str, container: Json
    ) -> None:
        """See `KubeClient`. A strategic merge adds to the list, where a merge patch replaces it."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/ephemeralcontainers"
        body = {"metadata": {"uid": uid}, "spec": {"ephemeralContainers": [container]}}
        await self._request("PATCH", path, body, content="strategic-merge-patch+json")

    async def get_workload(self, namespace: str, kind: str, name: str) -> Json | None:
        """See `KubeClient`."""
        path = _workload_path(namespace, kind, name)
        return await self._get(path) if path else None

    async def list_budgets(self, namespace: str) -> AsyncIterator[Json]:
        """See `KubeClient`."""
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        async for item in self._list(path, {}):
            yield item

    async def patch_workload(self, namespace: str, kind: str, name: str, patch: Json) -> None:
        """See `KubeClient`."""
        await self._request("PATCH", _workload_path(namespace, kind, name), patch)

    async def patch_pod(self, namespace: str, name: str, patch: Json) -> None:
        """See `KubeClient`."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        await self._request("PATCH", path, patch, content="strategic-merge-patch+json")

    async def list_events(self, namespace: str, reason: str) -> AsyncIterator[Json]:
        """See `KubeClient`."""
        path = f"/api/v1/namespaces/{namespace}/events"
        async for item in self._list(path, {"fieldSelector": f"reason={reason}"}):
            yield item

    async def create_event(self, namespace: str, body: Json) -> None:
        """See `KubeClient`."""
        with suppress(ConflictError):
            await self._request("POST", f"/api/v1/namespaces/{namespace}/events", body)

    async def get_lease(self, namespace: str, name: str) -> Json | None:
        """See `LeaseKube`."""
        return await self._get(f"{_LEASES}/namespaces/{namespace}/leases/{name}")

    async def create_lease(self, namespace: str, body: Json) -> None:
        """See `LeaseKube`."""
        await self._request("POST", f"{_LEASES}/namespaces/{namespace}/leases", body)

    async def patch_lease(self, namespace: str, name: str, patch: Json) -> None:
        """See `LeaseKube`."""
        await self._request("PATCH", f"{_LEASES}/namespaces/{namespace}/leases/{name}", patch)

    async def _apply(self, path: str, body: Json) -> Json:
        """Server-side apply: fields that another manager has are taken, others are left alone."""
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        return await self._request("PATCH", f"{path}?{query}", body, content="apply-patch+yaml")

    async def read(self, path: str) -> Json | None:
        """Any object, for the command line; None when there is none."""
        return await self._get(path)

    async def read_all(self, path: str, selector: str = "") -> list[Json]:
        """Any list, for the command line."""
        query = {"labelSelector": selector} if selector else {}
        return [item async for item in self._list(path, query)]

    async def try_out(self, path: str, body: Json) -> Json:
        """What would become of an object that is created, webhooks included; nothing is."""
        return await self._request("POST", f"{path}?dryRun=All", body)

    async def _get(self, path: str) -> Json | None:
        try:
            return await self._request("GET", path)
        except NotFoundError:
            return None

    async def _list(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Json]:
        page = {**query, "limit": str(PAGE)}
        while True:
            answer = await self._request("GET", f"{path}?{urlencode(page)}")
            for item in answer.get("items") or ():
                yield item
            more = answer.get("metadata", {}).get("continue")
            if not more:
                return
            page.pop("resourceVersion", None)  # it stands for a beginning
            page["continue"] = more

    async def _request(
        self, method: str, path: str, body: Json | None = None, *, content: str = ""
    ) -> Json:
        if method != "GET" and not path.startswith(_LEASES) and not self.may_write():
            raise KubeError(f"{method} {path.partition('?')[0]}", "the Lease is not held")
        started, code = time.monotonic(), 0
        try:
            result = await self._answer(method, path, body, content)
        except KubeError as error:
            code = error.status
            raise
        else:
            code = _OK
            return result
        finally:
            self.observe(method, resource_of(path), code, time.monotonic() - started)

    async def _answer(self, method: str, path: str, body: Json | None, content: str) -> Json:
        what = f"{method} {path.partition('?')[0]}"
        headers = {"Accept": "application/json"}
        if body is not None:
            usual = "merge-patch+json" if method == "PATCH" else "json"
            headers["Content-Type"] = f"application/{content or usual}"
        try:
            serialized = await self._api.param_serialize(
                method=method,
                resource_path=path,
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._api.call_api(*serialized, _request_timeout=TIMEOUT_SECONDS)
            content = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise KubeError(what, str(error) or type(error).__name__) from error
        except client.ApiException as error:
            raise _error(what, error.status or 0, error.body or error.reason) from error
        if response.status >= 400:
            raise _error(what, response.status, content)
        try:
            result = msgspec.json.decode(content)  # half the time of `json`: pods are large
        except (msgspec.DecodeError, ValueError):  # somebody between who is not the API server
            result = None
        if not isinstance(result, dict):
            raise KubeError(what, "the answer is no JSON object", response.status)
        return result


def _workload_path(namespace: str, kind: str, name: str) -> str:
    """Where the API server has a workload; "" for a kind that is not known here."""
    if kind not in _WORKLOADS:
        return ""
    group, plural = _WORKLOADS[kind]
    return f"/apis/{group}/namespaces/{namespace}/{plural}/{name}"


def _error(what: str, status: int, body: Any) -> KubeError:
    """The API server's own sentence, where there is one."""
    try:
        why = str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        why = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    kind = {_NOT_FOUND: NotFoundError, _CONFLICT: ConflictError}.get(status, KubeError)
    return kind(what, f"{status} {why}"[:_MESSAGE_LIMIT], status)
