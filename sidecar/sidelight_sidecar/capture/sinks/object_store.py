"""Records as objects of JSON lines in zstd: S3, Google's and Azure's stores, or a local folder.

Rules:
1. A batch is one object for each partition (`partitions.py`). Each is put whole, by one request;
   the same batch again is the same object again.
2. Credentials are the Secret's, read before each batch; without a Secret, those that the platform
   gives the pod (web identity, metadata server).
3. Nothing is tried again here, and time is bounded: the shipper does that.
4. Why it failed is said in words of ours; what the store said may name keys and buckets.
This module is imported only where such a sink is asked for: it costs 5 MiB, and 2 with
its threads.
"""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from sidelight_contract.export import ObjectStoreSinkSettings
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.partitions import objects
from sidelight_sidecar.capture.sinks.secret import Secret, SecretError, read_secret
from sidelight_sidecar.capture.spool.queue import Entry
from sidelight_sidecar.coding import zstd

# One thread, not one a core: on a large node their stacks alone pass this process's memory limit.
os.environ["TOKIO_WORKER_THREADS"] = "1"

import obstore
from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

LEVEL = 3
CONNECT_SECONDS = 5
PUT_SECONDS = 55
"""For one object. Default 55: 16 MiB that do not shrink, at 300 kB/s."""
SEND_SECONDS = 60.0
"""For a batch."""
CA_KEY = "ca.crt"
KEYS: Mapping[str, tuple[str, frozenset[str]]] = {
    "s3": ("aws_", frozenset({"access_key_id", "secret_access_key", "session_token"})),
    "gs": ("google_", frozenset({"service_account_key"})),
    "az": (
        "azure_",
        frozenset(
            {"account_name", "account_key", "sas_key", "tenant_id", "client_id", "client_secret"}
        ),
    ),
    "file": ("", frozenset()),
}
"""By scheme: a prefix that keys of the Secret may have, in any case, and what keys are known."""
_STATUS = re.compile(r"status code: (\d{3})")
_HEAD = 2048
"""Characters of an error that are looked at."""


class ObjectStoreSink:
    """Puts objects into one store.

    Args:
        name: the sink's.
        settings: its own.
        secret: the folder of its Secret.
    """

    def __init__(self, name: str, settings: ObjectStoreSinkSettings, secret: Path) -> None:
        self.name = name
        self._settings = settings
        self._folder = secret
        self._secret: Secret | None = None
        self._store: ObjectStore | None = None

    async def send(self, entries: Sequence[Entry]) -> Delivery:
        """Put a batch."""
        try:
            found = objects([entry.record for entry in entries])
        except ValueError as error:
            return Delivery(Outcome.REFUSED, str(error))
        try:
            store = self._store_now()
            for name, records in found.items():
                data = await asyncio.to_thread(_compress, records)
                await obstore.put_async(store, name, data, use_multipart=False)
        except SecretError as error:
            return Delivery(Outcome.LATER, str(error))
        except (BaseError, OSError, ValueError) as error:
            return Delivery(Outcome.LATER, _why(error))
        return Delivery(Outcome.DELIVERED)

    async def close(self) -> None:
        """Let go of the connections."""
        self._store = None

    def _store_now(self) -> "ObjectStore":
        secret = read_secret(self._folder)
        if self._store is None or secret != self._secret:
            self._store, self._secret = make_store(self._settings, secret), secret
        return self._store


def make_store(settings: ObjectStoreSinkSettings, secret: Secret) -> "ObjectStore":
    """A client of the store.

    Raises:
        SecretError: the Secret has nothing that this store knows.
        ValueError, BaseError: the settings are not understood.
    """
    url = urlsplit(settings.url)
    if url.scheme == "file":
        return LocalStore(prefix=unquote(url.path), mkdir=True)
    config: Any = credentials(url.scheme, secret.values)  # keys and values are the store's own
    prefix = url.path.strip("/") or None
    client, retry = _client_options(settings.endpoint, secret), _retry()
    if settings.endpoint:
        config["base_url" if url.scheme == "gs" else "endpoint"] = settings.endpoint
    if url.scheme == "s3" and settings.region:
        config["region"] = settings.region
    make: Any = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[url.scheme]
    store: ObjectStore = make(
        url.netloc, prefix=prefix, config=config, client_options=client, retry_config=retry
    )
    return store


def credentials(scheme: str, values: Mapping[str, str]) -> dict[str, str]:
    """Of the Secret, what a store of this scheme knows, by the names it knows them by. Other keys
    are left alone: they could turn off what guards the connection.

    Raises:
        SecretError: it has keys, but none of these.
    """
    prefix, known = KEYS[scheme]
    named = {key.lower().removeprefix(prefix): value for key, value in values.items()}
    found = {key: value for key, value in named.items() if key in known}
    if values.keys() - {CA_KEY} and not found:
        raise SecretError("secret without a key that is known")
    return found


def _client_options(endpoint: str, secret: Secret) -> "ClientConfig":
    options: ClientConfig = {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": timedelta(seconds=PUT_SECONDS),
        "default_content_type": "application/zstd",
        "user_agent": "sidelight",
    }
    if CA_KEY in secret.values:
        options["root_certificate"] = secret.values[CA_KEY]
    return options


def _retry() -> "RetryConfig":
    return {"max_retries": 0, "retry_timeout": timedelta(seconds=PUT_SECONDS)}


def _compress(records: Sequence[bytes]) -> bytes:
    """One frame, made without the lines in one piece."""
    compressor = zstd.ZstdCompressor(LEVEL)

    def pieces() -> Iterator[bytes]:
        for record in records:
            yield compressor.compress(record)
            yield compressor.compress(b"\n")
        yield compressor.flush()

    return b"".join(pieces())


def _why(error: Exception) -> str:
    """In words of ours."""
    said = str(error)[:_HEAD]
    status = f" (status {found[1]})" if (found := _STATUS.search(said)) else ""
    match error:
        case UnauthenticatedError():
            return f"not authenticated{status}"
        case PermissionDeniedError():
            return f"not allowed, or wrong secret{status}"
        case FileNotFoundError():
            return f"no such bucket or account{status}"
        case BaseError() if "kind: Connect" in said or "dns error" in said:
            return "no connection"
        case BaseError() if "kind: Timeout" in said:
            return "timed out"
        case OSError() if error.errno:
            return os.strerror(error.errno)
    return (f"failed{status}") if status else f"failed ({type(error).__name__})"
