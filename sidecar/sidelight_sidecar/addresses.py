"""Which of the addresses to listen on this machine has at all.

A pod is told to listen on IPv4 and IPv6, whichever its cluster has. A kernel without the one family
must not keep the relay from the other: it would keep the model's traffic away.
"""

import errno
import socket
from collections.abc import Sequence

from sidelight_sidecar.relay.config import parse_address

_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def usable(addresses: Sequence[str]) -> list[str]:
    """Those of `addresses` whose family there is; all of them when that would leave none, so that
    the relay says what is wrong.
    """
    return [address for address in addresses if _has_family(address)] or list(addresses)


def _has_family(address: str) -> bool:
    host = parse_address(address)[0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        return error.errno not in _NO_SUCH_FAMILY
    return True
