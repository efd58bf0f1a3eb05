"""A relay as a real process, with both ends of its connections in the test's hands."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sidelight_sidecar.frames.codec import Frame, FrameError
from sidelight_sidecar.frames.file import FrameFileReader
from sidelight_sidecar.relay import parse_address

SECONDS = 30.0
"""Deadline of every wait: far longer than any takes, so that only a hang fails by it."""

START = """
import json, resource, sys
settings = json.loads(sys.argv[1])
if nofile := settings.pop("nofile", None):
    resource.setrlimit(resource.RLIMIT_NOFILE, (nofile // 2, nofile))
from sidelight_sidecar.relay import RelayConfig, run
listen, engine = settings.pop("listen"), settings.pop("engine")
config = RelayConfig(
    [tuple(a) for a in listen], engine if isinstance(engine, str) else tuple(engine), **settings
)
sys.exit(run(config))
"""


def wait_for(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Poll until the condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.002)


def receive_all(connection: socket.socket, size: int = 65536) -> bytes:
    """Read until the other side ends."""
    parts = []
    while data := connection.recv(size):
        parts.append(data)
    return b"".join(parts)


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Read so many bytes."""
    parts = bytearray()
    while len(parts) < count:
        data = connection.recv(count - len(parts))
        assert data, f"ended after {len(parts)} of {count} bytes"
        parts += data
    return bytes(parts)


def send_reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def send_until_stopped(connection: socket.socket, data: bytes | None = None) -> int:
    """Send until nothing more goes for 0.3 s; return the number of bytes that went."""
    connection.settimeout(0.3)
    sent = 0
    block = memoryview(bytes(65536) if data is None else data)
    try:
        while data is None or sent < len(data):
            sent += connection.send(block if data is None else block[sent : sent + 65536])
    except TimeoutError:
        return sent
    finally:
        connection.settimeout(SECONDS)
    raise AssertionError("was never stopped")


def was_reset(connection: socket.socket) -> bool:
    """Read to the end; say whether that was a reset."""
    try:
        receive_all(connection)
    except ConnectionResetError:
        return True
    return False


class RelayUnderTest:
    """A relay process in front of a listener that the test accepts from."""

    def __init__(
        self, *, engine: object = None, host: str = "127.0.0.1", **settings: object
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family, backlog=1024)
        self.listener.settimeout(SECONDS)
        self.sockets = [self.listener]
        settings = {
            "listen": [[host, 0]],
            "engine": engine or [host, self.engine_port],
            **settings,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, json.dumps(settings)], stderr=subprocess.PIPE
        )
        assert self.process.stderr is not None
        first = json.loads(self.process.stderr.readline())
        assert first["event"] == "listening", first
        self.addresses = [parse_address(address) for address in first["listen"]]
        self.address = self.addresses[0]
        self.log: list[dict[str, object]] = [first]
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    @property
    def engine_port(self) -> int:
        """Port of the test's own engine."""
        return int(self.listener.getsockname()[1])

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"event": "not json", "line": line.decode()})

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        """Open a client's connection to the relay."""
        client = socket.socket(self.listener.family)
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sockets.append(client)
        client.settimeout(SECONDS)
        client.connect(self.address)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def nobody_comes(self, seconds: float) -> bool:
        """Say whether no connection came to the engine in so many seconds."""
        self.listener.settimeout(seconds)
        try:
            self.accept()
        except TimeoutError:
            return True
        finally:
            self.listener.settimeout(SECONDS)
        return False

    def refuses(self) -> bool:
        """Connect as a client; say whether that connection was reset without a byte."""
        try:
            with self.connect() as client:
                return client.recv(1) == b"never"
        except ConnectionResetError:
            return True

    def accept(self) -> socket.socket:
        """Accept the relay's connection as the engine."""
        engine, _ = self.listener.accept()
        self.sockets.append(engine)
        engine.settimeout(SECONDS)
        engine.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return engine

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a new connection through the relay: client, engine."""
        client = self.connect()
        return client, self.accept()

    def observer_pid(self) -> int | None:
        """Return the observer's process id, None while none runs."""
        pid = self.process.pid
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return int(children[0]) if children else None
        return None

    def rss_bytes(self) -> int:
        """Return the relay's resident memory."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def heap_bytes(self) -> int:
        """Return the relay's resident memory that is no file's: code read in late is no growth."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("RssAnon:")]
        return int(line.split()[1]) * 1024

    def cpu_seconds(self) -> float:
        """Return the processor time the relay has used."""
        nanoseconds = Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]
        return int(nanoseconds) / 1e9

    def stop(self) -> dict[str, int]:
        """Terminate it, once no flow is open any more; return its last counters."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> dict[str, int]:
        """Wait for its own end and return its last counters."""
        status = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        assert status == 0, self.log
        assert self.log[-1]["event"] == "stopped", self.log
        counters = self.log[-1]["counters"]
        assert isinstance(counters, dict)
        return counters

    def close(self) -> None:
        """End whatever is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        for opened in self.sockets:
            opened.close()


@contextlib.contextmanager
def relay_under_test(**settings: object) -> Iterator[RelayUnderTest]:
    """Run a relay for the length of a block."""
    relay = RelayUnderTest(**settings)
    try:
        yield relay
    finally:
        relay.close()


def recorded(path: Path) -> list[Frame]:
    """Return the whole frames of a file that may still be written."""
    frames: list[Frame] = []
    with contextlib.suppress(FrameError, FileNotFoundError):
        for frame in FrameFileReader(io.BytesIO(path.read_bytes())):
            frames.append(frame)  # noqa: PERF402 - what came before the error is kept
    return frames


def frames_of(frames: list[Frame], client_port: int) -> list[Frame]:
    """Return the frames of the last flow that came from this client port."""
    flow = None
    for frame in frames:
        if frame[1] == ord("O") and frame[4].startswith(b'{"client":"'):
            client = json.loads(frame[4])["client"]
            if client.endswith(f":{client_port}"):
                flow = frame[0]
    return [frame for frame in frames if frame[0] == flow]


def stream_of(frames: list[Frame], kind: str) -> bytes:
    """Join the payloads of one kind."""
    return b"".join([frame[4] for frame in frames if frame[1] == ord(kind)])


def kinds_of(frames: list[Frame]) -> str:
    """Return the kinds in order, without those that carry bytes."""
    return "".join([chr(frame[1]) for frame in frames if frame[1] not in b"cs"])
