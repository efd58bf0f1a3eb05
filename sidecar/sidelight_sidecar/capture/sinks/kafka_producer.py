"""A Kafka producer as our sink needs it: aiokafka's, with what it lacks.

1. It makes no topic, though the broker would let it.
2. Before it begins, one connection is made by itself: its error says what is wrong (no connection,
   certificate, password), where the producer would say that nobody answered.
3. It compresses with gzip's least effort: at the most, which is its default, a pod would spend more
   on that than on masking (14 MB/s on a core; so 100), for a sixth less on the wire.
4. It can be dropped: closed at once, without what waits. What the broker may have of that all the
   same comes to it again, from another producer.
What 1, 3 and 4 reach into is held to the version that is locked by tests, with a real broker too.
"""

import asyncio
import contextlib
import logging
import ssl
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import aiokafka.client
from aiokafka import AIOKafkaProducer
from aiokafka.codec import gzip_encode
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, ProducerClosed
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

REQUEST_SECONDS = 10.0
"""For one request. Default 10: a replica that is slow has as long, by the broker's own default."""
BATCH_BYTES = 256 << 10
"""Of a partition's records in one request, before compression: below every broker's limit."""
MAX_REQUEST_BYTES = 32 << 20
"""More than any record: what is too large, the broker says."""
DROP_SECONDS = 1.5

aiokafka.client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)
vars(sys.modules[DefaultRecordBatchBuilder.__module__])["gzip_encode"] = partial(
    gzip_encode, compresslevel=1
)
# It tells each failure; the shipper tells of them, too, and once.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)


class Login:
    """How to come in. No `repr` shows it.

    Args:
        tls: how to speak it; None: not.
        sasl: the mechanism; empty: none.
        username: for it.
        password: for it.
    """

    def __init__(
        self, tls: ssl.SSLContext | None, sasl: str = "", username: str = "", password: str = ""
    ) -> None:
        transport = "PLAINTEXT" if tls is None else "SSL"
        self.options: Mapping[str, Any] = {
            "security_protocol": f"SASL_{transport}" if sasl else transport,
            "ssl_context": tls,
            "sasl_mechanism": sasl or "PLAIN",
            "sasl_plain_username": username or None,
            "sasl_plain_password": password or None,
            "client_id": "sidelight",
            "request_timeout_ms": int(REQUEST_SECONDS * 1000),
        }


class Producer(AIOKafkaProducer):  # type: ignore[misc] # it has no types
    """See the module. Every future of it that nobody waits for is to be cancelled."""

    async def drop(self) -> None:
        """Close, and wait for nothing that was not sent. Bounded, and silent."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(DROP_SECONDS):
                self._message_accumulator.fail_all(ProducerClosed())
                if self._sender.sender_task is not None:
                    self._sender.sender_task.cancel()
                await self.client.close()
                await self.stop()


async def connect(brokers: Sequence[str], login: Login) -> Producer:
    """A producer that has begun.

    Raises:
        KafkaError, OSError: it is not let in, or nobody is there.
    """
    await _let_in(brokers, login)
    producer = Producer(
        bootstrap_servers=list(brokers),
        enable_idempotence=True,
        acks="all",
        compression_type="gzip",
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
        **login.options,
    )
    try:
        await producer.start()
    except BaseException:
        await producer.drop()
        raise
    return producer


async def _let_in(brokers: Sequence[str], login: Login) -> None:
    """Return as soon as one broker lets us in.

    Raises:
        KafkaError, OSError: none does; as the last one says.
    """
    failed: Exception = KafkaConnectionError()
    for broker in brokers:
        host, _, port = broker.rpartition(":")
        try:
            connection = await create_conn(host.strip("[]"), int(port), **login.options)
        except Exception as error:  # noqa: BLE001 - it raises what its libraries raise
            failed = error
        else:
            connection.close()
            return
    raise failed
