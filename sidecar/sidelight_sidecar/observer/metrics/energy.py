"""Where the devices' joules went, as metrics: totals, models, the fitted model of work, the check.

Without a source that tells of energy there are no series.
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.accelerators.guard import Guard
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.energy.told import Fitted, Outcome, Told

_FITTED: tuple[tuple[str, str, str], ...] = (
    ("idle_watts", "idle_watts", "Power of all devices without work."),
    ("prefill_joules_per_token", "prefill_joules", "Energy of a token of a prompt."),
    ("decode_joules_per_token", "decode_joules", "Energy of a token of output."),
    ("context_joules_per_token", "context_joules",
     "Further energy of a token of output for each thousand of tokens before it."),
    ("step_joules", "step_joules",
     "Energy of a step of decoding, however many requests are in it."),
)  # fmt: skip


class EnergyCollector(Collector):
    """See the module."""

    def __init__(self, energy: EnergySplit, guard: Guard) -> None:
        self._energy = energy
        self._guard = guard

    def collect(self) -> Iterator[Metric]:
        """All families."""
        nothing: list[Metric] = []
        yield from self._guard.call(lambda: list(self._families()), nothing)

    def _families(self) -> Iterator[Metric]:
        told = self._energy.told()
        yield from _totals(told)
        yield from _models(told)
        yield from _checks(told)
        yield from _fitted(told.fitted)


def _totals(told: Told) -> Iterator[Metric]:
    parts = CounterMetricFamily(
        "sidelight_gpu_energy_split_joules",
        "Energy of the pod's own devices: idle, requests, and unowned (above idle with nothing in "
        "flight).",
        labels=("part",),
    )
    outcomes = CounterMetricFamily(
        "sidelight_request_energy_outcome_joules",
        "Energy of requests that have ended, by how; those under way come when they end.",
        labels=("outcome",),
    )
    if told.level:
        total = told.total
        for part, millijoules in (
            ("idle", total.idle_mj), ("requests", total.requests_mj), ("unowned", total.unowned_mj),
        ):  # fmt: skip
            parts.add_metric((part,), millijoules / 1000)
        for outcome, millijoules in sorted(told.by_outcome.items()):
            if outcome == Outcome.RUNNING:
                continue  # it falls when one ends, which a counter must not
            outcomes.add_metric((outcome,), millijoules / 1000)
    yield from (parts, outcomes)


def _models(told: Told) -> Iterator[Metric]:
    joules = CounterMetricFamily(
        "sidelight_request_energy_joules", "Energy of requests above idle.", labels=("model",)
    )
    tokens = CounterMetricFamily(
        "sidelight_request_energy_tokens",
        "Tokens that were computed in the time that these joules cover: what tokens for each joule "
        "are counted by.",
        labels=("model", "direction"),
    )
    requests = CounterMetricFamily(
        "sidelight_request_energy_requests", "Requests that have a share.", labels=("model",)
    )
    for model, energy in sorted(told.by_model.items()):
        joules.add_metric((model,), energy.requests_mj / 1000)
        tokens.add_metric((model, "prompt"), energy.prompt_tokens)
        tokens.add_metric((model, "output"), energy.output_tokens)
        requests.add_metric((model,), energy.requests)
    yield from (joules, tokens, requests)


def _checks(told: Told) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "sidelight_gpu_energy_open_joules", "Energy that is not split yet: tokens come late."
    )
    unaccounted = GaugeMetricFamily(
        "sidelight_gpu_energy_unaccounted_joules",
        "The devices' energy less all its parts: 0, or Sidelight has a mistake.",
    )
    uncovered = CounterMetricFamily(
        "sidelight_gpu_energy_uncovered_seconds",
        "Time of which no energy is known: a counter began anew, or samples were missing.",
    )
    residual = GaugeMetricFamily(
        "sidelight_gpu_energy_residual_ratio",
        "How far the model of work was off the energy of intervals above idle, as a share of it.",
    )
    if told.level:
        waiting.add_metric((), told.total.open_mj / 1000)
        unaccounted.add_metric((), told.unbalanced_mj / 1000)
        uncovered.add_metric((), told.uncovered_seconds)
        if (value := told.residual.value) is not None:
            residual.add_metric((), value)
    yield from (waiting, unaccounted, uncovered, residual)


def _fitted(fitted: Fitted) -> Iterator[Metric]:
    for name, attribute, said in _FITTED:
        family = GaugeMetricFamily(
            f"sidelight_gpu_fitted_{name}",
            f"{said} Fitted to the last minutes; `error`: its standard error.",
            labels=("figure",),
        )
        if (estimate := getattr(fitted, attribute)) is not None:
            family.add_metric(("value",), estimate.value)
            family.add_metric(("error",), estimate.error)
        yield family
