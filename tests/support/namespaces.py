"""Two network namespaces joined by a cable, and programs in them. They have no way out."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

SERVER = "198.51.100.2"
SERVER6 = "2001:db8::2"
INTERFACE = "sl0"
_numbers = itertools.count()


def run(*command: str) -> str:
    """Run a program to its end; return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout.strip()


@dataclass(frozen=True)
class Namespaces:
    """Their names: the client's, where addresses end in 1, and the server's."""

    client: str
    server: str


@contextlib.contextmanager
def namespaces(*, addresses: bool = True, cable: bool = True) -> Iterator[Namespaces]:
    """Make them for the length of a block.

    Args:
        addresses: without, neither host has anything to say on the cable by itself.
        cable: without, they are not joined.
    """
    number = next(_numbers)
    names = [f"sl-tap-{os.getpid()}-{number}{side}" for side in ("c", "s")]
    client, server = names
    try:
        for name in names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
            if not addresses:
                for which in ("all", "default"):
                    setting = f"net.ipv6.conf.{which}.disable_ipv6=1"
                    run("ip", "netns", "exec", name, "sysctl", "-qw", setting)
        if cable:
            _join(client, server, addresses=addresses)
        yield Namespaces(client, server)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _join(client: str, server: str, *, addresses: bool) -> None:
    cable = ("link", "add", INTERFACE, "type", "veth", "peer", INTERFACE, "netns", server)
    run("ip", "-n", client, *cable)
    for name, number in ((client, 1), (server, 2)):
        if addresses:
            for address in (f"198.51.100.{number}/30", f"2001:db8::{number}/64"):
                nodad = ("nodad",) if ":" in address else ()
                run("ip", "-n", name, "address", "add", address, "dev", INTERFACE, *nodad)
        run("ip", "-n", name, "link", "set", INTERFACE, "up")


class Program:
    """Python in a namespace: lines in, lines out."""

    def __init__(self, namespace: str, *arguments: str) -> None:
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        self.process = subprocess.Popen(
            [*prefix, sys.executable, *arguments],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def line(self) -> str:
        """Return its next line of output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def logged(self) -> dict[str, object]:
        """Return its next line of log."""
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line, "ended without a word"
        entry = json.loads(line)
        assert isinstance(entry, dict)
        return entry

    def ask(self, line: str) -> str:
        """Give it a line, and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.line()

    def stop(self) -> dict[str, object]:
        """Terminate it; return its last line of log."""
        self.process.terminate()
        return self.ended()[1]

    def ended(self) -> tuple[int, dict[str, object]]:
        """Wait for its own end; return the status and its last line of log."""
        _, err = self.process.communicate(timeout=30)
        last = json.loads(err.splitlines()[-1]) if err else {}
        return self.process.returncode, last


@contextlib.contextmanager
def program(namespace: str, *arguments: str) -> Iterator[Program]:
    """Run Python in a namespace for the length of a block."""
    started = Program(namespace, *arguments)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.communicate(timeout=30)


@contextlib.contextmanager
def tap(
    namespace: str, *options: str, interface: str = INTERFACE, port: int = 8000
) -> Iterator[Program]:
    """Tap a port of a namespace for the length of a block."""
    command = ("-m", "sidelight_sidecar.tap", "--interface", interface, "--port", str(port))
    with program(namespace, *command, *options) as started:
        first = started.logged()
        assert first["event"] == "tapping", first
        yield started
