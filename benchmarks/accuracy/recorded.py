"""What the sidecar saw: the exchanges of a frame file, and which read of the relay brought what."""

from __future__ import annotations

import collections
import json
from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple

from sidelight_contract.config import SidecarConfig
from sidelight_contract.summary import Summary
from sidelight_sidecar.frames.codec import CLIENT_BYTES, ENGINE_BYTES, NO_DELAY, OPEN, RESET
from sidelight_sidecar.frames.file import FrameFileReader
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.pipeline import Pipeline


class Passed(NamedTuple):
    """One read of the relay from the engine, written on to the client."""

    at_ns: int
    held_ns: int
    """How long the relay had it: within this the client's kernel got it. -1: the client's socket
    was full, and part of it had to wait."""
    end: int
    """Bytes of the connection's answers up to here."""


class Flow:
    """One connection through the relay.

    Attributes:
        port: the client's.
        passed: what came from the engine, in order.
        heads: bytes of the client's side, of interest for a header of the requests.
        refused: the engine did not take the connection.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.passed: list[Passed] = []
        self.exchanges: list[Exchange] = []
        self.heads = b""
        self.refused = False

    def bringing(self, end: int) -> Passed:
        """The read that brought the byte before this offset."""
        return self.passed[bisect_left(self.passed, end, key=lambda passed: passed.end)]


class Kept(Consumer):
    """A consumer that keeps finished exchanges."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def finished(self, exchange: Exchange) -> None:
        """Keep it."""
        self.exchanges.append(exchange)


class Recording(NamedTuple):
    """All that a frame file says."""

    flows: list[Flow]
    """In the order of their opening."""
    summary: Summary


def recording(file: Path) -> Recording:
    """Read a frame file, as `sidelight-sidecar replay` does."""
    flows: dict[int, Flow] = {}
    kept = Kept()
    with file.open("rb") as opened:
        reader = FrameFileReader(opened)
        config = SidecarConfig(version=1)
        pipeline = Pipeline(reader.monotonic_ns, reader.wall_ns, config, kept)
        pipeline.found_engine("LlamaCpp")  # as the stand tells the live observer
        for frame in reader:
            number, kind, at_ns, delay_ns, payload = frame
            if kind == OPEN:
                client = json.loads(payload)["client"]
                flows[number] = Flow(int(client.rpartition(":")[2]))
            elif kind == CLIENT_BYTES:
                flows[number].heads += payload
            elif kind == RESET:
                flows[number].refused |= payload == b"connect"
            elif kind == ENGINE_BYTES:
                passed = flows[number].passed
                end = (passed[-1].end if passed else 0) + len(payload)
                passed.append(Passed(at_ns, -1 if delay_ns == NO_DELAY else delay_ns, end))
            pipeline.feed([frame])
    for exchange in kept.exchanges:
        flows[exchange.flow].exchanges.append(exchange)
    for flow in flows.values():
        flow.exchanges.sort(key=lambda exchange: exchange.start_ns)
    return Recording(list(flows.values()), pipeline.summary(pipeline.flows.last_ns))


def by_port(flows: list[Flow]) -> dict[int, list[Flow]]:
    """Connections by the client's port, which may have been used again."""
    ports: dict[int, list[Flow]] = collections.defaultdict(list)
    for flow in flows:
        ports[flow.port].append(flow)
    return ports
