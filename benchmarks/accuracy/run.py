"""One measurement: requests through a live sidecar, compared one by one and in their sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.accuracy.asks import Ask
from benchmarks.accuracy.client import Client, Seen
from benchmarks.accuracy.compare import Verdict, compare
from benchmarks.accuracy.recorded import Flow, Recording, by_port, recording
from benchmarks.accuracy.stand import Sidecar, sidecar
from benchmarks.accuracy.totals import differences

from sidelight_contract.summary import Summary
from sidelight_sidecar.observer.exchange import Exchange


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    verdicts: list[Verdict] = field(default_factory=list)
    pairs: list[tuple[Seen, Flow, Exchange]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Of sums, and requests that only one of the two has seen."""

    @property
    def all_wrong(self) -> list[str]:
        """Everything that is wrong."""
        return self.wrong + [line for verdict in self.verdicts for line in verdict.wrong]


def pairs(log: Sequence[Seen], recorded: Recording) -> list[tuple[Seen, Flow, Exchange]]:
    """Each request with its exchange: by the client's port, then by order on the connection.

    Raises:
        ValueError: not every request has one, or an exchange is left over.
    """
    connections: dict[int, list[Seen]] = {}
    for seen in log:
        connections.setdefault(seen.connection, []).append(seen)
    ports = by_port(recorded.flows)
    matched = []
    for requests in connections.values():
        flow = ports[requests[0].port].pop(0)
        if len(requests) != len(flow.exchanges):
            raise ValueError(f"{len(requests)} requests, but {len(flow.exchanges)} exchanges")
        matched += [
            (seen, flow, exchange) for seen, exchange in zip(requests, flow.exchanges, strict=True)
        ]
    if any(flow.exchanges for flows in ports.values() for flow in flows):
        raise ValueError("the sidecar tells of exchanges that nobody asked for")
    return matched


def judge(log: Sequence[Seen], live: Summary, recorded: Recording) -> Outcome:
    """Compare a client's log with a sidecar."""
    outcome = Outcome(wrong=differences(log, live, recorded.summary))
    try:
        outcome.pairs = pairs(log, recorded)
    except ValueError as error:
        outcome.wrong.append(str(error))
    outcome.verdicts = [compare(*pair) for pair in outcome.pairs]
    return outcome


def measured(
    engine_port: int, frames: Path, rounds: Sequence[tuple[Sequence[Ask], int]]
) -> Outcome:
    """Send each round of requests, so many at once, through a sidecar of their own."""

    def drive(running: Sidecar) -> list[Seen]:
        log: list[Seen] = []
        for asks, at_once in rounds:
            client = Client(("127.0.0.1", running.port), running.relay_pid, at_once)
            try:
                log += client.run(asks)
            finally:
                client.close()
        return log

    log, live = observed(engine_port, frames, drive)
    return judge(log, live, recording(frames))


def observed(
    engine_port: int, frames: Path, drive: Callable[[Sidecar], list[Seen]]
) -> tuple[list[Seen], Summary]:
    """Drive a sidecar; what was sent, and what it said of it when all had been counted."""
    with sidecar(engine_port, frames) as running:
        log = drive(running)
        live = running.settled(len(log))
    return log, live
