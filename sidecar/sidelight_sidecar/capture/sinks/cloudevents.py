"""Two CloudEvents a record, as KServe's logger posts them: whoever takes that logger's events takes
these.

Rules (KServe's pkg/logger):
1. Binary mode: attributes are headers, the body is the payload. Both events have the same id.
2. A request is an event always, an answer only where the engine answered 200.
3. No payload, no event: a record without any is refused, and counted.

What is ours: bodies are masked, a stream is the answer put together and so it is JSON, and `time`
is when the side began (request) or ended (answer), not when it was posted.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from sidelight_contract.export import CloudEventsSinkSettings
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.credentials import Credentials, CredentialsReader
from sidelight_sidecar.capture.sinks.posting import CONNECTIONS, Poster, PostError
from sidelight_sidecar.capture.sinks.progress import Progress
from sidelight_sidecar.capture.sinks.secret import SecretError
from sidelight_sidecar.capture.spool.queue import Entry
from sidelight_sidecar.records.record import Body, Record, decode_record

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"
NO_PAYLOAD = "no payload"
MOST = 64
"""Records in a batch. Default 64: a hundred posts, which are done within a batch's time."""
_ANSWERED = frozenset({200, 499})
"""499: the client left first, but what it got began with 200, and KServe's logger posts that."""
_PLAIN = frozenset(map(chr, range(0x21, 0x7F))) - {'"', "%"}
"""Characters that a header of the HTTP binding holds as they are (3.1.3.2)."""


class Event(NamedTuple):
    """One to be posted."""

    headers: dict[str, str]
    body: bytes


def events_of(record: Record, settings: CloudEventsSinkSettings) -> Iterator[Event]:
    """A record's events: none, one or two."""
    start = record.times.start_unix_ns
    end = start + round(record.times.duration_seconds * 1e9)
    if record.request.content:
        yield _event(record, REQUEST, record.request, start, settings)
    if record.response.content and record.code in _ANSWERED:
        yield _event(record, RESPONSE, record.response, end, settings)


def _event(
    record: Record, kind: str, body: Body, at_ns: int, settings: CloudEventsSinkSettings
) -> Event:
    origin = record.origin
    attributes = {
        "specversion": "1.0",
        "id": record.request_id,
        "type": kind,
        "source": origin.pod or "sidelight",
        "time": _time(at_ns),
        "inferenceservicename": settings.inference_service or origin.observed_model,
        "namespace": origin.namespace,
        "component": settings.component,
        "endpoint": settings.endpoint,
        "metadata": "{}",
    }
    headers = {f"ce-{name}": _escaped(value) for name, value in attributes.items()}
    headers["Content-Type"] = _type_of(body)
    content = bytes(body.content)
    if body.text:
        content = msgspec.json.decode(content, type=str).encode()
    return Event(headers, content)


def _type_of(body: Body) -> str:
    """As it is now: a stream of events has become JSON."""
    if not body.text:
        return "application/json"
    return body.media_type if body.media_type.startswith("text/") else "text/plain"


def _time(unix_ns: int) -> str:
    """RFC 3339, with all digits."""
    seconds, rest = divmod(unix_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _escaped(value: str) -> str:
    return "".join(
        one if one in _PLAIN else "".join(f"%{byte:02X}" for byte in one.encode("utf-8", "replace"))
        for one in value
    )


class CloudEventsSink:
    """Posts to one address."""

    def __init__(self, settings: CloudEventsSinkSettings, credentials: CredentialsReader) -> None:
        self.name = settings.name
        self._settings = settings
        self._credentials = credentials
        self._poster = Poster(settings.url, credentials)
        self._progress = Progress()

    async def send(self, entries: Sequence[Entry]) -> Delivery:
        """Post a batch's events, a few records at a time; what went is not posted again."""
        try:
            secret = self._credentials.read()
        except SecretError as error:
            return Delivery(Outcome.LATER, str(error))
        left = self._progress.left(entries)
        for start in range(0, len(left), CONNECTIONS):
            some = left[start : start + CONNECTIONS]
            results = await self._some(some, secret)
            for entry, result in zip(some, results, strict=True):
                self._progress.settle([entry], result)
            for result in results:
                if result.outcome is Outcome.LATER:
                    return result
        return self._progress.end(entries)

    async def close(self) -> None:
        """Close all connections."""
        await self._poster.close()

    async def _some(self, entries: Sequence[Entry], secret: Credentials) -> list[Delivery]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._record(entry, secret)) for entry in entries]
        return [task.result() for task in tasks]

    async def _record(self, entry: Entry, secret: Credentials) -> Delivery:
        """One record's events, one after the other."""
        result = Delivery(Outcome.REFUSED, NO_PAYLOAD)
        headers = dict(secret.headers)
        if secret.token:
            headers["Authorization"] = f"Bearer {secret.token}"
        try:
            for event in events_of(decode_record(entry.record), self._settings):
                answer = await self._poster.post(headers | event.headers, event.body)
                result = answer.delivery()
                if result.outcome is not Outcome.DELIVERED:
                    break
        except (PostError, SecretError) as error:
            return Delivery(Outcome.LATER, str(error))
        except msgspec.DecodeError:
            return Delivery(Outcome.REFUSED, "no record")
        return result


def make_cloudevents_sink(settings: CloudEventsSinkSettings, secret: Path) -> CloudEventsSink:
    """A sink with a Secret's folder."""
    return CloudEventsSink(settings, CredentialsReader(secret))
