"""The values that labels may take: bounded, and never what a client made up.

An adapter (LoRA) answers by its own name, and only one that the engine lists as such is told of as
one. Rules:
1. vLLM answers with the name that it has loaded the adapter by, and refuses others. SGLang repeats
   what was asked for: `model:adapter` is an adapter's answer, an adapter's bare name the model's.
2. Places are kept for the adapters that are listed: made-up names, which SGLang repeats likewise,
   cannot take them.
3. What had requests as an adapter stays one, also when the engine unloads it. At most
   `MAX_ADAPTERS`; further ones are models like others.
"""

from sidelight_contract.engines import EngineType
from sidelight_contract.identity import MAX_ADAPTERS, RuntimeIdentity
from sidelight_sidecar.observer.exchange import UNKNOWN_MODEL, Exchange

OTHER_MODEL = "_other"
OTHER_CODE = "_other"
_NONE = frozenset({UNKNOWN_MODEL, OTHER_MODEL})
_MAX_LENGTH = 128
MAX_FURTHER = 24
"""Operations of a model beyond its first, of all models together. At the most a model and operation
have some 300 series: 32 models with as many operations as there are would be 80,000, and a scrape
beyond its limit is lost as a whole (`tests/observer/test_series_budget.py`)."""
_MAX_CODES = 20
"""Servers use some fifteen statuses; an engine that makes them up costs no more series."""


class Labels:
    """The first `limit` served names, with the first `MAX_FURTHER` of their further operations, and
    the first `_MAX_CODES` statuses are themselves; the rest are `_other`.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.models = _NONE
        """Labels that are no adapters, as far as is known; of others nobody knows yet."""
        self.adapters: dict[str, str] = {}
        """Labels that are adapters and were used, each with its parent."""
        self._known: dict[str, set[str]] = {}
        """The operations of each name."""
        self._further = 0
        self._parents: dict[str, str] = {}
        self._codes: set[int] = set()

    def engine_serves(self, identity: RuntimeIdentity, engine: str) -> None:
        """Take note of what an engine of that type lists."""
        adapters = identity.adapters()
        if engine == EngineType.SGLANG:
            adapters = {f"{parent}:{name}": parent for name, parent in adapters.items()}
        self._parents = adapters
        self.models = _NONE.union(m.name for m in identity.models).difference(adapters)
        for name in self._known:
            self._note_adapter(name)

    def model(self, exchange: Exchange) -> str:
        """The model's label: the engine's own word, and only from an answer that is none of "no
        such model".
        """
        name = exchange.model
        if not name or exchange.code in (400, 404):
            return UNKNOWN_MODEL
        if name in self._known:
            return name if self._has_place(name, exchange.operation) else OTHER_MODEL
        if len(name) > _MAX_LENGTH or len(self._known) + self._kept_from(name) >= self.limit:
            return OTHER_MODEL
        self._known[name] = {exchange.operation}
        self._note_adapter(name)
        return name

    def _has_place(self, name: str, operation: str) -> bool:
        operations = self._known[name]
        if operation in operations:
            return True
        if self._further >= MAX_FURTHER:
            return False
        self._further += 1
        operations.add(operation)
        return True

    def _kept_from(self, name: str) -> int:
        """Places that are not for this name."""
        if name in self._parents:
            return 0
        waiting = sum(adapter not in self._known for adapter in self._parents)
        return min(waiting, MAX_ADAPTERS - len(self.adapters), self.limit // 2)

    def _note_adapter(self, name: str) -> None:
        parent = self._parents.get(name)
        if parent is not None and len(self.adapters) < MAX_ADAPTERS:
            self.adapters.setdefault(name, parent)

    def code(self, exchange: Exchange) -> str:
        """The label for the status of `exchange`; `0`: there was none."""
        code = exchange.code
        if code not in self._codes:
            if len(self._codes) >= _MAX_CODES:
                return OTHER_CODE
            self._codes.add(code)
        return str(code)
