"""The values that the label `model` may take: bounded, and never what a client made up."""

from sidelight_sidecar.observer.exchange import UNKNOWN_MODEL, Exchange

OTHER_MODEL = "_other"
_MAX_LENGTH = 128


class ModelLabels:
    """The first `limit` served names are themselves, the rest are `_other`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._known: set[str] = set()

    def of(self, exchange: Exchange) -> str:
        """The label for `exchange`: the engine's own word, and only from an answer that is none
        of "no such model".
        """
        name = exchange.model
        if not name or exchange.code in (400, 404):
            return UNKNOWN_MODEL
        if name in self._known:
            return name
        if len(name) > _MAX_LENGTH or len(self._known) >= self.limit:
            return OTHER_MODEL
        self._known.add(name)
        return name
