"""The redirect as the init container writes it: several ports, IPv4 and IPv6, engines that bind one
address, and the ways around the relay.
"""

import errno
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from namespaces import SERVER, SERVER6, Namespaces, namespaces, program, run
from relay_harness import recorded, wait_for

from sidelight_sidecar import addresses
from sidelight_sidecar.addresses import usable

ENGINE = """
import socket, sys, threading
def serve(host, port, name):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dual = host == "::"
    with socket.create_server((host, port), family=family, dualstack_ipv6=dual) as server:
        up.release()
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(name.encode())
up = threading.Semaphore(0)
for place, where in enumerate(sys.argv[1:]):
    host, _, port = where.rpartition(":")
    threading.Thread(target=serve, args=(host, int(port), f"engine {place}"), daemon=True).start()
    up.acquire()
print("up", flush=True)
sys.stdin.read()
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
    print(connection.recv(100).decode())
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and nftables need root")


@pytest.fixture
def hosts() -> Iterator[Namespaces]:
    with namespaces() as both:
        yield both


def ask(hosts: Namespaces, address: str, port: int) -> str:
    """What answers on a port of the server, from outside."""
    python = ("python3", "-c", CLIENT, address, str(port))
    return run("ip", "netns", "exec", hosts.client, *python)


@needs_root
@pytest.mark.slow
def test_every_port_leads_through_the_relay_and_has_a_way_around_it(
    hosts: Namespaces, tmp_path: Path
) -> None:
    """Two ports of one engine, the second bound to the pod's own address alone."""
    record = tmp_path / "frames"
    cli = ("-m", "sidelight_sidecar")
    redirect = ("redirect", "--port", "8000", "--port", "8001", "--to", "15001")
    with program(hosts.server, *cli, *redirect, "--liveness", "15008") as written:
        assert written.line() == "port 8000 goes to 15001, 15008 to 8000"
        assert written.line() == "port 8001 goes to 15001, 15009 to 8001"
    relay = ("record", str(record), "--listen", "0.0.0.0:15001", "--listen", "[::]:15001")
    with (
        program(hosts.server, "-c", ENGINE, ":::8000", f"{SERVER}:8001") as engine,
        program(hosts.server, *cli, *relay, "--engine", "original-dst") as running,
    ):
        assert engine.line() == "up"
        assert running.logged()["event"] == "listening"
        assert [ask(hosts, SERVER, port) for port in (15008, 15009)] == ["engine 0", "engine 1"]
        assert ask(hosts, SERVER6, 15008) == "engine 0"
        assert [ask(hosts, SERVER, port) for port in (8000, 8001)] == ["engine 0", "engine 1"]
        assert ask(hosts, SERVER6, 8000) == "engine 0"
        wait_for(lambda: len(opened(record)) == 3, "three flows")
    assert opened(record) == [f"{SERVER}:8000", f"{SERVER}:8001", f"[{SERVER6}]:8000"]


def opened(record: Path) -> list[str]:
    """Where the relay's flows went."""
    if not record.exists():
        return []
    return [json.loads(frame[4])["engine"] for frame in recorded(record) if frame[1] == ord("O")]


def test_an_address_of_a_family_that_the_kernel_lacks_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without IPv6 the relay serves IPv4; what cannot be served at all is left for it to say."""

    class WithoutIpv6(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *rest: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "no such family")
            super().__init__(family, *rest)

    both = ["0.0.0.0:15001", "[::]:15001"]
    assert usable(both) == both
    monkeypatch.setattr(addresses.socket, "socket", WithoutIpv6)
    assert usable(both) == ["0.0.0.0:15001"]
    assert usable(["[::]:15001"]) == ["[::]:15001"]
