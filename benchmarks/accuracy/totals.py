"""The same requests as sums: the client's log, the live sidecar's summary, the replayed one."""

from __future__ import annotations

import collections
from collections.abc import Iterable

from benchmarks.accuracy.client import Seen
from benchmarks.accuracy.said import said

from sidelight_contract.summary import Summary

Sums = dict[str, int]
_FINISHES = {
    "eos": "stop", "end_turn": "stop", "limit": "length", "max_tokens": "length",
    "tool_use": "tool_calls",
}  # fmt: skip
"""Words of other APIs than OpenAI's."""
SKETCHES = ("time_to_first_token", "time_per_output_token", "inter_chunk_latency", "duration")


def of_client(log: Iterable[Seen]) -> Sums:
    """What the client's log adds up to."""
    sums: collections.Counter[str] = collections.Counter()
    for seen in log:
        told = said(seen.answer)
        sums["requests"] += 1
        sums[f"code {499 if seen.left_ns else seen.answer.status}"] += 1
        error = "client_disconnect" if seen.left_ns else told.error
        if seen.ask.in_vain:
            error = "upstream_connect"
        if error:
            sums[f"error {error}"] += 1
        if seen.left_ns:
            continue
        sums["prompt tokens"] += told.prompt_tokens or 0
        sums["output tokens"] += told.output_tokens or 0
        sums["tool calls"] += len(told.calls)
        for reason in told.finishes.values():
            sums[f"finish {_FINISHES.get(reason, reason)}"] += 1
    return dict(+sums)


def of_summary(summary: Summary) -> Sums:
    """What a summary adds up to."""
    sums: collections.Counter[str] = collections.Counter()
    for traffic in summary.total:
        sums["requests"] += traffic.requests
        sums["prompt tokens"] += traffic.tokens.prompt
        sums["output tokens"] += traffic.tokens.output
        sums["tool calls"] += traffic.tool_calls
        for name, counts in (
            ("code", traffic.codes), ("error", traffic.errors), ("finish", traffic.finish_reasons),
        ):  # fmt: skip
            for kind, count in counts.items():
                sums[f"{name} {kind}"] += count
    return dict(+sums)


def differences(log: Iterable[Seen], live: Summary, replayed: Summary) -> list[str]:
    """Where the three do not agree; live and replayed in their distributions, too."""
    client, told = of_client(log), of_summary(live)
    wrong = [
        f"sum of {name}: client {client.get(name, 0)}, live sidecar {told.get(name, 0)}"
        for name in sorted(client.keys() | told.keys())
        if client.get(name, 0) != told.get(name, 0)
    ]
    again = {(traffic.model, traffic.operation): traffic for traffic in replayed.total}
    for traffic in live.total:
        other = again.pop((traffic.model, traffic.operation), None)
        wrong += [
            f"{name} of {traffic.operation}: the live sidecar's is not the replayed one"
            for name in SKETCHES
            if other is None or getattr(other, name) != getattr(traffic, name)
        ]
    return wrong + [f"{operation}: replayed, not live" for _, operation in again]
