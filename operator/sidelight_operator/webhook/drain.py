"""The end of a webhook's process, so late that no review is lost.

1. SIGTERM: readiness goes, and each further answer closes its connection, so that the API server
   makes its next one to another replica.
2. For some seconds reviews are answered as before: the Service is forgotten node by node.
3. Then the listener closes, and what is being answered is still answered.
"""

import asyncio
import logging

from sidelight_operator.kube.following import take_signals

logger = logging.getLogger("sidelight.webhook")


class Drain:
    """Begun by a signal, over some seconds later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begun = False
        """Whether this process is about to end."""
        self.over = asyncio.Event()
        """Set when it is time to end; kopf's stop flag."""

    def take_signals(self) -> None:
        """Take SIGTERM and SIGINT from kopf, which would end at once."""
        take_signals(self.begin)

    def begin(self) -> None:
        """Begin; a second call ends it."""
        if self.begun:
            self.over.set()
            return
        self.begun = True
        logger.info("draining", extra={"seconds": self._seconds})
        asyncio.get_running_loop().call_later(self._seconds, self.over.set)
