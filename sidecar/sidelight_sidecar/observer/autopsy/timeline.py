"""What is kept of one exchange for its autopsy: times, sizes, circumstances; never payload."""

from dataclasses import dataclass, field

from sidelight_sidecar.observer.accelerators.history import Held
from sidelight_sidecar.observer.energy.told import Share
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.engine_times import EngineTimes

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing came for a while, in the middle of the answer."""

    since_ns: int
    until_ns: int
    after: int
    """How many reads with output had come before."""
    others_ns: int = 0
    """When another exchange last had output in it; 0: none had."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another exchange that was under way at the same time: its prompt."""

    since_ns: int
    """When its request was whole."""
    until_ns: int
    """When its first output came; where it came later, the end of what is looked at."""
    bytes_in: int
    prompt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual; None: too little is known. Geometric means of what came before."""

    time_to_first_token: float | None = None
    """Seconds, of exchanges of this size."""
    duration: float | None = None
    """The same."""
    prompt_tokens: float | None = None
    """Of the model, whatever the size."""
    output_tokens: float | None = None
    time_per_output_token: float | None = None
    """Seconds."""


@dataclass(slots=True)
class Timeline:
    """One exchange. Times are those of the frames' clock; 0: it never came to that."""

    start_ns: int
    stop_ns: int
    request_end_ns: int = 0
    response_start_ns: int = 0
    first_output_ns: int = 0
    last_output_ns: int = 0
    left_ns: int = 0
    stream: bool = True
    code: int = 200
    error: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    arrivals: int = 0
    concurrency: int = 1
    """In flight when it arrived, itself included."""
    typical_gap: float | None = None
    """Seconds; the median between two reads of its own."""
    time_per_output_token: float | None = None
    relay_ns: int = -1
    """How long the relay held the request; -1: not known."""
    engine_times: EngineTimes | None = None
    stalls: tuple[Stall, ...] = ()
    held: tuple[Span, ...] = ()
    """When the relay waited for the client to read."""
    neighbours: tuple[Neighbour, ...] = ()
    ended_alike: int = 0
    """Other exchanges whose connection the engine broke within the same second."""
    usual: Usual = field(default_factory=Usual)
    before: EngineSample | None = None
    """The engine's last word before it arrived, if it was no older than `FRESH_NS`."""
    during: tuple[EngineSample, ...] = ()
    after: EngineSample | None = None
    """The engine's first word after it was over."""
    clocks: Held | None = None
    """What held the devices' clocks meanwhile; None: nothing did, or it is not told."""
    clocks_settled: bool = False
    """That is of all of its time."""
    energy: Share | None = None
    """Its part of the devices' energy; None: nobody shares that out."""

    @property
    def preemptions(self) -> float | None:
        """Of the whole engine, from `before` to `after`; None: it does not say, or began anew."""
        first, last = self.before, self.after
        if first is None or last is None or first.preemptions is None or last.preemptions is None:
            return None
        count = last.preemptions - first.preemptions
        return count if count >= 0 else None

    @property
    def whole_ns(self) -> int:
        """All of it."""
        return max(0, self.stop_ns - self.start_ns)

    @property
    def upload_ns(self) -> int:
        """Until the request was whole; of one that never was, all."""
        return max(0, (self.request_end_ns or self.stop_ns) - self.start_ns)

    @property
    def waiting(self) -> Span:
        """From the whole request to the first output; of what is no stream, to the response."""
        if not self.request_end_ns:
            return (self.stop_ns, self.stop_ns)
        until = self.first_output_ns or (0 if self.stream else self.response_start_ns)
        return (self.request_end_ns, max(until or self.stop_ns, self.request_end_ns))

    @property
    def wait_ns(self) -> int:
        """How long that was."""
        return self.waiting[1] - self.waiting[0]

    @property
    def decode_ns(self) -> int:
        """From the first output to the last."""
        return max(0, self.last_output_ns - self.first_output_ns)

    @property
    def held_ns(self) -> int:
        """How long the relay waited for the client."""
        return sum(end - begin for begin, end in self.held)

    @property
    def prefill_ns(self) -> int | None:
        """On its prompt, by the engine's own word."""
        return self.engine_times.prefill_ns if self.engine_times is not None else None

    @property
    def queued_ns(self) -> int | None:
        """Before the engine began with it, by its own word."""
        times = self.engine_times
        if times is None or not self.stream:
            return None
        if times.before_ns is not None:
            return times.before_ns
        return max(0, self.wait_ns - times.prefill_ns) if times.prefill_ns is not None else None


def overlap(span: Span, others: tuple[Span, ...] | list[Span]) -> int:
    """How much of `span` lies in any of `others`."""
    total, done = 0, span[0]
    for since, until in sorted(others):
        begin, end = max(since, done), min(until, span[1])
        if begin < end:
            total += end - begin
            done = end
    return total
