"""Ships records as spans to one OTLP backend.

Rules:
1. A batch goes in requests of as many bytes as the backend takes. One that it refuses goes in
   halves, until the span that it will not have is alone; that one is refused, the others go.
2. What a backend says of spans in a request that it took is counted, and they are not resent.
3. A record that can be no span is refused, whatever is wrong with it.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sidelight_contract.export import OtlpProtocol, OtlpSinkSettings
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.credentials import Credentials, CredentialsReader
from sidelight_sidecar.capture.sinks.otlp.content import Bodies, parameters
from sidelight_sidecar.capture.sinks.otlp.dialects import DIALECTS, Dialect
from sidelight_sidecar.capture.sinks.otlp.encode import (
    Encoded,
    encode_span,
    packed,
    request_of,
    resource_of,
)
from sidelight_sidecar.capture.sinks.otlp.exported import Exported, Transport
from sidelight_sidecar.capture.sinks.otlp.http import HttpTransport, address_of
from sidelight_sidecar.capture.sinks.otlp.span import Attributes, Span, is_inference, span_of
from sidelight_sidecar.capture.sinks.posting import PostError
from sidelight_sidecar.capture.sinks.progress import Progress
from sidelight_sidecar.capture.sinks.secret import SecretError
from sidelight_sidecar.capture.spool.queue import Entry
from sidelight_sidecar.records.record import Origin, Record, decode_record

_CONTENTS = 8
"""Attributes with content that a span has at most: a span is to fit into a request."""


class OtlpSink:
    """To one backend.

    Args:
        settings: its own.
        credentials: its Secret.
        transport: how requests get there.
    """

    def __init__(
        self, settings: OtlpSinkSettings, credentials: CredentialsReader, transport: Transport
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._dialect = DIALECTS[settings.dialect]
        self._limit = min(settings.max_content_bytes, self._dialect.max_request_bytes // _CONTENTS)
        self._credentials = credentials
        self._transport = transport
        self._progress = Progress()

    async def send(self, entries: Sequence[Entry]) -> Delivery:
        """Ship a batch; what went is not sent again."""
        if self._settings.protocol is OtlpProtocol.GRPC and not self._dialect.grpc:
            return Delivery(Outcome.LATER, f"{self._settings.dialect} takes no gRPC")
        try:
            headers = sent_headers(self._settings, self._dialect, self._credentials.read())
            spans = self._encoded(self._progress.left(entries), headers)
            groups = packed(spans, self._dialect.max_request_bytes)
            # In a thread: some 100 ms for 4 MiB, in which others of this process want their turn.
            while group := await asyncio.to_thread(next, groups, None):
                delivery = await self._group(group, headers)
                if delivery is not None:
                    return delivery
        except (PostError, SecretError) as error:
            return Delivery(Outcome.LATER, str(error))
        return self._progress.end(entries)

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()

    def _encoded(self, entries: Sequence[Entry], headers: Mapping[str, str]) -> Iterator[Encoded]:
        for entry in entries:
            try:
                record = decode_record(entry.record)
                message = encode_span(self._span(record, headers))
            except Exception:  # noqa: BLE001 - rule 3: the next time it would be the same
                self._progress.settle([entry], Delivery(Outcome.REFUSED, "no span"))
            else:
                yield Encoded(entry, record.origin, message)

    def _span(self, record: Record, headers: Mapping[str, str]) -> Span:
        span = span_of(record)
        bodies = Bodies(record)
        found: Attributes = dict(span.attributes)
        if is_inference(record):
            found |= parameters(bodies.request)
            found |= bodies.messages(self._limit)
        found = self._dialect.shape(record, bodies, found, self._limit)
        if self._dialect.on_spans:
            found |= self._dialect.resource(record.origin, headers)
        span.attributes.clear()
        span.attributes.update(found)
        return span

    async def _group(self, group: list[Encoded], headers: Mapping[str, str]) -> Delivery | None:
        """Send spans of one origin; None: they are settled, else why not."""
        resource = self._resource(group[0].origin, headers)
        waiting = [group]
        while waiting:
            some = waiting.pop()
            body = await asyncio.to_thread(request_of, some, resource)
            result = await self._transport.export(body, headers)
            if result.outcome is Outcome.LATER:
                return Delivery(Outcome.LATER, result.why, result.after_seconds)
            if result.outcome is Outcome.REFUSED and len(some) > 1:
                half = len(some) // 2
                waiting += [some[half:], some[:half]]
                continue
            self._settle(some, result)
        return None

    def _settle(self, some: Sequence[Encoded], result: Exported) -> None:
        """A backend says how many spans it rejected, not which: the count is what there is."""
        entries = [one.entry for one in some]
        if result.outcome is Outcome.REFUSED:
            self._progress.settle(entries, Delivery(Outcome.REFUSED, result.why))
            return
        had = max(0, len(entries) - result.rejected)
        self._progress.settle(entries[:had], Delivery(Outcome.DELIVERED))
        if entries[had:]:
            self._progress.settle(entries[had:], Delivery(Outcome.REFUSED, "spans rejected"))

    def _resource(self, origin: Origin, headers: Mapping[str, str]) -> dict[str, str]:
        more = {**self._dialect.resource(origin, headers), **self._settings.resource}
        return resource_of(origin, more)


def sent_headers(
    settings: OtlpSinkSettings, dialect: Dialect, secret: Credentials
) -> dict[str, str]:
    """All headers of a request: the dialect's, the sink's own, the Secret's."""
    found: dict[str, str] = {}
    token = dialect.authorization(secret.token) if secret.token else {}
    for some in (dialect.headers, settings.headers, token, secret.headers):
        for name, value in some.items():
            for other in [one for one in found if one.lower() == name.lower()]:
                del found[other]
            found[name] = value
    return found


def make_otlp_sink(settings: OtlpSinkSettings, secret: Path) -> OtlpSink:
    """A sink over the transport that its settings name, with a Secret's folder."""
    dialect = DIALECTS[settings.dialect]
    if settings.protocol is OtlpProtocol.GRPC:
        from sidelight_sidecar.capture.sinks.otlp.grpc import (  # noqa: PLC0415 - h2 for who asks
            GrpcTransport,
        )

        credentials = CredentialsReader(secret, ("h2",))
        called = GrpcTransport(settings.endpoint, credentials, compressed=dialect.gzip)
        return OtlpSink(settings, credentials, called)
    credentials = CredentialsReader(secret)
    address = address_of(settings.endpoint, dialect.path)
    posted = HttpTransport(address, credentials, compressed=dialect.gzip)
    return OtlpSink(settings, credentials, posted)
