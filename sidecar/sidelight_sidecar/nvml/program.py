"""What the program does: one thread finds the devices and becomes the fast one, two more follow."""

from collections.abc import Sequence

from sidelight_sidecar.nvml.discovery import Node, discover, unsupported
from sidelight_sidecar.nvml.library import LostError, open_library
from sidelight_sidecar.nvml.outbox import Outbox
from sidelight_sidecar.nvml.rounds import Errors, Rounds, lose, start_thread


class Program:
    """Reads devices into an outbox.

    Args:
        uuids: the pod's devices; empty: all that are visible.
        visible_all: the node's devices are visible.
        fast_seconds: between rounds of what changes quickly.
        slow_seconds: and of the rest.
    """

    def __init__(
        self, uuids: Sequence[str], visible_all: bool, fast_seconds: float, slow_seconds: float
    ) -> None:
        self._uuids = uuids
        self._visible_all = visible_all
        self._fast_seconds = fast_seconds
        self._slow_seconds = slow_seconds
        self.outbox = Outbox()

    def start(self) -> None:
        """Begin; returns at once, though the driver may take its time to answer."""
        start_thread("devices", self._run, self.outbox)

    def _run(self) -> None:
        open_library()
        node = discover(self._uuids, visible_all=self._visible_all)
        self.outbox.expect(len(node.found), self._fast_seconds, self._slow_seconds)
        self._hello(node)
        found, outbox = node.found, self.outbox
        slow = Rounds(found, fast=False, seconds=self._slow_seconds, outbox=outbox)
        fast = Rounds(found, fast=True, seconds=self._fast_seconds, outbox=outbox)
        start_thread("errors", Errors(found, outbox).run, outbox)
        start_thread("slow", slow.run, outbox)
        fast.run()

    def _hello(self, node: Node) -> None:
        self.outbox.greet(
            {
                "kind": "hello",
                **node.versions,
                "devices": [one.facts for one in node.found],
                "missing": node.missing,
                "period_seconds": self._fast_seconds,
                "slow_seconds": self._slow_seconds,
            }
        )
        plans = [plan for one in node.found for plan in (one.fast, one.slow)]
        if signals := unsupported(plans):
            self.outbox.tell({"kind": "unsupported", "signals": signals})
        for number, text in node.lost.items():
            self.outbox.tell({"kind": "gone", "index": str(number), "text": text})
        for place, one in enumerate(node.found):
            if one.lost:
                one.lost = False
                lose(place, node.found, LostError("GPU is lost"), self.outbox)
