"""What the relay is told at its start.

Plain slotted class: `dataclasses` would cost 2 MB of a process that is meant to need 12.
"""

from __future__ import annotations

import sys

ORIGINAL_DESTINATION = "original-dst"
"""Engine address that means: where the client wanted to go before the redirect."""

Address = tuple[str, int]


class RelayConfig:
    """Settings of one relay process.

    Args:
        listen: addresses to accept on. ``::`` takes IPv6 only; give ``0.0.0.0`` as well for both.
        engine: `ORIGINAL_DESTINATION`, or the one address that every connection goes to.
        observer_argv: the observer's command line; it gets the frames on descriptor 3.
            None: nothing is observed, and every flow is counted so.
        record_path: write the frames to this file instead of starting an observer.
        tee_queue_bytes: frames that may wait for a slow observer. 8 MiB is some seconds of the
            busiest stream seen in benchmarks/, and fits a small container beside the observer.
        drain_seconds: how long flows may go on after SIGTERM; 25 leaves the rest of Kubernetes'
            default grace of 30 to the exit itself.
        restart_max_seconds: longest wait before a dead observer is started again.

    Raises:
        ValueError: settings that contradict each other.
    """

    __slots__ = (
        "drain_seconds",
        "engine",
        "listen",
        "observer_argv",
        "restart_max_seconds",
        "tee_queue_bytes",
    )

    def __init__(
        self,
        listen: list[Address],
        engine: str | Address,
        *,
        observer_argv: list[str] | None = None,
        record_path: str | None = None,
        tee_queue_bytes: int = 8 << 20,
        drain_seconds: float = 25.0,
        restart_max_seconds: float = 10.0,
    ) -> None:
        if not listen:
            raise ValueError("relay: no address to listen on")
        if isinstance(engine, str) and engine != ORIGINAL_DESTINATION:
            raise ValueError(
                f"relay: engine {engine!r} is neither {ORIGINAL_DESTINATION} nor host:port"
            )
        if record_path is not None:
            if observer_argv is not None:
                raise ValueError("relay: frames go to an observer or to a file, not to both")
            observer_argv = [sys.executable, "-m", "sidelight_sidecar.frames.record", record_path]
        self.listen = listen
        self.engine = engine
        self.observer_argv = observer_argv
        self.tee_queue_bytes = tee_queue_bytes
        self.drain_seconds = drain_seconds
        self.restart_max_seconds = restart_max_seconds


def parse_address(text: str) -> Address:
    """Return the host and port of ``host:port`` or ``[v6]:port``.

    Raises:
        ValueError: neither of the two.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: write an IPv6 address as [address]:port")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port")
    return host, int(port)


def format_address(address: tuple[object, ...]) -> str:
    """Return ``host:port`` of a socket address, IPv6 in brackets."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
