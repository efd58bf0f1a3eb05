"""What came of reading the model's files, as a metric; the digest itself is no label."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_contract.weights import WeightsState
from sidelight_sidecar.observer.weights import WeightsReader


class WeightsCollector(Collector):
    """One series for each state."""

    def __init__(self, reader: WeightsReader) -> None:
        self._reader = reader

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The family."""
        state = GaugeMetricFamily(
            "sidelight_weights_state",
            "1 for what came of reading the model's files (spec.version.readWeights).",
            labels=("state",),
        )
        for name in WeightsState:
            state.add_metric((name.value,), float(self._reader.state is name))
        yield state
