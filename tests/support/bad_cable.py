"""A cable between two network namespaces that loses, repeats and reorders what it carries.

Run it as `python bad_cable.py INTERFACE CLIENT_NAMESPACE SERVER_NAMESPACE SEED`. Both ends are TAP
devices, made here and moved there; so packets have the size of the wire and whole checksums, which
a veth cable never shows.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x0002 | 0x1000
LOST, REPEATED, LATE = 0.02, 0.03, 0.08
LATEST = 5
"""So many later packets overtake a late one at most."""


def end(interface: str, namespace: str, number: int) -> int:
    """Make one end; return its descriptor."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    made = f"slbad{os.getpid() % 10_000}{number}"
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", made.encode(), IFF_TAP_NO_PI))
    for command in (
        ("ip", "link", "set", made, "netns", namespace, "name", interface),
        ("ip", "-n", namespace, "address", "add", f"198.51.100.{number}/30", "dev", interface),
        ("ip", "-n", namespace, "link", "set", interface, "up"),
    ):
        subprocess.run(command, check=True)
    return fd


class Direction:
    """Packets from one end to the other."""

    def __init__(self, out: int, chance: random.Random) -> None:
        self._out = out
        self._chance = chance
        self._late: list[tuple[int, bytes]] = []

    def carry(self, packet: bytes) -> None:
        """Treat one packet badly."""
        luck = self._chance.random()
        if luck < LOST:
            return
        if luck < LOST + LATE:
            self._late.append((self._chance.randint(1, LATEST), packet))
            return
        for _ in range(2 if luck > 1 - REPEATED else 1):
            os.write(self._out, packet)
        self._late = [(left - 1, late) for left, late in self._late]
        for left, late in self._late:
            if left <= 0:
                os.write(self._out, late)
        self._late = [entry for entry in self._late if entry[0] > 0]

    def rest(self) -> None:
        """Nothing comes: let go of what is late."""
        for _, late in self._late:
            os.write(self._out, late)
        self._late.clear()


def main() -> None:
    """Carry until killed."""
    interface, client, server, seed = sys.argv[1:]
    ends = [end(interface, client, 1), end(interface, server, 2)]
    chance = random.Random(int(seed))
    to = {ends[0]: Direction(ends[1], chance), ends[1]: Direction(ends[0], chance)}
    print("up", flush=True)  # noqa: T201
    while True:
        ready, _, _ = select.select(ends, [], [], 0.005)
        for fd in ready:
            to[fd].carry(os.read(fd, 65536))
        if not ready:
            for direction in to.values():
                direction.rest()


if __name__ == "__main__":
    main()
