"""What the tap is told at its start. A plain class, for `dataclasses` costs memory for nothing."""

from __future__ import annotations

import sys

from sidelight_sidecar.tap.capture import BLOCKS


class TapConfig:
    """Settings of one tap process.

    Args:
        interface: where packets are read, in this network namespace.
        port: the served port; who talks to it is a client.
        observer_argv: the observer's command line; it gets the frames on descriptor 3.
        record_path: write the frames to this file instead of starting an observer.
        tee_queue_bytes: frames that may wait for a slow observer: the relay's default.
        ring_blocks: blocks of 256 KiB for packets that were not read yet.
        restart_max_seconds: longest wait before a dead observer is started again.

    Raises:
        ValueError: frames go to nobody, or to two.
    """

    __slots__ = (
        "interface",
        "observer_argv",
        "port",
        "restart_max_seconds",
        "ring_blocks",
        "tee_queue_bytes",
    )

    def __init__(
        self,
        interface: str,
        port: int,
        *,
        observer_argv: list[str] | None = None,
        record_path: str | None = None,
        tee_queue_bytes: int = 8 << 20,
        ring_blocks: int = BLOCKS,
        restart_max_seconds: float = 10.0,
    ) -> None:
        if (observer_argv is None) == (record_path is None):
            raise ValueError("tap: frames go to an observer or to a file, one of the two")
        if record_path is not None:
            observer_argv = [sys.executable, "-m", "sidelight_sidecar.frames.record", record_path]
        assert observer_argv is not None
        self.interface = interface
        self.port = port
        self.observer_argv = observer_argv
        self.tee_queue_bytes = tee_queue_bytes
        self.ring_blocks = ring_blocks
        self.restart_max_seconds = restart_max_seconds
