"""`sidelight-sidecar redirect`: nftables rules in the pod's own network namespace.

Connections that enter the pod on a port of the engine go to the relay; those on that port's way
around it go to the engine. Both for IPv4 and IPv6. Connections made inside the pod do not pass
`prerouting` and are left alone. One transaction: the table is made anew, so running it twice is the
same as once.
"""

import subprocess
from collections.abc import Sequence

TABLE = "sidelight"


class RedirectError(RuntimeError):
    """The rules could not be written; the message says why and what to do."""


def rules(ports: Sequence[int], relay_port: int, liveness_port: int) -> str:
    """The transaction for `nft -f -`. A connection is translated once, by the first rule it meets,
    so what a way around sends to a port does not come to the rule for that port.

    Args:
        ports: the engine's.
        relay_port: where the relay listens.
        liveness_port: the first port's way around the relay; the others' are the ports after it.
    """
    lines = []
    for place, port in enumerate(ports):
        lines.append(f"    tcp dport {port} redirect to :{relay_port}")
        lines.append(f"    tcp dport {liveness_port + place} redirect to :{port}")
    return "\n".join(
        [
            f"table inet {TABLE}",
            f"delete table inet {TABLE}",
            f"table inet {TABLE} {{",
            "  chain inbound {",
            "    type nat hook prerouting priority -100; policy accept;",
            *lines,
            "  }",
            "}",
            "",
        ]
    )


def apply(text: str) -> None:
    """Write the rules.

    Raises:
        RedirectError: there is no `nft`, or the kernel refuses them.
    """
    try:
        done = subprocess.run(
            ["nft", "-f", "-"], input=text, text=True, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise RedirectError("the program nft is not in this image") from error
    if done.returncode:
        raise RedirectError(
            f"nft refused the rules: {done.stderr.strip()}; the container needs NET_ADMIN and "
            "user 0, and the node's kernel nf_tables with nat; else use mode PortTakeover"
        )
