"""Why an exchange was slow or failed: rules, each with its evidence. Pure.

Rules of the rules:
1. A rule speaks only where its evidence is there; where none does, the cause is `unknown`, and the
   sentence says where the time went and no more.
2. Of a slow exchange each rule says how much of the time it accounts for. The most wins, if it is
   at least `SHARE` of the whole; what is nearly the same (within a tenth of it), the rule that
   stands first in the table: it is the more specific one.
3. What a failed exchange says of itself comes before everything else.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sidelight_contract.autopsy import Cause
from sidelight_contract.durations import format_duration
from sidelight_sidecar.observer.autopsy.timeline import Neighbour, Stall, Timeline, overlap

SHARE = 0.35
STALL_NS = 500_000_000
"""A shorter pause is none; nor is one that is less than `STALL_TIMES` the exchange's typical."""
STALL_TIMES = 10
LONG_PROMPT_TOKENS = 512
LONG_PROMPT_BYTES = 2048
"""Where the engine has not said yet how many tokens that is."""
TIMES_LONGER = 4
"""A neighbour's prompt, or its own, is long if it is so many times what it is compared with."""

THROTTLED_BEYOND = 0.25
"""Beyond what is usual: a device that is at its power limit half of the day is so by chance."""
_HELD_BY = {
    "sw_thermal": "heat", "hw_thermal": "heat", "sw_power_cap": "the power limit",
    "hw_power_brake": "the power supply", "hw_slowdown": "the hardware's protection",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says."""

    cause: Cause
    said: str
    explains_ns: int = 0


def find(timeline: Timeline) -> Finding:
    """The likely cause. Never raises."""
    if timeline.error and (rule := FAILURES.get(timeline.error)) is not None:
        return rule(timeline)
    found = [finding for rule in SLOW if (finding := rule(timeline)) is not None]
    found = [f for f in found if f.explains_ns >= max(1, SHARE * timeline.whole_ns)]
    if not found:
        return Finding(Cause.UNKNOWN, f"no cause is known: {_where(timeline)}")
    most = max(finding.explains_ns for finding in found)
    return next(f for f in found if f.explains_ns >= most - timeline.whole_ns // 10)


# --- slow -----------------------------------------------------------------------------------
def _slow_upload(timeline: Timeline) -> Finding | None:
    ns = timeline.upload_ns
    said = f"the client took {_time(ns)} to send its request of {timeline.bytes_in} bytes"
    return Finding(Cause.SLOW_UPLOAD, said, ns)


def _slow_reader(timeline: Timeline) -> Finding | None:
    if not timeline.held:
        return None
    said = (
        f"the client read slowly: {len(timeline.held)} times the relay had to wait until it took "
        f"what the engine had sent, {_time(timeline.held_ns)} in all"
    )
    return Finding(Cause.SLOW_READER, said, timeline.held_ns)


def _preempted(timeline: Timeline) -> Finding | None:
    count, stalls = timeline.preemptions, _stalls(timeline)
    if count is None or count < 1 or not stalls:
        return None
    use = _most(timeline, "kv_cache_usage")
    shown = f", with {use:.0%} of the KV cache used" if use is not None else ""
    said = f"the engine preempted {count:.0f} requests meanwhile{shown}; {_stalled(stalls)}"
    return Finding(Cause.PREEMPTION, said, _stalled_ns(timeline, stalls))


def _long_neighbour(timeline: Timeline) -> Finding | None:
    """Prompts of others are computed in the same engine: until the first output of one that is
    much longer, this one waits or its output stalls.
    """
    spans = [timeline.waiting, *((s.since_ns, s.until_ns) for s in timeline.stalls)]
    best: tuple[int, Neighbour] | None = None
    for neighbour in timeline.neighbours:
        if not _is_long(neighbour, timeline):
            continue
        prefill = [(neighbour.since_ns, neighbour.until_ns)]
        shared = sum(overlap(span, prefill) for span in spans) - _held_in(timeline, spans)
        if not any(_one_and_the_same(span, prefill[0]) for span in spans):
            continue
        if best is None or shared > best[0]:
            best = shared, neighbour
    if best is None:
        return None
    ns, neighbour = best
    size = _size(neighbour.prompt_tokens, neighbour.bytes_in)
    own = _size(timeline.prompt_tokens, timeline.bytes_in)
    took = _time(neighbour.until_ns - neighbour.since_ns)
    said = (
        f"another request's long prompt ({size}, {took} to its first output) was computed "
        f"meanwhile; this one ({own}) stood still for {_time(ns)} of it"
    )
    return Finding(Cause.LONG_PROMPT_NEIGHBOUR, said, ns)


def _one_and_the_same(pause: tuple[int, int], prefill: tuple[int, int]) -> bool:
    """Whether most of one of them is in the other."""
    shared = overlap(pause, [prefill])
    shorter = min(pause[1] - pause[0], prefill[1] - prefill[0])
    return shared > 0 and shared >= 0.7 * shorter


def _is_long(neighbour: Neighbour, timeline: Timeline) -> bool:
    tokens, own = neighbour.prompt_tokens, timeline.prompt_tokens
    if tokens is not None and own is not None:
        return tokens >= max(LONG_PROMPT_TOKENS, TIMES_LONGER * own)
    return neighbour.bytes_in >= max(LONG_PROMPT_BYTES, TIMES_LONGER * timeline.bytes_in)


def _queued(timeline: Timeline) -> Finding | None:
    others = timeline.concurrency - 1
    waiting = _most(timeline, "waiting", here=True)
    if timeline.queued_ns is not None and (others > 0 or waiting):
        ns = min(timeline.queued_ns, timeline.wait_ns)
        said = f"it waited {_time(ns)} before the engine began with it"
    elif waiting and timeline.queued_ns is None:
        ns = timeline.wait_ns
        said = f"the engine's queue was full, and {_time(ns)} passed before its first output"
    else:
        return None
    said += f"; {others} other requests were in flight when it came"
    if waiting:
        said += f", and the engine said that {waiting:.0f} waited"
    return Finding(Cause.QUEUED, said, ns)


def _long_prompt(timeline: Timeline) -> Finding | None:
    tokens, usual = timeline.prompt_tokens, timeline.usual.prompt_tokens
    if tokens is None or tokens - timeline.cached_tokens < LONG_PROMPT_TOKENS:
        return None
    ns = timeline.prefill_ns
    if ns is None:
        alone = timeline.concurrency == 1 and timeline.stream and timeline.first_output_ns
        if not alone or usual is None or tokens < TIMES_LONGER * usual:
            return None
        ns = timeline.wait_ns
    said = f"its own prompt is long: {tokens} tokens"
    if timeline.cached_tokens:
        said += f" ({timeline.cached_tokens} of them cached)"
    said += f", on which {_time(ns)} were spent"
    if usual is not None:
        said += f"; usual are {usual:.0f}"
    return Finding(Cause.LONG_PROMPT, said, ns)


def _stalled_upstream(timeline: Timeline) -> Finding | None:
    stalls = _stalls(timeline)
    if not stalls:
        return None
    silent = not any(stall.others_ns for stall in stalls)
    alone = ", to it alone" if not silent else ""
    if silent and timeline.concurrency > 1:
        alone = ", and nothing to the others in flight"
    said = f"the engine sent nothing for a while{alone}: {_stalled(stalls)}"
    return Finding(Cause.UPSTREAM_STALL, said, _stalled_ns(timeline, stalls))


def _throttled(timeline: Timeline) -> Finding | None:
    """Clocks held by heat or power, beyond what is usual for the device: what is always so is no
    reason for this one. It accounts for as much as the clock was lower.
    """
    held = timeline.clocks
    if held is None or held.lost <= 0 or held.share - held.usual < THROTTLED_BEYOND:
        return None
    what = _HELD_BY.get(held.reason, held.reason)
    said = (
        f"{what} held the clocks of GPU {held.device} down for {held.share:.0%} of its time "
        f"({held.reason}); usual are {held.usual:.0%}"
    )
    if held.clock_hertz is not None and held.usual_clock_hertz:
        clocks = held.clock_hertz / 1e6, held.usual_clock_hertz / 1e6
        said += f"; they were at {clocks[0]:.0f} MHz instead of {clocks[1]:.0f}"
    lost = (held.share - held.usual) * held.lost
    return Finding(Cause.GPU_THROTTLED, said, int(timeline.whole_ns * lost))


def _crowded(timeline: Timeline) -> Finding | None:
    tpot, usual = timeline.time_per_output_token, timeline.usual.time_per_output_token
    if tpot is None or not usual or timeline.concurrency < 2 or tpot < 1.5 * usual:
        return None
    calm = timeline.decode_ns - sum(s.until_ns - s.since_ns for s in _stalls(timeline))
    said = (
        f"each token took {format_duration(tpot)}, usual are {format_duration(usual)}, with "
        f"{timeline.concurrency - 1} other requests in flight when it came"
    )
    return Finding(Cause.CROWDED, said, int(max(0, calm) * (1 - usual / tpot)))


def _many_tokens(timeline: Timeline) -> Finding | None:
    tokens, usual = timeline.output_tokens, timeline.usual.output_tokens
    if tokens is None or usual is None or tokens < max(64, 2 * usual):
        return None
    ns = timeline.decode_ns - sum(s.until_ns - s.since_ns for s in _stalls(timeline))
    said = f"it has many tokens of output: {tokens}, usual are {usual:.0f}"
    return Finding(Cause.MANY_TOKENS, said, ns - timeline.held_ns)


SLOW: tuple[Callable[[Timeline], Finding | None], ...] = (
    _slow_reader, _slow_upload, _preempted, _long_neighbour, _queued, _long_prompt,
    _stalled_upstream, _throttled, _crowded, _many_tokens,
)  # fmt: skip


# --- failed ---------------------------------------------------------------------------------
def _client_left(timeline: Timeline) -> Finding:
    when = timeline.left_ns or timeline.stop_ns
    said = f"the client left after {_time(max(0, when - timeline.start_ns))}, {_how_far(timeline)}"
    return Finding(Cause.CLIENT_LEFT, said)


def _refused(timeline: Timeline) -> Finding:
    said = f"the engine refused it with {timeline.code} ({timeline.error})"
    said += f"; {timeline.concurrency - 1} other requests were in flight when it came"
    if waiting := _most(timeline, "waiting", here=True):
        said += f", and the engine said that {waiting:.0f} waited"
    return Finding(Cause.OVERLOADED, said)


def _engine_reset(timeline: Timeline) -> Finding:
    said = f"the engine broke off the connection after {_time(timeline.whole_ns)}, "
    said += _how_far(timeline)
    if timeline.ended_alike:
        said += f"; {timeline.ended_alike} others ended so within a second"
    first, last = timeline.before, timeline.after
    began = (first.started_at, last.started_at) if first and last else (None, None)
    if began[0] and began[1] and began[1] > began[0] + 1:
        said += "; it has been restarted since"
    return Finding(Cause.ENGINE_RESET, said)


def _unreachable(timeline: Timeline) -> Finding:
    said = f"the engine did not accept the connection (for {_time(timeline.whole_ns)})"
    return Finding(Cause.ENGINE_UNREACHABLE, said)


def _engine_error(timeline: Timeline) -> Finding:
    what = "said within its stream that it failed" if timeline.code < 400 else "answered"
    code = f" {timeline.code}" if timeline.code >= 400 else ""
    said = f"the engine {what}{code} ({timeline.error}) after {_time(timeline.whole_ns)}"
    return Finding(Cause.ENGINE_ERROR, said)


FAILURES: dict[str, Callable[[Timeline], Finding]] = {
    "client_disconnect": _client_left,
    "overloaded": _refused,
    "rate_limited": _refused,
    "upstream_reset": _engine_reset,
    "upstream_connect": _unreachable,
    "server_error": _engine_error,
    "stream_error": _engine_error,
    "timeout": _engine_error,
}


# --- words and sums -------------------------------------------------------------------------
def _stalls(timeline: Timeline) -> list[Stall]:
    least = max(STALL_NS, int(STALL_TIMES * 1e9 * (timeline.typical_gap or 0)))
    return [stall for stall in timeline.stalls if stall.until_ns - stall.since_ns >= least]


def _stalled_ns(timeline: Timeline, stalls: list[Stall]) -> int:
    spans = [(stall.since_ns, stall.until_ns) for stall in stalls]
    return sum(end - begin for begin, end in spans) - _held_in(timeline, spans)


def _held_in(timeline: Timeline, spans: list[tuple[int, int]]) -> int:
    return sum(overlap(span, timeline.held) for span in spans)


def _stalled(stalls: list[Stall]) -> str:
    longest = max(stalls, key=lambda stall: stall.until_ns - stall.since_ns)
    said = f"{_time(longest.until_ns - longest.since_ns)} after {longest.after} outputs"
    return said if len(stalls) == 1 else f"{len(stalls)} pauses, the longest {said}"


def _most(timeline: Timeline, signal: str, *, here: bool = False) -> float | None:
    """The highest value that the engine said; with `here` only while it waited."""
    samples = [*timeline.during]
    if here:
        samples = [sample for sample in samples if sample.asked_ns <= timeline.waiting[1]]
    if timeline.before is not None:
        samples.append(timeline.before)
    said = [value for sample in samples if (value := getattr(sample, signal)) is not None]
    return max(said) if said else None


def _how_far(timeline: Timeline) -> str:
    if not timeline.request_end_ns:
        return "before its request was whole"
    if timeline.arrivals:
        return f"after {timeline.arrivals} outputs"
    return "before the first output" if timeline.stream else "before the answer was whole"


def _where(timeline: Timeline) -> str:
    parts = [f"{_time(timeline.upload_ns)} upload", f"{_time(timeline.wait_ns)} to first output"]
    if timeline.decode_ns:
        parts.append(f"{_time(timeline.decode_ns)} output")
    return ", ".join(parts)


def _size(tokens: int | None, size: int) -> str:
    return f"{tokens} tokens" if tokens is not None else f"{size} bytes"


def _time(ns: int) -> str:
    return format_duration(max(0, ns) / 1e9)
