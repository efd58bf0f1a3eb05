"""Which engine answers, as a metric; its value is 1 and says nothing."""

import re
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_contract.engines import EngineType
from sidelight_sidecar.observer.identity.reader import IdentityReader

_VERSION = re.compile(r"[A-Za-z0-9][\w.+:~@/-]{0,63}", re.ASCII)


class BackendCollector(Collector):
    """At most one series: the engine's type, from our own table, and what it calls its version."""

    def __init__(self, reader: IdentityReader) -> None:
        self._reader = reader

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The family; without a series until the engine has told something."""
        info = GaugeMetricFamily(
            "sidelight_backend_info",
            "The engine that answers, by its type (spec.engine.type) and its own word.",
            labels=("backend", "backend_version"),
        )
        identity = self._reader.identity()
        if identity.read_at:
            version = identity.engine_version
            known = self._reader.engine is not EngineType.AUTO
            info.add_metric(
                (
                    self._reader.engine.value if known else EngineType.GENERIC.value,
                    version if _VERSION.fullmatch(version) else "",
                ),
                1.0,
            )
        yield info
