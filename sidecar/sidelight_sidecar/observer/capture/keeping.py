"""Has the capture process run as the configuration in force says."""

import asyncio

from sidelight_sidecar import __version__
from sidelight_sidecar.observer.capture.child import CaptureChild
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


def look(pipeline: Pipeline, child: CaptureChild, pod: Origin) -> None:
    """Act on the configuration in force."""
    settings = settings_for(pipeline, pod)
    child.configure(settings)
    pipeline.offers.give = child.give if settings is not None else None
    if settings is not None:
        pipeline.offers.origin = settings.origin


async def keep_capture(pipeline: Pipeline, child: CaptureChild, pod: Origin) -> None:
    """Look again and again, and keep the process, until cancelled."""
    look(pipeline, child, pod)
    async with asyncio.TaskGroup() as group:
        group.create_task(child.run())
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            look(pipeline, child, pod)
