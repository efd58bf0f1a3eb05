"""What a sidecar tells the operator: the wire format of `GET /summary` (JSON).

Rules:
1. Everything in it can be merged over pods by addition: counters and sketches.
2. No payload, no header, no client address; labels are bounded where they are made.
3. `version` grows when a reader of the old format would be misled; a new field alone does not.
   Readers ignore fields they do not know.
"""

from typing import Annotated, TypeVar

import msgspec

from sidelight_contract.autopsy import Autopsy
from sidelight_contract.export import MAX_SINKS
from sidelight_contract.gpu import GpuReport
from sidelight_contract.identity import RuntimeIdentity
from sidelight_contract.sketch import Sketch
from sidelight_contract.slo import SloReport
from sidelight_contract.strata import Strata

SUMMARY_VERSION = 1
MAX_SUMMARY_BYTES = 4 * 1024 * 1024
"""A reader refuses more: 32 models x 16 operations x 4 full sketches stay well below it."""


_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_ENDLESS = b"0" * 80
"""No number of a summary has so many digits, and no word (a digest has 64): such a one is beyond
every float, and whoever divides by it fails."""
Word = Annotated[str, msgspec.Meta(max_length=400)]
"""In a status, of one sidecar's saying."""
Reasons = Annotated[dict[str, int], msgspec.Meta(max_length=64)]
Time = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
"""Seconds; later than the end of the year 9999 is nobody's clock."""


def add_counts(mine: dict[str, int], theirs: dict[str, int]) -> None:
    """Add counts by name to others."""
    for key, count in theirs.items():
        mine[key] = mine.get(key, 0) + count


class TokenCounts(msgspec.Struct, omit_defaults=True):
    """Tokens by where the count comes from; `estimated_*` are never part of the others."""

    prompt: int = 0
    output: int = 0
    cached_prompt: int = 0
    """Part of `prompt` that came from the engine's cache."""
    reasoning: int = 0
    """Part of `output` that was reasoning."""
    tokenized_prompt: int = 0
    """Prompts of exchanges without `usage`, counted by the engine's own tokenizer."""
    tokenized_output: int = 0
    """Output of exchanges without `usage`, counted by the engine's own tokenizer."""
    estimated_output: int = 0
    """Output-bearing events of exchanges without either (an estimate of their output tokens)."""

    def add(self, other: "TokenCounts") -> None:
        """Add all of `other`."""
        for name in TokenCounts.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Abandoned(msgspec.Struct, omit_defaults=True):
    """Exchanges whose client left before the response had ended, and what they cost."""

    phases: dict[str, int] = {}
    """By phase: `upload`, `queued`, `prefill`, `decode`, `unknown`."""
    tokens: TokenCounts = msgspec.field(default_factory=TokenCounts)
    """Tokens that had been sent by then."""
    engine_stopped: int = 0
    """Of them, those where the engine's side was seen to end."""
    stop_time: Sketch = msgspec.field(default_factory=Sketch)
    """From the client's leaving to that end."""
    bytes_after: int = 0
    """Bytes of body that engines still sent after the client had left."""

    def tally(self, other: "Abandoned") -> None:
        """Add the counts of `other`."""
        add_counts(self.phases, other.phases)
        self.tokens.add(other.tokens)
        self.engine_stopped += other.engine_stopped
        self.bytes_after += other.bytes_after

    def merge(self, other: "Abandoned") -> None:
        """Add all of `other`."""
        self.tally(other)
        self.stop_time.merge(other.stop_time)


class TrafficCounts(msgspec.Struct, omit_defaults=True):
    """How much one model did in one operation, over some span of time."""

    model: str
    """The served model as the engine names it; `_unknown` or `_other` when it may be no label."""
    operation: str
    """`chat`, `text_completion`, ... (the `operation` label of the metrics)."""
    requests: int = 0
    """Exchanges that ended, well or not."""
    streamed: int = 0
    """Of them, those answered as a stream."""
    codes: dict[str, int] = {}
    """By HTTP status as sent to the client; `499`: the client left first."""
    errors: dict[str, int] = {}
    """By `error_type`; a 200 stream that failed midway counts here."""
    finish_reasons: dict[str, int] = {}
    tokens: TokenCounts = msgspec.field(default_factory=TokenCounts)
    usage_missing: int = 0
    """Successful generating exchanges whose engine reported no usage."""
    empty: int = 0
    """Successful generating exchanges whose answer held nothing."""
    tool_calls: int = 0
    """Calls that clients were asked to make."""
    abandoned: Abandoned = msgspec.field(default_factory=Abandoned)

    def tally(self, other: "TrafficCounts") -> None:
        """Add the counts of `other` and none of its distributions, which are nine tenths of the
        work; model and operation stay this one's.
        """
        self.requests += other.requests
        self.streamed += other.streamed
        self.usage_missing += other.usage_missing
        self.empty += other.empty
        self.tool_calls += other.tool_calls
        add_counts(self.codes, other.codes)
        add_counts(self.errors, other.errors)
        add_counts(self.finish_reasons, other.finish_reasons)
        self.tokens.add(other.tokens)
        self.abandoned.tally(other.abandoned)


class Traffic(TrafficCounts, omit_defaults=True):
    """The same with its times."""

    time_to_first_token: Sketch = msgspec.field(default_factory=Sketch)
    time_per_output_token: Sketch = msgspec.field(default_factory=Sketch)
    inter_chunk_latency: Sketch = msgspec.field(default_factory=Sketch)
    duration: Sketch = msgspec.field(default_factory=Sketch)

    def merge(self, other: "Traffic") -> None:
        """Add all of `other`; model and operation stay this one's."""
        self.tally(other)
        self.abandoned.stop_time.merge(other.abandoned.stop_time)
        self.time_to_first_token.merge(other.time_to_first_token)
        self.time_per_output_token.merge(other.time_per_output_token)
        self.inter_chunk_latency.merge(other.inter_chunk_latency)
        self.duration.merge(other.duration)


class Compared(msgspec.Struct, omit_defaults=True):
    """One figure as sidecars and engines have it over the same spans of time; times are sums of
    nanoseconds over so many of something.
    """

    sidecar: int = 0
    engine: int = 0
    low: int = 0
    """What the engines may have: at least, and at most."""
    high: int = 0
    sidecar_count: int = 0
    engine_count: int = 0
    agreed: int = 0
    """Sidecars where it agrees with the engine's."""
    differed: int = 0

    def merge(self, other: "Compared") -> None:
        """Add all of `other`."""
        for name in Compared.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Reconciliation(msgspec.Struct, omit_defaults=True):
    """Whether sidecars and their engines' own metrics agree. Bounded: at most five figures, and
    twelve causes.
    """

    read: int = 0
    """Sidecars that read their engine's own metrics."""
    silent: int = 0
    """Sidecars with traffic whose engine tells nothing of itself."""
    compared: int = 0
    """Of `read`, those with a comparison; the newest of each is in `figures` and `causes`."""
    agreed: int = 0
    exact: int = 0
    """Of `compared`, those of spans at whose ends nothing was in flight."""
    span_ns: int = 0
    """How long those spans were, together."""
    figures: dict[str, Compared] = {}
    causes: dict[str, int] = {}
    """How many of the comparisons each cause was found in."""
    spans_agreed: int = 0
    """Since the start."""
    spans_differed: int = 0

    def merge(self, other: "Reconciliation") -> None:
        """Add all of `other`."""
        for name in (
            "read", "silent", "compared", "agreed", "exact", "span_ns", "spans_agreed",
            "spans_differed",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for figure, compared in other.figures.items():
            self.figures.setdefault(figure, Compared()).merge(compared)
        add_counts(self.causes, other.causes)


class RelayCounters(msgspec.Struct, omit_defaults=True):
    """The relay's own counts since the container started (they outlive the observer)."""

    flows_opened: int = 0
    flows_closed: int = 0
    flows_gapped_queue_full: int = 0
    """Connections of which bytes were not observed because the observer lagged."""
    flows_gapped_no_observer: int = 0
    """Connections of which bytes were not observed because no observer ran."""
    gap_bytes: int = 0
    held: list[int] = []
    """Reads by how long the relay held them; its bounds are `HELD_BOUNDS_NS` of the sidecar."""
    held_ns: int = 0
    """Sum over all reads in `held`."""
    connect_errors: int = 0
    resets_client: int = 0
    resets_engine: int = 0
    refused_exhausted: int = 0
    """Connections reset because the relay had no descriptor or memory for the engine's side."""
    refused_not_redirected: int = 0
    accept_errors: int = 0
    observer_starts: int = 0
    bytes_to_engine: int = 0
    bytes_to_client: int = 0
    queue_bytes: int = 0
    """Frames that wait for the observer: now, and the most there ever were."""
    queue_bytes_high_water: int = 0
    queue_frames: int = 0
    queue_frames_high_water: int = 0

    # Of a tap in the relay's place, which reads packets.
    tap_packets: int = 0
    tap_packets_dropped: int = 0
    """Packets of the port that the kernel had no room for."""
    tap_packets_malformed: int = 0
    tap_checksum_errors: int = 0
    tap_fragments_skipped: int = 0
    """Fragmented IP packets: not followed."""
    tap_segments_retransmitted: int = 0
    tap_segments_out_of_order: int = 0
    tap_bytes_lost: int = 0
    """Bytes of connections that were not captured; each hole is one of the gaps."""
    tap_gaps_not_captured: int = 0
    tap_gaps_buffer_full: int = 0
    tap_gaps_timeout: int = 0
    tap_flows_joined: int = 0
    """Connections that were open before the tap saw them."""
    tap_flows_replaced: int = 0
    """Connections whose end was not seen."""
    tap_flows_not_followed: int = 0
    """Connections beyond the number that is followed at once."""


class SinkReport(msgspec.Struct, omit_defaults=True):
    """One sink, over the sidecars that ship to it."""

    sidecars: int = 0
    down: int = 0
    """Sidecars that take it to be down."""
    delivered: int = 0
    refused: int = 0
    lost: int = 0
    """Records that went before the sink had them."""
    waiting: int = 0
    lag_seconds: float = 0.0
    """How long the oldest record has waited, of all."""
    why: Word = ""
    """Why the last try failed, of one of them."""
    metrics_down: int = 0
    """Sidecars whose metrics do not arrive there."""
    metrics_why: str = ""
    """Why the last ones did not, of one of them."""

    def merge(self, other: "SinkReport") -> None:
        """Add all of `other`."""
        counts = "sidecars", "down", "delivered", "refused", "lost", "waiting", "metrics_down"
        for name in counts:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.metrics_why = max(self.metrics_why, other.metrics_why)
        self.lag_seconds = max(self.lag_seconds, other.lag_seconds)
        self.why = max(self.why, other.why)


class CaptureReport(msgspec.Struct, omit_defaults=True):
    """What becomes of records. Bounded: eight sinks, and words of ours."""

    sidecars: int = 0
    """That are to capture."""
    records: int = 0
    dropped: Reasons = {}
    """Exchanges that were to become records and did not, by reason."""
    left_out: Reasons = {}
    """Bodies without content, by reason."""
    refused: Word = ""
    """Why the settings cannot be used, of one of them: then no payload is recorded."""
    spool_failed: Word = ""
    """Why records wait in memory although they were to wait on disk, of one of them."""
    spans_not_taken: int = 0
    """Sidecars that were to take the engine's spans and cannot: the port is another's."""
    sinks: Annotated[dict[str, SinkReport], msgspec.Meta(max_length=MAX_SINKS)] = {}

    def merge(self, other: "CaptureReport") -> None:
        """Add all of `other`."""
        self.sidecars += other.sidecars
        self.records += other.records
        add_counts(self.dropped, other.dropped)
        add_counts(self.left_out, other.left_out)
        self.refused = max(self.refused, other.refused)
        self.spool_failed = max(self.spool_failed, other.spool_failed)
        self.spans_not_taken += other.spans_not_taken
        for name, sink in other.sinks.items():
            self.sinks.setdefault(name, SinkReport()).merge(sink)


class SidecarState(msgspec.Struct, omit_defaults=True):
    """Who is speaking."""

    release: str
    """Sidelight's version, such as `0.1.0`."""
    started_at: Time
    """Unix seconds at which this observer began to count."""
    boot_id: str
    """Changes when the observer restarts, and with it everything in `total` starts from zero."""
    model: str = ""
    """Name of the ObservedModel; empty outside Kubernetes."""
    config_revision: str = ""
    """`revision` of the configuration in force; empty while there is none."""
    config_error: str = ""
    """Why the newest configuration file is not in force; empty when it is."""
    in_flight: int = 0
    flows_unparsed: int = 0
    """Connections whose bytes are not read: TLS, upgrades, or what cannot be followed."""
    requests_lost: int = 0
    """Inference requests, by their heads, whose end was not seen: they are in no other figure."""
    identity: RuntimeIdentity = msgspec.field(default_factory=RuntimeIdentity)
    """What the engine tells of itself."""
    adapters: dict[str, str] = {}
    """Values of `model` that are adapters, each with its parent: those that had requests since the
    start, at most `MAX_ADAPTERS`. Whatever the engine lists by now, they stay."""


class Summary(msgspec.Struct):
    """The whole answer: `window` covers the last `window_seconds`, `total` all there was."""

    sidecar: SidecarState
    generated_at: Time
    """Unix seconds."""
    window_seconds: Time
    """How much time `window` covers; shorter than the setting right after a start."""
    window: list[Traffic]
    total: list[Traffic]
    relay: RelayCounters = msgspec.field(default_factory=RelayCounters)
    reconciliation: Reconciliation = msgspec.field(default_factory=Reconciliation)
    strata: Strata = msgspec.field(default_factory=Strata)
    """Since the start; only for who asks for `/summary?strata=1`, for it may be 400 kB."""
    slo: SloReport = msgspec.field(default_factory=SloReport)
    capture: CaptureReport = msgspec.field(default_factory=CaptureReport)
    gpu: GpuReport = msgspec.field(default_factory=GpuReport)
    autopsies: list[Autopsy] = []
    """Of the slowest and the failed of the window; `autopsy.worst` merges them."""
    version: int = SUMMARY_VERSION


class SummaryError(ValueError):
    """A summary that cannot be used; the message says what is wrong with it."""


class _Counted(Summary, kw_only=True):
    """A summary of which the distributions of `total` are not read."""

    total: list[TrafficCounts]  # type: ignore[assignment]


_decoder = msgspec.json.Decoder(Summary)
_counted_decoder = msgspec.json.Decoder(_Counted)
_Read = TypeVar("_Read", bound=Summary)
_COUNTS = TrafficCounts.__struct_fields__


def encode_summary(summary: Summary) -> bytes:
    """`summary` as JSON."""
    return msgspec.json.encode(summary)


def decode_summary(body: bytes) -> Summary:
    """The summary in `body`.

    Raises:
        SummaryError: too large, not this format, or of a newer version than this reader knows.
    """
    return _decode(_decoder, body)


def decode_counted(body: bytes) -> Summary:
    """The same, with a `total` whose distributions are empty: no status shows them, and to read
    them is half of the work.
    """
    read = _decode(_counted_decoder, body)
    fields = {name: getattr(read, name) for name in Summary.__struct_fields__}
    fields["total"] = [Traffic(*[getattr(part, name) for name in _COUNTS]) for part in read.total]
    return Summary(**fields)


def _decode(decoder: msgspec.json.Decoder[_Read], body: bytes) -> _Read:
    if len(body) > MAX_SUMMARY_BYTES:
        raise SummaryError(f"summary of {len(body)} bytes; at most {MAX_SUMMARY_BYTES} are read")
    if _ENDLESS in body.translate(_DIGITS):
        raise SummaryError("not a summary: a number in it has no end")
    try:
        read = decoder.decode(body)
    except msgspec.DecodeError as error:
        raise SummaryError(f"not a summary: {error}") from error
    if read.version > SUMMARY_VERSION:
        raise SummaryError(
            f"summary version {read.version} is newer than {SUMMARY_VERSION}; "
            "upgrade the operator before the sidecars"
        )
    return read
