"""From an exchange to its record, without bodies. Pure."""

import hashlib
from collections.abc import Iterable

from sidelight_contract.capture import KeptFor, Payloads
from sidelight_contract.names import TokenSource
from sidelight_sidecar.observer.energy.told import Share
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.keep.decide import Decision, Outcome
from sidelight_sidecar.records.record import Energy, Origin, Record, Times, Tokens, Trace

_TRUNCATED = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})


def record_id(boot_id: str, exchange: Exchange) -> str:
    """One for each exchange that an observer follows: the same on a replay."""
    what = f"{boot_id} {exchange.flow} {exchange.start_ns} {exchange.stop_ns}"
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def outcome_of(exchange: Exchange, own_id: str, model: str) -> Outcome:
    """What decides whether it is kept."""
    return Outcome(
        request_id=request_id_of(exchange, own_id),
        model=model,
        operation=exchange.operation,
        seconds=exchange.duration,
        stop_ns=exchange.stop_ns,
        error=exchange.error,
        abandoned=bool(exchange.left_ns),
        truncated=not _TRUNCATED.isdisjoint(exchange.finish_reasons),
    )


def request_id_of(exchange: Exchange, own_id: str) -> str:
    """What the client calls it, else what the engine does, else what we do."""
    return exchange.request_id or exchange.response_id or own_id


def record_of(
    exchange: Exchange,
    own_id: str,
    *,
    decision: Decision,
    origin: Origin,
    model: str,
    payloads: Payloads,
    offset_ns: int,
    share: Share | None = None,
) -> Record:
    """The record.

    Args:
        exchange: one that ended, and whose tokens are settled.
        own_id: `record_id` of it.
        decision: why it is kept.
        origin: where it was observed.
        model: the served model's label.
        payloads: the mode in force.
        offset_ns: Unix time less the frames' clock.
        share: its part of the devices' energy.
    """
    return Record(
        id=own_id,
        request_id=request_id_of(exchange, own_id),
        origin=origin,
        times=_times(exchange, offset_ns),
        operation=exchange.operation,
        code=exchange.code,
        api=exchange.dialect,
        model=model,
        error=exchange.error,
        stream=exchange.stream,
        choices=exchange.choices,
        finish_reasons=exchange.finish_reasons,
        tool_calls=exchange.tool_calls,
        response_id=exchange.response_id,
        tokens=_tokens(exchange),
        energy=_energy(share),
        trace=_trace(exchange),
        kept_for=_words(decision.reasons),
        probability=decision.probability,
        payloads=payloads.value,
    )


def _times(exchange: Exchange, offset_ns: int) -> Times:
    start = exchange.start_ns
    return Times(
        start_unix_ns=start + offset_ns,
        duration_seconds=exchange.duration,
        upload_seconds=_since(start, exchange.request_end_ns),
        time_to_first_byte_seconds=_since(start, exchange.response_start_ns),
        time_to_first_token_seconds=exchange.time_to_first_token,
        time_per_output_token_seconds=exchange.time_per_output_token,
    )


def _since(start_ns: int, at_ns: int) -> float | None:
    return max(0, at_ns - start_ns) / 1e9 if at_ns else None


def _tokens(exchange: Exchange) -> Tokens:
    source = exchange.token_source
    output = {
        TokenSource.USAGE: exchange.output_tokens,
        TokenSource.TOKENIZED: exchange.tokenized_output,
        TokenSource.ESTIMATED: exchange.estimated_tokens,
        None: None,
    }[source]
    prompt = exchange.prompt_tokens
    return Tokens(
        source=source.value if source else "",
        prompt=prompt if prompt is not None else exchange.tokenized_prompt,
        output=output,
        cached_prompt=exchange.cached_tokens or None,
        reasoning=exchange.reasoning_tokens or None,
    )


def _energy(share: Share | None) -> Energy | None:
    joules = share.joules if share is not None else None
    if share is None or joules is None:
        return None
    return Energy(round(joules, 3), share.quality.value)


def _trace(exchange: Exchange) -> Trace | None:
    if not exchange.trace_id or not exchange.parent_id:
        return None
    return Trace(exchange.trace_id, exchange.parent_id, exchange.trace_sampled)


def _words(reasons: Iterable[KeptFor]) -> list[str]:
    return [reason.value for reason in reasons]
