"""Has the capture process run as the configuration in force says."""

import asyncio
from functools import partial

from sidelight_contract.summary import CaptureReport, SinkReport
from sidelight_sidecar import __version__
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.observer.capture.measuring import Measuring
from sidelight_sidecar.observer.capture.offers import Offers
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.handover import Settings
from sidelight_sidecar.records.record import Origin

LOOK_SECONDS = 0.5
"""How soon another configuration is acted on."""


def settings_for(pipeline: Pipeline, pod: Origin) -> Settings | None:
    """What the process is to do; None: there are no sinks."""
    config = pipeline.config
    if not config.export.sinks:
        return None
    origin = Origin(
        namespace=pod.namespace,
        pod=pod.pod,
        observed_model=config.model,
        version=pod.version,
        engine=pipeline.context.engine,
        release=__version__,
    )
    return Settings(config.capture, config.export, origin)


def report_of(offers: Offers, child: CaptureChild) -> CaptureReport:
    """What the summary tells; nothing where there are no sinks."""
    if offers.give is None:
        return CaptureReport()
    state = child.state
    sinks = {
        name: SinkReport(
            sidecars=1,
            down=int(sink.down),
            delivered=sink.delivered,
            refused=sink.refused,
            lost=sink.lost,
            waiting=sink.waiting,
            lag_seconds=sink.lag_seconds,
            why=sink.why,
            metrics_down=int(sink.metrics is not None and sink.metrics.down),
            metrics_why=sink.metrics.why if sink.metrics is not None else "",
        )
        for name, sink in state.sinks.items()
    }
    dropped = dict(state.dropped)
    if offers.no_room:
        dropped["no_room"] = offers.no_room
    return CaptureReport(
        sidecars=1,
        records=state.records,
        dropped=dropped,
        left_out=dict(state.left_out),
        refused=state.refused,
        spool_failed=state.spool_failed,
        spans_not_taken=int(state.engine_spans_taken is False),
        sinks=sinks,
    )


def look(pipeline: Pipeline, child: CaptureChild, pod: Origin) -> None:
    """Act on the configuration in force."""
    settings = settings_for(pipeline, pod)
    child.configure(settings)
    pipeline.capture_report = partial(report_of, pipeline.offers, child)
    pipeline.offers.give = child.give if settings is not None else None
    if settings is not None:
        pipeline.offers.origin = settings.origin


async def keep_capture(pipeline: Pipeline, child: CaptureChild, pod: Origin) -> None:
    """Look again and again, and keep the process, until cancelled."""
    look(pipeline, child, pod)
    async with asyncio.TaskGroup() as group:
        group.create_task(child.run())
        group.create_task(Measuring(pipeline, child).run())
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            look(pipeline, child, pod)
