"""What came of exporting one request, over whichever transport."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from sidelight_sidecar.capture.ship.policy import Outcome


class Exported(NamedTuple):
    """See the module."""

    outcome: Outcome
    why: str = ""
    after_seconds: float | None = None
    rejected: int = 0
    """Spans, or data points, of a request that was taken which the backend would not have: they are
    not resent."""


class Transport(Protocol):
    """How requests reach the backend."""

    async def export(self, body: bytes, headers: Mapping[str, str]) -> Exported:
        """Send one request.

        Raises:
            PostError: nothing came back.
            SecretError: the Secret cannot be used.
        """

    async def close(self) -> None:
        """Let go of connections."""


def taken(answer: bytes) -> Exported:
    """A request was taken, and this is the answer's message. What it says of spans that were not is
    not repeated: it could hold what was in them. An answer to metrics has its count of data points
    in the same field.
    """
    try:
        rejected = ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
    except DecodeError:
        rejected = 0
    return Exported(Outcome.DELIVERED, rejected=max(0, rejected))
