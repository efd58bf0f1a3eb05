"""A real llama.cpp server's own counters against the sidecar's: equal, and named where they differ.

The engine is asked for its metrics by the sidecar alone, every few seconds, as in a pod.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from real_engine import SERVER, free_port, get, process

from sidelight_contract.summary import Reconciliation, decode_summary

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]


def ask(port: int, words: str, **settings: object) -> bytes:
    """One chat, to its end; an error's body is an answer, too."""
    body = {"messages": [{"role": "user", "content": words}], "max_tokens": 12, **settings}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        return error.read()


def hang_up(port: int, words: str, after_events: int) -> None:
    """A stream that its client leaves."""
    body = json.dumps({"messages": [{"role": "user", "content": words}], "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        received = b""
        while received.count(b"data: ") < after_events:
            received += connection.recv(65536)


def wait_until(said: object, what: str, seconds: float = 60) -> None:
    """Poll until it is so."""
    assert callable(said)
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def engine() -> Iterator[int]:
    """The port of a real llama.cpp server with its metrics on."""
    pytest.importorskip("xllamacpp", reason="install it with make setup")
    port = free_port()
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--metrics", "--parallel", "4"]
    with process(str(SERVER), *arguments):
        wait_until(lambda: get(port, "/health"), "the engine is healthy")
        yield port


class Sidecar:
    """A running sidecar that has read the quiet engine once."""

    def __init__(self, port: int, admin: int) -> None:
        self.port = port
        self.admin = admin

    def metrics(self) -> bytes:
        """Its metrics."""
        return get(self.admin, "/metrics")

    def told(self) -> Reconciliation:
        """What its summary says of the comparison."""
        return decode_summary(get(self.admin, "/summary")).reconciliation

    def compared(self) -> Reconciliation:
        """The same once there is one: when two samples after the traffic have been quiet."""
        wait_until(lambda: self.told().compared, "sidecar and engine are compared")
        return self.told()


@pytest.fixture
def sidecar(engine: int) -> Iterator[Sidecar]:
    """In front of the engine."""
    port, admin = free_port(), free_port()
    with process(
        "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
        "--engine", f"127.0.0.1:{engine}", "--admin", f"127.0.0.1:{admin}",
    ):  # fmt: skip
        running = Sidecar(port, admin)
        wait_until(running.metrics, "the sidecar is healthy")  # a scrape: from now on it reads
        assert get(port, "/health")  # it learns where the engine is
        wait_until(lambda: b"sidelight_engine_up 1.0" in running.metrics(), "the engine is read")
        yield running


def test_counts_of_sidecar_and_engine_are_equal_between_quiet_samples(sidecar: Sidecar) -> None:
    """Streams and plain answers, four at once, cached prompts, a refused one: not a token off."""
    usage = {"include_usage": True}
    with ThreadPoolExecutor(4) as clients:
        waiting = [
            clients.submit(ask, sidecar.port, f"Say {n % 3} words.", stream=stream,
                           **({"stream_options": usage} if stream else {}))
            for n in range(8)
            for stream in (True, n % 2 == 0)
        ]  # fmt: skip
        answers = [answer.result() for answer in waiting]
    assert all(b"usage" in answer for answer in answers)
    assert b"error" in ask(sidecar.port, "word " * 4000)
    told = sidecar.compared()
    assert (told.agreed, told.exact) == (1, 1), told
    for name in ("prompt_tokens", "output_tokens"):
        figure = told.figures[name]
        assert 0 < figure.sidecar == figure.engine == figure.low, (name, told)
    assert told.causes == {}
    metrics = sidecar.metrics()
    assert b"sidelight_reconciliation_agree 1.0" in metrics
    assert b'sidelight_reconciliation_difference_ratio{figure="output_tokens"} 0.0' in metrics


def test_decode_time_agrees_where_all_is_streamed(sidecar: Sidecar) -> None:
    """The mean time for a token, as it arrives and as the engine computes it."""
    for number in range(3):
        ask(
            sidecar.port, f"Count to {number}.", stream=True, max_tokens=40,
            stream_options={"include_usage": True},
        )  # fmt: skip
    told = sidecar.compared()
    assert told.agreed == 1, told
    decode = told.figures["decode_time"]
    assert decode.sidecar_count == decode.engine_count > 0
    assert decode.low <= decode.engine <= decode.high
    assert decode.high - decode.low < 0.5 * decode.engine


def test_what_clients_left_is_within_the_bounds_and_named(sidecar: Sidecar) -> None:
    """The engine counts part of it; what the sidecar's tokenizer count cannot know is admitted."""
    with ThreadPoolExecutor(4) as clients:
        stories = [f"Tell a long story about {number} ships." for number in range(12)]
        waiting = [clients.submit(ask, sidecar.port, words, max_tokens=64) for words in stories]
        assert all(b"usage" in answer.result() for answer in waiting)
    hang_up(sidecar.port, "Tell a long story about the sea.", after_events=8)
    hang_up(sidecar.port, "Tell a long story about a wood.", after_events=6)
    told = sidecar.compared()
    assert told.agreed == 1, told
    assert told.exact == 1
    assert set(told.causes) <= {"ClientsLeft", "WithoutUsage"}
    output = told.figures["output_tokens"]
    assert output.low < output.engine < output.high


def test_requests_around_the_sidecar_are_found_and_named(engine: int, sidecar: Sidecar) -> None:
    """Straight to the engine's port, as over loopback in a pod: exactly that is the difference."""
    around = json.loads(ask(engine, "Say what went around."))["usage"]
    assert b"usage" in ask(sidecar.port, "Say what went through.")
    told = sidecar.compared()
    assert told.agreed == 0
    assert told.causes == {"NotThroughSidecar": 1}
    for name, key in (("prompt_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")):
        figure = told.figures[name]
        assert figure.engine - figure.sidecar == around[key], told
        assert figure.differed == 1
