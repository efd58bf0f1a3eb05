"""The values that labels may take: bounded, and never what a client made up."""

from sidelight_sidecar.observer.exchange import UNKNOWN_MODEL, Exchange

OTHER_MODEL = "_other"
OTHER_CODE = "_other"
_MAX_LENGTH = 128
_MAX_CODES = 40
"""Servers use some fifteen statuses; an engine that makes them up costs no more series."""


class Labels:
    """The first `limit` served names, and the first forty statuses, are themselves; the rest are
    `_other`.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._known: set[str] = set()
        self._codes: set[int] = set()

    def model(self, exchange: Exchange) -> str:
        """The model's label: the engine's own word, and only from an answer that is none of "no
        such model".
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

    def code(self, exchange: Exchange) -> str:
        """The label for the status of `exchange`; `0`: there was none."""
        code = exchange.code
        if code not in self._codes:
            if len(self._codes) >= _MAX_CODES:
                return OTHER_CODE
            self._codes.add(code)
        return str(code)
