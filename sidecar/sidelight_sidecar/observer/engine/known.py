"""An engine whose kind is known: its metrics are asked where they are, its tokenizer if it has one.

What kind it is was found out at injection (`SIDELIGHT_ENGINE`); the table is the contract's. A
server with a profile of the user's own brings the place of its metrics along
(`SIDELIGHT_ENGINE_METRICS`, such as `:9090/metrics`).
"""

import re
from typing import NamedTuple

from sidelight_contract.engines import PROFILES
from sidelight_sidecar.observer.engine.client import Answer, EngineClient

_ASKED = "/metrics"
_PLACE = re.compile(r":(\d{0,5})(/.*)")


class Known(NamedTuple):
    """What is known of an engine; the defaults are what holds for one of which nothing is."""

    metrics_port: int = 0
    """0: the port that it serves on."""
    metrics_path: str = _ASKED
    """Empty: it has none."""
    tokenizer: bool = True
    """Whether it may have one that can be asked."""


def known_of(engine: str, metrics: str = "") -> Known:
    """What is known of an engine of this type, and of the place that was given for its metrics."""
    place = _PLACE.fullmatch(metrics)
    if place is not None:
        return Known(int(place[1] or 0), place[2])
    for profile in PROFILES:
        if profile.type.value == engine:
            tokenizer = bool(profile.tokenizer_path)
            return Known(profile.metrics_port, profile.metrics_path, tokenizer)
    return Known()


class KnownEngine:
    """Asks an engine by what is known of it; what it is known not to have is not asked for."""

    def __init__(self, client: EngineClient, known: Known) -> None:
        self._client = client
        self._known = known

    async def get(self, address: str, path: str) -> Answer:
        """GET from `host:port`; its metrics from where they are."""
        if path != _ASKED:
            return await self._client.get(address, path)
        if not self._known.metrics_path:
            return Answer(404)
        if self._known.metrics_port:
            address = f"{address.rpartition(':')[0]}:{self._known.metrics_port}"
        return await self._client.get(address, self._known.metrics_path)

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """POST JSON to `host:port`."""
        if not self._known.tokenizer:
            return Answer(404)
        return await self._client.post(address, path, body)
