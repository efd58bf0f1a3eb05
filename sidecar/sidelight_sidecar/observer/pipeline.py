"""The whole pipeline: frames in, metrics and a summary out. Pure: time comes with the frames."""

import hashlib
from collections.abc import Callable, Sequence

from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from sidelight_contract.capture import Payloads
from sidelight_contract.config import SidecarConfig
from sidelight_contract.identity import RuntimeIdentity
from sidelight_contract.strata import Strata
from sidelight_contract.summary import CaptureReport, SidecarState, Summary
from sidelight_sidecar import __version__
from sidelight_sidecar.frames.codec import Frame
from sidelight_sidecar.observer.abandonment import QueueReading
from sidelight_sidecar.observer.accelerators.guard import Guard, Guarded, GuardedWithOutput
from sidelight_sidecar.observer.accelerators.history import Held
from sidelight_sidecar.observer.accelerators.joined import Accelerators
from sidelight_sidecar.observer.accelerators.source import Sample, SourceState
from sidelight_sidecar.observer.accelerators.told import broken_report
from sidelight_sidecar.observer.accelerators.traffic import Traffic as InFlightTraffic
from sidelight_sidecar.observer.autopsy.pressure import ClientPressure
from sidelight_sidecar.observer.autopsy.watcher import Autopsies
from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.capture.offers import Offers
from sidelight_sidecar.observer.consumers import Consumer, Consumers
from sidelight_sidecar.observer.energy.split import EnergySplit
from sidelight_sidecar.observer.engine.history import EngineHistory
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.flows.table import FlowTable
from sidelight_sidecar.observer.http.transaction import Context
from sidelight_sidecar.observer.identity.watch import EngineWatch
from sidelight_sidecar.observer.logical import LogicalRequests
from sidelight_sidecar.observer.metrics.budget import BudgetCollector
from sidelight_sidecar.observer.metrics.exchanges import Metrics
from sidelight_sidecar.observer.metrics.gen_ai import GenAiMetrics
from sidelight_sidecar.observer.metrics.labels import Labels
from sidelight_sidecar.observer.metrics.opaque import OpaqueCollector
from sidelight_sidecar.observer.metrics.relay import RelayCollector
from sidelight_sidecar.observer.metrics.slo import SloCollector
from sidelight_sidecar.observer.metrics.tap import TapCollector
from sidelight_sidecar.observer.reconcile.metrics import ReconciliationCollector
from sidelight_sidecar.observer.reconcile.reconciler import Reconciler, Unobserved
from sidelight_sidecar.observer.reconcile.told import reconciliation_of, unobserved
from sidelight_sidecar.observer.slo import SloCounter
from sidelight_sidecar.observer.strata import StrataCounter
from sidelight_sidecar.observer.tally import Tally
from sidelight_sidecar.observer.token_counter import TokenCounter
from sidelight_sidecar.records.record import Origin


class Pipeline:
    """Follows the frames of one relay.

    Args:
        monotonic_ns: the frames' clock at the start.
        unix_ns: the time of day at the same instant.
        config: the settings in force.
        also: further consumers, told after metrics and tally.
    """

    def __init__(
        self, monotonic_ns: int, unix_ns: int, config: SidecarConfig, *also: Consumer
    ) -> None:
        self._start_ns = monotonic_ns
        self._offset_ns = unix_ns - monotonic_ns
        self.config = config
        self.config_error = ""
        self._labels = Labels(config.max_model_labels)
        self.metrics = Metrics(self._labels, __version__)
        self.gen_ai = GenAiMetrics(self._labels)
        self.tally = Tally(self._labels, config.window_seconds)
        self.strata = StrataCounter(self._labels)
        self.slo = SloCounter(self._labels, config.slo, self._offset_ns, monotonic_ns)
        self.reconciler = Reconciler(self._unobserved)
        self.engine_history = EngineHistory()
        pressure = ClientPressure()
        traffic, energy = InFlightTraffic(), EnergySplit(self._labels)
        self.gpu_guard = guard = Guard()
        self.accelerators = Accelerators(traffic, energy, self._offset_ns, config.window_seconds)
        self.autopsies = Autopsies(
            self._labels, self.engine_history, pressure, config.window_seconds,
            clocks=self._clocks,
        )  # fmt: skip
        self.engine_watch = EngineWatch()
        self._boot_id = hashlib.sha256(f"{monotonic_ns} {unix_ns}".encode()).hexdigest()[:12]
        self.offers = Offers(
            self._labels, config.capture, None,
            origin=Origin(), boot_id=self._boot_id, offset_ns=self._offset_ns, energy=energy,
            guard=guard,
        )  # fmt: skip
        own = (
            self.metrics, self.tally, self.strata, self.slo, self.reconciler,
            Guarded(guard, traffic), GuardedWithOutput(guard, energy),
            self.autopsies, self.engine_watch, self.offers, self.gen_ai,
        )  # fmt: skip
        self.counter = TokenCounter(Consumers((*own, *also)))
        self.context = Context(LogicalRequests(self.counter), Budget())
        self.flows = FlowTable(self.context, pressure)
        self.metrics.registry.register(RelayCollector(self.flows))
        self.metrics.registry.register(TapCollector(self.flows))
        self.metrics.registry.register(OpaqueCollector(self.flows.opaque))
        self.metrics.registry.register(BudgetCollector(self.context.budget, self.counter))
        self.metrics.registry.register(SloCollector(self.slo))
        self.metrics.registry.register(ReconciliationCollector(self.reconciler))
        self._identity = RuntimeIdentity()
        self._found_engine = "Auto"
        self._set_engine()
        self._set_capture()
        self.capture_report: Callable[[], CaptureReport] = CaptureReport
        """What is told of captured records; whoever has the capture process sets it."""

    @property
    def start_unix_ns(self) -> int:
        """When it began to count."""
        return self._start_ns + self._offset_ns

    def feed(self, frames: list[Frame]) -> None:
        """Take frames in their order."""
        self.flows.feed(frames)

    def reconfigure(self, config: SidecarConfig) -> None:
        """Put other settings in force; a window of another length begins anew."""
        self.config = config
        self.config_error = ""
        self._labels.limit = config.max_model_labels
        self._set_engine()
        self.slo.reconfigure(config.slo, max(self.flows.last_ns, self._start_ns))
        self.tally.resize(config.window_seconds, self.flows.last_ns)
        self.autopsies.resize(config.window_seconds)
        self.accelerators.resize(config.window_seconds)
        self._set_capture()
        self.metrics.config_error.set(0)

    def _set_capture(self) -> None:
        capture = self.config.capture
        self.offers.reconfigure(capture)
        kept = bool(self.config.export.sinks) and capture.payloads is not Payloads.OFF
        self.context.keep_bodies = capture.max_body_bytes if kept else 0

    def found_engine(self, engine: str) -> None:
        """The engine's type, as it was recognised at injection; a configured one is preferred."""
        self._found_engine = engine
        self._set_engine()

    def _set_engine(self) -> None:
        configured = self.config.engine
        self.context.engine = configured if configured != "Auto" else self._found_engine

    def read_queue(self, reading: QueueReading) -> None:
        """Take a reading of the engine's queue."""
        self.metrics.queue_reading = self.tally.queue_reading = reading

    def devices_said(self, samples: Sequence[Sample], state: SourceState, now_ns: int) -> None:
        """Take what a source gave of the devices, and do what is due."""
        self.accelerators.take(samples, state, now_ns)
        bodies, settling = self.context.body_budget, self.offers.settling
        roomy = bodies.kept <= bodies.limit / 2
        settling.wanted = state.fresh and state.level == "request" and roomy
        settling.look(now_ns)

    def devices_silent(self, state: SourceState | None) -> None:
        """No source is read any more; with a state there is to be one, and this is why not."""
        self.accelerators.end(state)
        self.settle_no_records()

    def settle_no_records(self) -> None:
        """Records wait for no energy any more; those that did are given."""
        self.offers.settling.wanted = False
        self.offers.settling.flush()

    def engine_said(self, sample: EngineSample) -> None:
        """Take a sample of the engine's own metrics."""
        self.engine_history.add(sample)
        self.reconciler.engine_said(sample)

    @property
    def identity(self) -> RuntimeIdentity:
        """What the engine told of itself last; setting it takes note of which models are
        adapters.
        """
        return self._identity

    @identity.setter
    def identity(self, identity: RuntimeIdentity) -> None:
        self._identity = identity
        self._labels.engine_serves(identity, self.context.engine)

    @property
    def engine_restarts(self) -> int:
        """Grows when the engine is seen to have begun anew, or to take no connection."""
        return self.reconciler.restarts + self.flows.relay.connect_errors

    def _clocks(self, since_ns: int, until_ns: int) -> tuple[Held | None, bool]:
        nothing: tuple[Held | None, bool] = (None, True)
        clocks = self.accelerators.clocks
        return self.gpu_guard.call(lambda: clocks(since_ns, until_ns), nothing)

    def _unobserved(self) -> Unobserved:
        return unobserved(self.flows)

    def refuse_config(self, error: str) -> None:
        """Keep the settings in force, and say why the newest are not."""
        self.config_error = error
        self.metrics.config_error.set(1)

    def exposition(self, *, openmetrics: bool = False) -> bytes:
        """The metrics as text; exemplars are in OpenMetrics alone."""
        generate = generate_openmetrics if openmetrics else generate_latest
        return generate(self.metrics.registry)

    def summary(self, now_ns: int, *, strata: bool = False, slo_history: bool = False) -> Summary:
        """What the operator reads; with `strata` where it compares versions, with
        `slo_history` where it judges by objectives.
        """
        return Summary(
            sidecar=SidecarState(
                release=__version__,
                started_at=(self._start_ns + self._offset_ns) / 1e9,
                boot_id=self._boot_id,
                model=self.config.model,
                config_revision=self.config.revision,
                config_error=self.config_error,
                in_flight=self.tally.in_flight,
                flows_unparsed=self.flows.unparsed,
                requests_lost=self.tally.lost,
                identity=self._identity,
                adapters=dict(self._labels.adapters),
            ),
            generated_at=(now_ns + self._offset_ns) / 1e9,
            window_seconds=self.tally.window_seconds(self._start_ns, now_ns),
            window=self.tally.window(now_ns),
            total=self.tally.total(),
            relay=self.flows.relay,
            reconciliation=reconciliation_of(self.reconciler),
            strata=self.strata.told() if strata else Strata(),
            slo=self.slo.told(now_ns, history=slo_history),
            capture=self.capture_report(),
            gpu=self.gpu_guard.call(lambda: self.accelerators.report(now_ns), broken_report()),
            autopsies=self.autopsies.told(now_ns, self._offset_ns),
        )
