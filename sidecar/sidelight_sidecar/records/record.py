"""A record: one finished exchange, as sinks get it.

Rules:
1. Metadata first; of payload only what `payloads` says, masked before the record was made.
2. Names are words with their unit; what is not known is left out, never zero.
3. No client's address and no header, but for the request's id and the trace that it belongs to.
4. `id` is one for each record: whoever reads a sink tells a second delivery by it.
docs/privacy.md has a row for each field, and a test says so.
"""

from typing import Literal

import msgspec

RECORD_VERSION = 1


class Origin(msgspec.Struct, omit_defaults=True, frozen=True):
    """Where it was observed."""

    namespace: str = ""
    pod: str = ""
    observed_model: str = ""
    """Name of the ObservedModel."""
    version: str = ""
    """The pod's version, as in the status; empty where the sidecar is not told it."""
    engine: str = ""
    """Type of the engine."""
    release: str = ""
    """Sidelight's."""


class Times(msgspec.Struct, omit_defaults=True, frozen=True):
    """When and how long: Unix time of the first byte, then seconds."""

    start_unix_ns: int
    duration_seconds: float
    upload_seconds: float | None = None
    """From the first byte of the request to its last."""
    time_to_first_byte_seconds: float | None = None
    time_to_first_token_seconds: float | None = None
    """To the first output; streams only."""
    time_per_output_token_seconds: float | None = None


class Tokens(msgspec.Struct, omit_defaults=True, frozen=True):
    """How many, and by whose count."""

    source: str = ""
    """`usage`, `tokenized` or `estimated`; of the output."""
    prompt: int | None = None
    output: int | None = None
    cached_prompt: int | None = None
    reasoning: int | None = None


class Energy(msgspec.Struct, omit_defaults=True, frozen=True):
    """Its share of what the engine's devices took (docs/energy.md)."""

    joules: float
    """Above idle."""
    quality: str
    """`settled`; `provisional`: requests that ran beside it were not counted yet."""


class Trace(msgspec.Struct, omit_defaults=True, frozen=True):
    """The trace that the request's `traceparent` names."""

    trace_id: str
    """32 hex digits."""
    parent_id: str
    """16 hex digits: the caller's span."""
    sampled: bool = False


class Body(msgspec.Struct, omit_defaults=True, frozen=True):
    """One side's body."""

    media_type: str = ""
    bytes: int = 0
    """How long it was, decompressed; as far as it came."""
    content: msgspec.Raw = msgspec.Raw(b"")
    """The masked body as JSON; a stream is put together. Empty: there is none here."""
    left_out: str = ""
    """Why there is no content, in a word."""
    text: bool = False
    """It was plain text, and `content` is it as a JSON string."""
    truncated: bool = False
    """Content is only a part: the body was longer than the limit, or did not end."""


class Record(msgspec.Struct, omit_defaults=True, frozen=True):
    """See the module."""

    id: str
    """Of this record: 32 hex digits."""
    request_id: str
    """`ce-id` or `x-request-id` of the request, else the engine's id of the answer, else `id`."""
    origin: Origin
    times: Times
    operation: str
    """`chat`, `text_completion`, ...; `other` where it was no inference."""
    payloads: Literal["Off", "Redacted", "Full"]
    """How much of payloads is in it."""
    code: int = 0
    """HTTP status as the client got it; 499: it left first; 0: no answer."""
    api: str = ""
    """The API that the answer was read by; empty: none that is known."""
    model: str = ""
    """The served model, by the engine's word."""
    error: str = ""
    """Its class; empty: it went well."""
    stream: bool = False
    choices: int = 0
    finish_reasons: list[str] = []
    tool_calls: int = 0
    response_id: str = ""
    tokens: Tokens = Tokens()
    energy: Energy | None = None
    """None: nobody shares it out among requests."""
    trace: Trace | None = None
    kept_for: list[str] = []
    """Why it was kept: `KeptFor`."""
    probability: float = 1.0
    """With which one like it is kept; its weight is one by this."""
    request: Body = Body()
    response: Body = Body()
    findings: dict[str, int] = {}
    """What was masked in both: how often, by detector."""
    format: int = RECORD_VERSION


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """`record` as JSON."""
    return _encoder.encode(record)


def decode_record(line: bytes) -> Record:
    """The record in `line`.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _decoder.decode(line)
