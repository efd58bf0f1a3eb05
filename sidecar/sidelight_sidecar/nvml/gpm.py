"""How busy the parts of a device are: its counters between two samples (Hopper and newer).

The samples are of the library's own memory, two for each device, turned over round by round.
"""

import math
import time
from collections.abc import Callable, Collection
from typing import Any

import pynvml

from sidelight_sidecar.nvml.library import TransientError, UnsupportedError, asked, judged
from sidelight_sidecar.nvml.plan import NOT_SUPPORTED, Values
from sidelight_sidecar.nvml.queries import Handle

METRICS = {
    "sm_active": pynvml.NVML_GPM_METRIC_SM_UTIL,
    "tensor_active": pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL,
    "dram_active": pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
}
APART_NS = 110_000_000
"""The device renews its counters every 100 ms: samples that are nearer tell nothing."""


class Gpm:
    """The activity metrics of one device.

    Args:
        own: of the instance where the device is one, else the same as `whole`.
        instance: its number among the GPU instances; -1: it is none.
        now: monotonic nanoseconds.

    Raises:
        UnsupportedError: the device has none.
    """

    def __init__(
        self,
        own: Handle,
        whole: Handle,
        instance: int = -1,
        now: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not asked(lambda: pynvml.nvmlGpmQueryDeviceSupport(whole)).isSupportedDevice:
            raise UnsupportedError(NOT_SUPPORTED)
        self.signals: Collection[str] = list(METRICS)
        self._now = now
        self._take: Callable[[Any], Any] = lambda sample: pynvml.nvmlGpmSampleGet(own, sample)
        self._samples = [asked(pynvml.nvmlGpmSampleAlloc) for _ in range(2)]
        try:
            asked(lambda: self._take(self._samples[0]))
        except UnsupportedError:
            if instance < 0:
                raise
            # Older drivers: by the whole device, and the instance's number.
            self._take = lambda sample: pynvml.nvmlGpmMigSampleGet(whole, instance, sample)
            asked(lambda: self._take(self._samples[0]))
        self._at = now()

    def read(self, unsupported: dict[str, str]) -> Values:
        """See `plan.Ask`: shares of the time since it was read before."""
        if self._now() - self._at < APART_NS:
            raise TransientError("too soon")
        before, after = self._samples
        asked(lambda: self._take(after))
        request = _request(before, after, self.signals)
        asked(lambda: pynvml.nvmlGpmMetricsGet(request))
        self._samples, self._at = [after, before], self._now()
        values: Values = {}
        for signal, metric in zip(list(self.signals), request.metrics, strict=False):
            if not metric.nvmlReturn:
                if math.isfinite(metric.value):  # nothing counted: nothing told
                    values[signal] = min(max(metric.value / 100, 0.0), 1.0)
                continue
            why = judged(metric.nvmlReturn, str(pynvml.NVMLError(metric.nvmlReturn)))
            if isinstance(why, UnsupportedError):
                unsupported[signal] = str(why)
        self.signals = [signal for signal in self.signals if signal not in unsupported]
        return values


def _request(before: Any, after: Any, signals: Collection[str]) -> Any:
    request = pynvml.c_nvmlGpmMetricsGet_t()
    request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
    request.sample1, request.sample2 = before, after
    for place, signal in enumerate(signals):
        request.metrics[place].metricId = METRICS[signal]
        request.numMetrics = place + 1
    return request
