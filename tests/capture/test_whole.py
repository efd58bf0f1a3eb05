"""A whole sidecar with a file sink: what leaves it of requests and answers, in each mode."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from real_engine import free_port, get, process
from relay_harness import wait_for

from sidelight_sidecar.cli import main
from sidelight_sidecar.coding import zstd

CARD = "4111 1111 1111 1111"
MAIL = "ada.lovelace@example.org"


class Echo(BaseHTTPRequestHandler):
    """Says again what the last message says: streamed a few letters at a time, or whole, in gzip
    where that is accepted.
    """

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = asked["messages"][-1]["content"]
        usage = {"prompt_tokens": 5, "completion_tokens": 7}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": said}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            body = {"id": "c-1", "model": "m", "choices": [choice], "usage": usage}
            self._whole(json.dumps(body).encode())
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(said), 3):
            self._event([{"index": 0, "delta": {"content": said[start : start + 3]}}])
        self._event([{"index": 0, "delta": {}, "finish_reason": "stop"}], usage)
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def do_GET(self) -> None:
        self.send_error(404)

    def _whole(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _event(self, choices: list[object], usage: object = None) -> None:
        body = {"id": "c-1", "model": "m", "choices": choices, "usage": usage}
        self._chunk(b"data: %s\n\n" % json.dumps(body).encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def engine() -> Iterator[int]:
    """Its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()


class Sidecar:
    """A running one."""

    def __init__(self, port: int, admin: int, records: Path) -> None:
        self.port = port
        self.admin = admin
        self._records = records

    def ask(self, words: str, *, stream: bool = False, coding: str = "identity") -> None:
        """Send one chat through it."""
        body = {"stream": stream, "messages": [{"role": "user", "content": words}]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Accept-Encoding": coding},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()

    def records(self, count: int) -> list[dict]:
        """So many records, once they are in the file."""
        wait_for(lambda: len(self._read()) >= count, f"{count} records in the file", 60)
        found = self._read()
        assert len(found) == count
        return [json.loads(line) for line in found]

    def _read(self) -> list[bytes]:
        files = sorted(self._records.glob("files/*.jsonl.zst*"))
        return [line for path in files for line in zstd.decompress(path.read_bytes()).splitlines()]

    def everything(self) -> bytes:
        """All that is in its directories, decompressed where that can be."""
        found = b""
        for path in self._records.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                found += zstd.decompress(data) if ".zst" in path.name else data
        return found


@contextmanager
def sidecar(engine: int, directory: Path, **capture: object) -> Iterator[Sidecar]:
    """A sidecar in front of the engine, whose configuration captures into files."""
    port, admin = free_port(), free_port()
    config = directory / "config.json"
    export = {"sinks": [{"kind": "file", "name": "files"}]}
    config.write_text(json.dumps({"version": 1, "capture": capture, "export": export}))
    records = directory / "records"
    arguments = [
        "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
        "--engine", f"127.0.0.1:{engine}", "--admin", f"127.0.0.1:{admin}",
        "--config", str(config), "--records", str(records), "--spool", str(directory / "spool"),
    ]  # fmt: skip
    with process(*arguments):
        wait_for(lambda: b"sidelight_capture_running 1.0" in get(admin, "/metrics"), "it captures")
        yield Sidecar(port, admin, records)


def test_redacted_lets_no_finding_out_however_it_is_split_or_coded(engine: int, tmp_path: Path):
    """A card over many events, an address in gzip: only their names are in the files."""
    with sidecar(engine, tmp_path, payloads="Redacted") as running:
        running.ask(f"My card is {CARD}, thanks", stream=True)
        running.ask(f"Write to {MAIL} today", coding="gzip")
        streamed, zipped = running.records(2)
        assert streamed["payloads"] == "Redacted"
        assert streamed["request"]["content"]["messages"][0]["content"] == (
            "My card is [CARD], thanks"
        )
        (choice,) = streamed["response"]["content"]["choices"]
        assert choice["message"]["content"] == "My card is [CARD], thanks"
        assert choice["finish_reason"] == "stop"
        assert (streamed["tokens"]["output"], streamed["tokens"]["source"]) == (7, "usage")
        (choice,) = zipped["response"]["content"]["choices"]
        assert choice["message"]["content"] == "Write to [EMAIL] today"
        assert (streamed["findings"], zipped["findings"]) == ({"card": 2}, {"email": 2})
        everything = running.everything()
        assert b"1111" not in everything
        assert b"lovelace" not in everything
        metrics = get(running.admin, "/metrics")
        assert b'sidelight_capture_findings_total{detector="card"} 2.0' in metrics
    assert b"1111" not in (tmp_path / "config.json").read_bytes()


def test_off_has_no_word_of_a_payload(engine: int, tmp_path: Path):
    """Times, tokens, and sizes alone; that is the default."""
    with sidecar(engine, tmp_path) as running:
        running.ask("A word", stream=True)
        (record,) = running.records(1)
        assert record["payloads"] == "Off"
        assert record["tokens"] == {"source": "usage", "prompt": 5, "output": 7}
        assert record["times"]["time_to_first_token_seconds"] > 0
        assert b"A word" not in running.everything()
        assert record.keys() & {"request", "response", "findings"} == set()


def test_full_is_as_it_passed(engine: int, tmp_path: Path):
    """For who asked for it."""
    with sidecar(engine, tmp_path, payloads="Full") as running:
        running.ask(f"My card is {CARD}", stream=True)
        (record,) = running.records(1)
        (choice,) = record["response"]["content"]["choices"]
        assert choice["message"]["content"] == f"My card is {CARD}"


def test_what_waits_when_the_pod_ends_is_shipped(engine: int, tmp_path: Path):
    """Nobody waits for a batch to be full: the relay waits for the observer, which waits for it."""
    with sidecar(engine, tmp_path, payloads="Redacted") as running:
        running.ask("The last word")
        wait_for(
            lambda: b"sidelight_capture_records_total 1.0" in get(running.admin, "/metrics"),
            "the record made",
        )
    assert len(running.records(1)) == 1


def test_a_sink_that_cannot_be_written_harms_nobody_and_is_said(engine: int, tmp_path: Path):
    """A file where the directory should be: requests go on, the sink is down."""
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "files").write_text("in the way")
    with sidecar(engine, tmp_path, payloads="Redacted") as running:
        for _ in range(20):
            running.ask("word")
        wait_for(
            lambda: (
                b'sidelight_sink_up{kind="file",sink="files"} 0.0' in get(running.admin, "/metrics")
            ),
            "the sink told as down",
        )
        running.ask("word")
        metrics = get(running.admin, "/metrics")
        assert b'sidelight_sink_records_total{kind="file",result="delivered",sink="files"} 0.0' in (
            metrics
        )


@pytest.mark.parametrize("payloads", ["Off", "Redacted", "Full"])
def test_a_replay_shows_what_was_shipped(
    engine: int, tmp_path: Path, payloads: str, capsys: pytest.CaptureFixture[str]
):
    """A recording of the same traffic, by the same configuration: the same records, but for their
    ids and times, which are those of two observers.
    """
    recording, port = tmp_path / "frames", free_port()
    with sidecar(engine, tmp_path, payloads=payloads) as running:
        command = ("-m", "sidelight_sidecar", "record", "--listen", f"127.0.0.1:{port}")
        with process(*command, "--engine", f"127.0.0.1:{running.port}", str(recording)):
            wait_for(lambda: accepts(port), "the recorder listens")
            recorded = Sidecar(port, running.admin, tmp_path / "records")
            recorded.ask(f"My card is {CARD}, thanks", stream=True)
            recorded.ask(f"Write to {MAIL} today", coding="gzip")
            shipped = recorded.records(2)
    config = str(tmp_path / "config.json")
    assert main(["replay", str(recording), "--capture", "--config", config]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]
    assert [without_times(record) for record in shown] == [without_times(r) for r in shipped]


def accepts(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def without_times(record: dict) -> dict:
    """A record without what two observers differ in."""
    assert record["id"]
    return {name: value for name, value in record.items() if name not in ("id", "times")}
