"""The relay: every byte forwarded as it comes, a copy of it handed to the observer.

It is in the path of a model server, so it does as little as can be done: it parses nothing, imports
only the standard library (and little of it), and waits for nobody but the two sides of a
connection. Start it with `run(RelayConfig(...))`, or as its own small process with
``python -m sidelight_sidecar.relay``.
"""

from sidelight_sidecar.relay.config import ORIGINAL_DESTINATION, RelayConfig, parse_address
from sidelight_sidecar.relay.loop import run

__all__ = ["ORIGINAL_DESTINATION", "RelayConfig", "parse_address", "run"]
