"""Where a redirected connection wanted to go (netfilter's SO_ORIGINAL_DST).

From linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h; Python's socket module has no
names for them.
"""

from __future__ import annotations

import socket
import struct

SO_ORIGINAL_DST = 80
SOCKADDR_IN_BYTES = 16
SOCKADDR_IN6_BYTES = 28

Destination = tuple[str, int] | tuple[str, int, int, int]


def original_destination(connection: socket.socket) -> Destination | None:
    """Return the address before the redirect, or None for a connection that was not redirected.

    A connection made straight to the relay's port has no entry, or one that says the relay's own
    address. Forwarding it there would come back here, again and again, until descriptors run out.
    """
    try:
        if connection.family == socket.AF_INET6:
            raw = connection.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, SOCKADDR_IN6_BYTES)
            port, packed = struct.unpack_from("!2xH4x16s", raw)
            (scope,) = struct.unpack_from("=I", raw, 24)  # in host order, unlike the rest
            destination: Destination = (socket.inet_ntop(socket.AF_INET6, packed), port, 0, scope)
        else:
            raw = connection.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, SOCKADDR_IN_BYTES)
            port, packed = struct.unpack_from("!2xH4s", raw)
            destination = (socket.inet_ntop(socket.AF_INET, packed), port)
    except OSError:
        return None
    own = connection.getsockname()
    return None if destination[:2] == own[:2] else destination
