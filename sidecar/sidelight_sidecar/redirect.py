"""`sidelight-sidecar redirect`: two nftables rules in the pod's own network namespace.

Connections that enter the pod on the engine's port go to the relay; those on the liveness port go
to the engine's port, around the relay. Connections made inside the pod do not pass `prerouting` and
are left alone. One transaction: the table is made anew, so running it twice is the same as once.
"""

import subprocess

TABLE = "sidelight"


class RedirectError(RuntimeError):
    """The rules could not be written; the message says why and what to do."""


def rules(port: int, relay_port: int, liveness_port: int) -> str:
    """The transaction for `nft -f -`. A connection is translated once, by the first rule it meets,
    so what the second rule sends to `port` does not come to the first one.
    """
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  chain inbound {{
    type nat hook prerouting priority -100; policy accept;
    tcp dport {port} redirect to :{relay_port}
    tcp dport {liveness_port} redirect to :{port}
  }}
}}
"""


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
