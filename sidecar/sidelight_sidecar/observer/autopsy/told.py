"""From a record and its cause to what is told of it."""

from sidelight_contract.autopsy import Autopsy
from sidelight_sidecar.observer.autopsy.causes import Finding
from sidelight_sidecar.observer.autopsy.reservoir import Record
from sidelight_sidecar.observer.energy.told import Quality, Share

_MS = 1_000_000
_STALLS_TOLD = 3


def autopsy_of(record: Record, finding: Finding, offset_ns: int) -> Autopsy:
    """What is told; `offset_ns` leads from the frames' clock to the time of day."""
    timeline = record.timeline
    sample = timeline.during[0] if timeline.during else None
    if timeline.before is not None:
        gap = timeline.start_ns - timeline.before.at_ns
        if sample is None or gap <= sample.at_ns - timeline.start_ns:
            sample = timeline.before
    queued, prefill = timeline.queued_ns, timeline.prefill_ns
    return Autopsy(
        model=record.model,
        operation=record.operation,
        at=(timeline.start_ns + offset_ns) / 1e9,
        cause=finding.cause,
        said=finding.said,
        times_usual=round(record.times_usual, 2),
        code=timeline.code,
        error=timeline.error,
        duration_ms=timeline.whole_ns // _MS,
        upload_ms=timeline.upload_ns // _MS,
        wait_ms=timeline.wait_ns // _MS,
        queue_ms=queued // _MS if queued is not None else None,
        prefill_ms=prefill // _MS if prefill is not None else None,
        decode_ms=timeline.decode_ns // _MS,
        held_ms=timeline.held_ns // _MS,
        relay_us=timeline.relay_ns // 1000 if timeline.relay_ns >= 0 else None,
        stalls=[
            (stall.after, (stall.until_ns - stall.since_ns) // _MS)
            for stall in timeline.stalls[:_STALLS_TOLD]
        ],
        in_flight=timeline.concurrency,
        running=sample.running if sample is not None else None,
        waiting=sample.waiting if sample is not None else None,
        kv_cache_usage=sample.kv_cache_usage if sample is not None else None,
        preemptions=timeline.preemptions,
        prompt_tokens=timeline.prompt_tokens,
        output_tokens=timeline.output_tokens,
        joules=_joules(timeline.energy),
    )


def _joules(share: Share | None) -> float | None:
    """Not before it stays as it is."""
    if share is None or share.quality is not Quality.SETTLED or share.joules is None:
        return None
    return round(share.joules, 3)
