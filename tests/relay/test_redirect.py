"""The kernel's redirect and the relay together, in network namespaces of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from relay_harness import recorded, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and nftables need root"),
]

RULES = """
table inet sidelight_test {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    tcp dport 8000 redirect to :15001
  }
}
"""
ENGINE = """
import socket, sys
with socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    print("up", flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data[::-1])
"""
CLIENT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
        connection.sendall(b"stressed")
        connection.shutdown(socket.SHUT_WR)
        print(connection.recv(100).decode())
except (ConnectionResetError, BrokenPipeError):
    print("reset")
"""


def run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout.strip()


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a cable; neither has a route to anything else."""
    client, server = f"sl-relay-c-{os.getpid()}", f"sl-relay-s-{os.getpid()}"
    try:
        for name in (client, server):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run(
            "ip", "-n", client, "link", "add", "sl0", "type", "veth", "peer", "sl0", "netns", server
        )
        for name, number in ((client, 1), (server, 2)):
            run("ip", "-n", name, "address", "add", f"198.51.100.{number}/30", "dev", "sl0")
            run("ip", "-n", name, "address", "add", f"2001:db8::{number}/64", "dev", "sl0", "nodad")
            run("ip", "-n", name, "link", "set", "sl0", "up")
        run("ip", "netns", "exec", server, "nft", "-f", "-", stdin=RULES)
        yield client, server
    finally:
        for name in (client, server):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@contextlib.contextmanager
def program(namespace: str, *arguments: str, pipe: str) -> Iterator[str]:
    """Run Python in a namespace for the length of a block; give its first line of output."""
    command = ["ip", "netns", "exec", namespace, sys.executable, *arguments]
    out, err = (subprocess.PIPE, None) if pipe == "stdout" else (None, subprocess.PIPE)
    with subprocess.Popen(command, text=True, stdout=out, stderr=err) as process:
        stream = process.stdout or process.stderr
        assert stream is not None
        try:
            yield stream.readline()
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.mark.parametrize("server_address", ["198.51.100.2", "2001:db8::2"])
def test_redirected_connection_reaches_the_port_it_was_meant_for(
    namespaces: tuple[str, str], tmp_path: Path, server_address: str
) -> None:
    """Port 8000 goes through the relay to port 8000; the relay's own port is refused."""
    client, server = namespaces
    record = tmp_path / "frames"
    relay = ("-m", "sidelight_sidecar.relay", "--listen", "0.0.0.0:15001", "--listen", "[::]:15001")
    relay += ("--engine", "original-dst", "--record", str(record))
    with (
        program(server, "-c", ENGINE, pipe="stdout"),
        program(server, *relay, pipe="stderr") as first,
    ):
        assert json.loads(first)["engine"] == "original-dst"
        prefix = ("ip", "netns", "exec", client, sys.executable, "-c", CLIENT, server_address)
        assert run(*prefix, "8000") == "desserts"
        assert run(*prefix, "15001") == "reset"
        wait_for(lambda: any(frame[1] == ord("X") for frame in recorded(record)), "the last frame")
    opened = [json.loads(frame[4]) for frame in recorded(record) if frame[1] == ord("O")]
    shown = f"[{server_address}]" if ":" in server_address else server_address
    assert [flow["engine"] for flow in opened] == [f"{shown}:8000"]
    stats = [json.loads(frame[4]) for frame in recorded(record) if frame[1] == ord("T")]
    assert stats[-1]["refused_not_redirected"] == 1
