"""The example's engine behaves as llama.cpp does: what the demo and the profiles are tried on."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from cluster_client import ROOT

SCRIPT = str(ROOT / "examples/llama-server/llama_server.py")
SECRET = "xylophone"

pytestmark = pytest.mark.engine


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


class Engine:
    """A running `llama-server` that was told its port twice: the flag is the one that counts."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, "--port", str(self.port), "--parallel", "2", "--metrics"],
            env={"LLAMA_ARG_PORT": "1", "LLAMA_ARG_CTX_SIZE": "512", "LLAMA_ARG_ALIAS": "tiny"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def get(self, path: str, body: object = None) -> str:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, data=data, timeout=20) as response:
            return response.read().decode()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()[0]
            try:
                self.get("/health")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("llama-server was not ready within 30 s")


def chat(prompt: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": prompt}], "max_tokens": 3, **more}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    running = Engine()
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def test_a_streamed_answer_ends_with_usage_and_done(engine: Engine):
    """Events one by one, the engine's own token counts, the end marker, the alias as model."""
    text = engine.get(
        "/v1/chat/completions",
        chat("Say hi.", stream=True, stream_options={"include_usage": True}, logprobs=True),
    )
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert events[-1] == "[DONE]"
    last = json.loads(events[-2])
    assert last["model"] == "tiny"
    assert last["usage"]["completion_tokens"] == 3
    assert any(json.loads(event)["choices"][0].get("logprobs") for event in events[:-2])


def test_a_prompt_that_does_not_fit_is_refused_as_llama_cpp_does(engine: Engine):
    """The variable's 512 tokens over two slots leave 256 for each."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        engine.get("/v1/chat/completions", chat("word " * 600))
    with refused.value as response:
        error = json.load(response)["error"]
    assert error["code"] == 400
    assert error["type"] == "exceed_context_size_error"
    assert error["n_ctx"] == 256


def test_it_has_llama_cpps_other_endpoints(engine: Engine):
    """Metrics because asked for, slots by default, the tokenizer always."""
    assert "llamacpp:tokens_predicted_total" in engine.get("/metrics")
    assert len(json.loads(engine.get("/slots"))) == 2
    assert json.loads(engine.get("/tokenize", {"content": "hello world"}))["tokens"]


def test_it_ends_at_once_and_has_logged_no_prompt():
    """SIGTERM in the middle of an answer."""
    engine = Engine()
    engine.wait_until_ready()
    body = json.dumps(chat(SECRET, stream=True, max_tokens=200))
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as client:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall((head + body).encode())
        assert client.recv(100)
        engine.process.send_signal(signal.SIGTERM)
        output, _ = engine.process.communicate(timeout=20)
    assert engine.process.returncode == 0
    assert "listening" in output
    assert SECRET not in output


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["--nonsense"], {}, "unrecognized arguments: --nonsense"),
        (["--port", "x"], {}, "--port"),
        ([], {"LLAMA_ARG_PORT": "x"}, "--port"),
        ([], {"LLAMA_ARG_ENDPOINT_METRICS": "maybe"}, "LLAMA_ARG_ENDPOINT_METRICS"),
        (["--model", "/nowhere.gguf", "--port", "0"], {}, "failed to load model"),
    ],
)
def test_what_it_does_not_understand_stops_it(arguments, environment, complaint):
    """No flag or variable is silently ignored."""
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert complaint in done.stderr
