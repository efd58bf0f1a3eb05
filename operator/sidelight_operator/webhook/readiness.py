"""When reviews may come: with a certificate, and a view that once had all that there is.

LimitRanges and ResourceQuotas are no part of that: a pod that is observed as if there were none is
more than one that is not observed.
"""

from collections.abc import Callable

from sidelight_operator.webhook.certificate import Certificate
from sidelight_operator.webhook.drain import Drain
from sidelight_operator.webhook.view import ClusterView


class Readiness:
    """Ready once the certificate is loaded and everything that a list shows was seen, until the
    process begins to end.
    """

    def __init__(
        self,
        view: ClusterView,
        certificate: Certificate,
        drain: Drain,
        listening: Callable[[], bool] = lambda: True,
    ) -> None:
        self._view = view
        self._listening = listening
        self._certificate = certificate
        self._drain = drain
        self._wanted: tuple[set[tuple[str, str]], set[str]] | None = None
        self._complete = False

    def expect(self, models: set[tuple[str, str]], namespaces: set[str]) -> None:
        """What the view must contain before a pod may be judged."""
        self._wanted = (models, namespaces)

    @property
    def complete(self) -> bool:
        """Whether the view once had everything; kopf's watches keep it so."""
        if not self._complete and self._wanted is not None:
            models, namespaces = self._wanted
            self._complete = (
                models <= self._view.seen_models and namespaces <= self._view.seen_namespaces
            )
        return self._complete

    @property
    def ready(self) -> bool:
        """Whether to take reviews; an incomplete view would let pods through unobserved."""
        serving = self._certificate.loaded and self._listening()
        return self.complete and serving and not self._drain.begun
