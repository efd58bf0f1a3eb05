"""In front of a real llama.cpp server: what the sidecar says is what a client measures."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from real_engine import SERVER, free_port, get, process
from relay_harness import wait_for

from sidelight_contract.identity import ServedModel
from sidelight_contract.summary import Summary, Traffic, decode_summary
from sidelight_sidecar.observer.identity.fingerprint import TEXT

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

STREAMS = 9
TOLERANCE_SECONDS = 0.002


@pytest.fixture(scope="module")
def engine() -> Iterator[int]:
    """The port of a real llama.cpp server."""
    pytest.importorskip("xllamacpp", reason="install it with make setup")
    port = free_port()
    with process(str(SERVER), "--host", "127.0.0.1", "--port", str(port)):
        wait_for(lambda: get(port, "/health"), "the engine is healthy")
        yield port


class Sidecar:
    """A running sidecar's ports."""

    def __init__(self, pid: int, port: int, admin: int) -> None:
        self.pid = pid
        self.port = port
        self.admin = admin

    def summary(self) -> Summary:
        """What it says now."""
        return decode_summary(get(self.admin, "/summary"))

    def requests(self) -> int:
        """Exchanges that ended, in all."""
        return sum(traffic.requests for traffic in self.summary().total)

    def observer(self) -> int:
        """The observer's process."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return int(children.split()[0])


@pytest.fixture
def sidecar(engine: int) -> Iterator[Sidecar]:
    """A sidecar in front of the engine."""
    port, admin = free_port(), free_port()
    arguments = [
        "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
        "--engine", f"127.0.0.1:{engine}", "--admin", f"127.0.0.1:{admin}",
    ]  # fmt: skip
    with process(*arguments) as running:
        wait_for(lambda: get(admin, "/healthz"), "the sidecar is healthy")
        yield Sidecar(running.pid, port, admin)


def chat(port: int, words: str, **settings: object) -> tuple[float, float, bytes]:
    """Send one streamed chat on a raw socket; return the first token's time, all, the bytes.

    Independent of the sidecar's code: the first read that holds a non-empty content is the first
    token's.
    """
    body = json.dumps({
        "messages": [{"role": "user", "content": words}], "stream": True, "max_tokens": 24,
        "temperature": 0, "stream_options": {"include_usage": True}, **settings,
    }).encode()  # fmt: skip
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    first = 0.0
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        start = time.monotonic()
        connection.sendall(head.encode() + body)
        end = start
        while data := connection.recv(65536):
            now = time.monotonic()
            if not received.endswith(b"0\r\n\r\n"):
                end = now
            received += data
            if not first and b'"content":"' in received.replace(b'"content":""', b""):
                first = now
    return first - start, end - start, received


def usage_in(received: bytes) -> dict[str, int]:
    """The usage that the engine sent."""
    for line in received.split(b"\n"):
        if line.startswith(b"data: {") and (usage := json.loads(line[6:]).get("usage")):
            return dict(usage)
    raise AssertionError("no usage")


def test_times_and_tokens_agree_with_an_independent_client(engine: int, tmp_path: Path) -> None:
    """Median difference of TTFT and of the total below 2 ms; tokens and requests are equal."""
    port, path = free_port(), tmp_path / "frames"
    arguments = ["--listen", f"127.0.0.1:{port}", "--engine", f"127.0.0.1:{engine}", str(path)]
    with process("-m", "sidelight_sidecar", "record", *arguments):
        wait_for(lambda: get(port, "/health"), "the relay forwards")
        seen = [chat(port, f"Say {n} things about rain.") for n in range(STREAMS)]
    shown = subprocess.run(
        [sys.executable, "-m", "sidelight_sidecar", "replay", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    exchanges = [json.loads(line) for line in shown.stdout.splitlines()]
    chats = [exchange for exchange in exchanges if exchange["operation"] == "chat"]
    assert len(chats) == STREAMS
    first, total = [], []
    for (client_first, client_total, received), exchange in zip(seen, chats, strict=True):
        start = exchange["start_ns"]
        first.append(client_first - (exchange["first_output_ns"] - start) / 1e9)
        total.append(client_total - (exchange["stop_ns"] - start) / 1e9)
        usage = usage_in(received)
        assert exchange["prompt_tokens"] == usage["prompt_tokens"]
        assert exchange["output_tokens"] == usage["completion_tokens"]
        assert (exchange["code"], exchange["error"], exchange["stream"]) == (200, "", True)
    assert abs(statistics.median(first)) < TOLERANCE_SECONDS
    assert abs(statistics.median(total)) < TOLERANCE_SECONDS


def test_running_sidecar_counts_every_request_and_every_token(sidecar: Sidecar) -> None:
    """Streams, a refused prompt, a hang-up: /metrics and /summary say what was sent."""
    tokens = [usage_in(chat(sidecar.port, f"Count to {n}.")[2]) for n in range(4)]
    refused = chat(sidecar.port, "word " * 4000)[2]
    assert refused.startswith(b"HTTP/1.1 400")
    body = b'{"messages":[{"role":"user","content":"Tell a long story"}],"stream":true}'
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        connection.recv(65536)
    wait_for(lambda: sidecar.requests() == 6, "six requests are counted")
    total = sidecar.summary().total
    codes: dict[str, int] = {}
    errors: dict[str, int] = {}
    for traffic in total:
        for kinds, more in ((codes, traffic.codes), (errors, traffic.errors)):
            for kind, count in more.items():
                kinds[kind] = kinds.get(kind, 0) + count
    assert codes == {"200": 4, "400": 1, "499": 1}
    assert errors == {"context_length": 1, "client_disconnect": 1}
    assert sum(t.tokens.output for t in total) == sum(u["completion_tokens"] for u in tokens)
    assert sum(t.tokens.prompt for t in total) == sum(u["prompt_tokens"] for u in tokens)
    assert b"sidelight_time_to_first_token_seconds_count" in get(sidecar.admin, "/metrics")


def test_killed_observer_comes_back_and_traffic_is_unharmed(sidecar: Sidecar) -> None:
    """A stream that runs over the kill is whole; the next request is observed by the new one."""
    whole = chat(sidecar.port, "Hello")[2]
    boot = sidecar.summary().sidecar.boot_id
    killed = sidecar.observer()
    os.kill(killed, signal.SIGKILL)
    during = chat(sidecar.port, "Hello")[2]
    assert usage_in(during)["completion_tokens"] == usage_in(whole)["completion_tokens"]
    wait_for(lambda: get(sidecar.admin, "/healthz"), "the admin port is back")
    assert sidecar.observer() != killed
    before = sidecar.requests()
    chat(sidecar.port, "Hello")
    wait_for(lambda: sidecar.requests() > before, "the new observer sees the next request")
    summary = sidecar.summary()
    assert summary.sidecar.boot_id != boot
    wait_for(lambda: sidecar.summary().relay.observer_starts == 2, "the relay counts the start")


def left_chat(sidecar: Sidecar, words: str, events: int) -> bytes:
    """What came of a streamed chat, whose client hangs up once so many events have come."""
    body = json.dumps({"messages": [{"role": "user", "content": words}], "stream": True}).encode()
    received = b""
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        while received.count(b"data: ") < events and not received.endswith(b"\r\n0\r\n\r\n"):
            received += connection.recv(65536)
    return received


def counted_chat(sidecar: Sidecar, words: str, events: int) -> tuple[bytes, Traffic, Traffic]:
    """What came of a chat that was left; all traffic before it, and once its tokens are counted."""
    before = all_traffic(sidecar)
    received = left_chat(sidecar, words, events)
    wait_for(lambda: settled(all_traffic(sidecar)) > settled(before), "the chat is counted", 90)
    return received, before, all_traffic(sidecar)


def tokenized_chat(sidecar: Sidecar, words: str, events: int) -> tuple[bytes, Traffic, Traffic]:
    """The same of a chat that the engine's tokenizer counted.

    A small model may end before its client leaves, and an engine on a busy machine may not answer
    in time: both are as they should be, and another chat is sent.
    """
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        received, before, after = counted_chat(sidecar, words, events)
        if after.tokens.tokenized_output > before.tokens.tokenized_output:
            return received, before, after
    raise AssertionError("the tokenizer never counted a chat")


def all_traffic(sidecar: Sidecar) -> Traffic:
    """What all models and operations had, as one."""
    whole = Traffic("", "")
    for traffic in sidecar.summary().total:
        whole.merge(traffic)
    return whole


def settled(traffic: Traffic) -> int:
    """Output tokens of any provenance."""
    tokens = traffic.tokens
    return tokens.output + tokens.tokenized_output + tokens.estimated_output


def test_what_a_client_that_hung_up_had_been_sent_is_counted_by_the_engines_tokenizer(
    sidecar: Sidecar,
) -> None:
    """No usage comes after a hang-up; llama.cpp sends a token a chunk: the counts are near."""
    received, before, after = tokenized_chat(sidecar, "Count to fifty.", 8)
    assert after.abandoned.phases["decode"] == before.abandoned.phases.get("decode", 0) + 1
    counted = after.tokens.tokenized_output - before.tokens.tokenized_output
    abandoned = after.abandoned.tokens.tokenized_output - before.abandoned.tokens.tokenized_output
    assert abandoned == counted >= received.count(b'"content":"') - 3
    assert after.tokens.estimated_output == before.tokens.estimated_output
    metrics = get(sidecar.admin, "/metrics")
    assert b'sidelight_tokenizer_state{state="used"} 1.0' in metrics


def test_the_tokenizers_counts_are_the_engines_own(sidecar: Sidecar) -> None:
    """The prompt of a chat that was left counts exactly what usage says of the same chat."""
    words = "Count to fifty, please."
    prompt = usage_in(chat(sidecar.port, words)[2])["prompt_tokens"]
    _, before, after = tokenized_chat(sidecar, words, 1)
    assert after.tokens.tokenized_prompt - before.tokens.tokenized_prompt == prompt


def test_the_summary_says_which_engine_answers(engine: int, sidecar: Sidecar) -> None:
    """Found out by a sidecar that was told nothing of it: version, model, settings, and digests of
    tokenizer and template, equal to what the engine says to somebody else. Asking is no traffic.
    """
    chat(sidecar.port, "Say rain.")
    wait_for(lambda: sidecar.summary().sidecar.identity.tokenizer, "its tokenizer is known")
    told, requests = sidecar.summary().sidecar.identity, sidecar.requests()
    props, models = json.loads(get(engine, "/props")), json.loads(get(engine, "/v1/models"))
    assert told.engine_version == props["build_info"]
    assert told.models == [ServedModel(props["model_alias"], root=props["model_path"])]
    assert told.settings["quantization"] == props["model_ftype"] == "Q4_1"
    assert told.settings["max_model_len"] == str(models["data"][0]["meta"]["n_ctx"])
    assert told.settings["sampling.temperature"] == "0.8"
    assert str(models["data"][0]["meta"]["n_params"]) in told.weights
    assert told.template == f"sha256:{sha256(props['chat_template'].encode()).hexdigest()}"
    body = json.dumps({"content": TEXT, "add_special": False}).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{engine}/tokenize", body)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        tokens = json.loads(answer.read())["tokens"]
    assert len(tokens) > 100
    assert told.tokenizer == f"sha256:{sha256(','.join(map(str, tokens)).encode()).hexdigest()}"
    metrics = get(sidecar.admin, "/metrics").decode()
    version = props["build_info"]
    line = f'sidelight_backend_info{{backend="LlamaCpp",backend_version="{version}"}} 1.0'
    assert line in metrics
    assert sidecar.requests() == requests
