"""An engine that dies in the midst of its answers, and one that is not there.

A crowd of streams, more than the engine has slots; once some have output, it is killed (SIGKILL).
Then requests to a port that nobody listens on. Request by request the client and the sidecar have
to
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from pathlib import Path

from benchmarks.accuracy.asks import CHAT, Ask, chat
from benchmarks.accuracy.client import Client, Seen
from benchmarks.accuracy.recorded import recording
from benchmarks.accuracy.run import Outcome, judge
from benchmarks.accuracy.stand import SLOTS, engine_process, sidecar, until

STREAMS = 2 * SLOTS
"""Half of them wait for a slot, and have nothing when the engine dies."""
IN_VAIN = 6
OUTPUTS = 5
"""So many events must have come of as many streams as there are slots."""


def asks(number: int, *, in_vain: bool = False) -> list[Ask]:
    """Answers that are long enough to die in."""
    chance = random.Random(number)
    kind = "chat, nobody listens" if in_vain else "chat, streamed, its engine dies"
    return [
        Ask(
            kind,
            CHAT,
            chat(f"Count to {number}00.", chance, stream=True, max_tokens=400),
            in_vain=in_vain,
        )
        for number in range(3, 3 + number)
    ]


def _kill_when_busy(engine: subprocess.Popen[bytes], log: list[Seen]) -> None:
    deadline = time.monotonic() + 60
    while sum(seen.events >= OUTPUTS for seen in list(log)) < SLOTS:
        if time.monotonic() > deadline or engine.poll() is not None:
            return
        time.sleep(0.01)
    engine.kill()


def outage(frames: Path) -> Outcome:
    """Measure."""
    with engine_process() as (port, engine), sidecar(port, frames) as running:
        client = Client(("127.0.0.1", running.port), running.relay_pid, STREAMS)
        killer = threading.Thread(target=_kill_when_busy, args=(engine, client.log))
        try:
            killer.start()
            client.run(asks(STREAMS))
            killer.join()
            engine.wait(20)
            client.run(asks(IN_VAIN, in_vain=True))
        finally:
            client.close()
        # Its counters come after the frames of what they count: all has been seen then.
        until(
            f"{IN_VAIN} connections are told as not taken",
            lambda: running.summary().relay.connect_errors == IN_VAIN,
        )
        live = running.summary()
    recorded = recording(frames)
    unread = {flow.port for flow in recorded.flows if flow.refused and not flow.exchanges}
    return judge([seen for seen in client.log if seen.port not in unread], live, recorded)
