"""Records as messages of a Kafka topic.

Rules:
1. A message is a record: its key the request's id, its value the record's JSON; headers are
   `content-type` and `record-id`.
2. Nothing is delivered until all replicas that are in sync have it (`acks=all`), and what one
   producer sends again is there once (idempotent). After a failure the producer is dropped: what
   was not acknowledged comes again from another one, and may be there twice; consumers tell by
   `record-id`. What was acknowledged does not come again, unless this process ends before the
   batch does.
3. A record that the broker will not have (too large, mostly) is refused alone.
4. The topic is made by its owner, never by us.
5. User, password and certificates are the Secret's, read before each batch.
This module is imported only where such a sink is asked for: it costs 3 MiB, and 2 with TLS.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)

from sidelight_contract.export import KafkaSinkSettings
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.credentials import CredentialsReader
from sidelight_sidecar.capture.sinks.heading import read_heading
from sidelight_sidecar.capture.sinks.kafka_producer import Login, Producer, connect
from sidelight_sidecar.capture.sinks.progress import Progress
from sidelight_sidecar.capture.sinks.secret import Secret, SecretError, read_secret
from sidelight_sidecar.capture.spool.queue import Entry

SEND_SECONDS = 15.0
"""For a batch, a connection made anew included. Default 15: half of the shipper's 30, and what was
acknowledged until then does not come again."""
CONTENT_TYPE = b"application/json"
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_WHY: Mapping[type[BaseException], str] = {
    SaslAuthenticationFailed: "not authenticated",
    AuthenticationFailedError: "not authenticated",
    UnsupportedSaslMechanismError: "mechanism not known to the broker",
    IllegalSaslStateError: "mechanism not known to the broker",
    TopicAuthorizationFailedError: "not authorised",
    ClusterAuthorizationFailedError: "not authorised",
    UnknownTopicOrPartitionError: "no such topic",
    KafkaConnectionError: "no connection",
    ssl.SSLCertVerificationError: "certificate not trusted",
    ssl.SSLError: "no TLS",
    TimeoutError: "no answer in time",
    socket.gaierror: "no such host",
    OSError: "no connection",
    ValueError: "a broker is not host:port",
}
"""In words of ours; the first that fits."""


class KafkaSink:
    """Sends to one topic.

    Args:
        name: the sink's.
        settings: its own.
        secret: the folder of its Secret.
    """

    def __init__(self, name: str, settings: KafkaSinkSettings, secret: Path) -> None:
        self.name = name
        self._settings = settings
        self._folder = secret
        self._credentials = CredentialsReader(secret, alpn=())
        self._secret: Secret | None = None
        self._producer: Producer | None = None
        self._progress = Progress()

    async def send(self, entries: Sequence[Entry]) -> Delivery:
        """Send what of a batch is not there yet."""
        failed: Delivery | None = None
        try:
            async with asyncio.timeout(SEND_SECONDS):
                while failed is None and (left := self._progress.left(entries)):
                    failed = await self._produce(left)
        except (SecretError, KafkaError, OSError, ValueError) as error:
            failed = Delivery(Outcome.LATER, _why(error))
        return failed or self._progress.end(entries)

    async def close(self) -> None:
        """Let go of the connections; what was not acknowledged is not waited for."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.drop()

    async def _produce(self, entries: Sequence[Entry]) -> Delivery | None:
        """Send; why some of it did not go, or None: what is left, if anything is, may go now."""
        sent: list[tuple[Entry, asyncio.Future[Any]]] = []
        ended = False
        try:
            producer = await self._connected()
            for entry in entries:
                if message := self._message(entry):
                    future = await producer.send(self._settings.topic, **message)
                    sent.append((entry, future))
            if sent:
                await asyncio.wait([future for _, future in sent])
            ended = True
        finally:
            deliveries = [self._settle(entry, future) for entry, future in sent]
            outcomes = {delivery.outcome for delivery in deliveries}
            if not ended or outcomes - {Outcome.DELIVERED}:
                await self.close()
        if Outcome.REFUSED in outcomes:  # which made a gap in the producer's count, no more
            return None
        return next((one for one in deliveries if one.outcome is Outcome.LATER), None)

    def _message(self, entry: Entry) -> dict[str, Any] | None:
        """What is sent; None: it is no record, and settled."""
        try:
            heading = read_heading(entry.record)
        except msgspec.DecodeError:
            self._progress.settle([entry], Delivery(Outcome.REFUSED, "not a record"))
            return None
        headers = [("content-type", CONTENT_TYPE), ("record-id", heading.id.encode())]
        return {"value": entry.record, "key": heading.request_id.encode(), "headers": headers}

    def _settle(self, entry: Entry, future: "asyncio.Future[Any]") -> Delivery:
        """What came of one message, noted."""
        if not future.done():
            future.cancel()
            return Delivery(Outcome.LATER, _why(TimeoutError()))
        error = future.exception()
        if error is None:
            delivery = Delivery(Outcome.DELIVERED)
        elif isinstance(error, _TOO_LARGE):
            delivery = Delivery(Outcome.REFUSED, "too large")
        else:
            delivery = Delivery(Outcome.LATER, _why(error))
        self._progress.settle([entry], delivery)
        return delivery

    async def _connected(self) -> Producer:
        secret = read_secret(self._folder)
        if self._producer is not None and secret != self._secret:
            await self.close()
        if self._producer is None:
            self._producer = await connect(self._settings.brokers, self._login(secret))
            self._secret = secret
        return self._producer

    def _login(self, secret: Secret) -> Login:
        tls = self._credentials.tls() if self._settings.tls else None
        if not self._settings.sasl:
            return Login(tls)
        username, password = (secret.values.get(key, "") for key in ("username", "password"))
        if not (username and password):
            raise SecretError("secret without username and password")
        return Login(tls, self._settings.sasl, username, password)


def _why(error: BaseException) -> str:
    if isinstance(error, SecretError):
        return str(error)
    for kind, why in _WHY.items():
        if isinstance(error, kind):
            return why
    return f"failed ({type(error).__name__})"
