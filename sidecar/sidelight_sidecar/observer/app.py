"""The observer's process: frames on descriptor 3, the admin port, the configuration file."""

import argparse
import asyncio
import logging
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import uvloop
from aiohttp import web

from sidelight_contract.config import ConfigError, SidecarConfig
from sidelight_contract.names import (
    CLAIM_OF_MANY,
    GPU_CLAIM_VARIABLE,
    GPU_UUIDS_VARIABLE,
    TAP_CONFIG_VARIABLE,
    WEIGHTS_VARIABLE,
)
from sidelight_contract.weights import decode_plan
from sidelight_sidecar.frames.codec import FrameDecoder, FrameError
from sidelight_sidecar.log_lines import log_lines
from sidelight_sidecar.observer.accelerators.manager import Manager
from sidelight_sidecar.observer.accelerators.sources import sources_of
from sidelight_sidecar.observer.accelerators.telling import Told, parse
from sidelight_sidecar.observer.admin import Admin
from sidelight_sidecar.observer.asking import Asking
from sidelight_sidecar.observer.attached import InlineConfig, Lease, TokenHash, end_in_time, end_tap
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.observer.capture.keeping import keep_capture
from sidelight_sidecar.observer.configuring import configure
from sidelight_sidecar.observer.engine.client import http_engine_client
from sidelight_sidecar.observer.engine.known import Known, known_of
from sidelight_sidecar.observer.engine.metrics import EngineCollector
from sidelight_sidecar.observer.engine.worker import STEP_SECONDS
from sidelight_sidecar.observer.files import ConfigFile, TokenFile
from sidelight_sidecar.observer.identity.metrics import BackendCollector
from sidelight_sidecar.observer.metrics.capture import CaptureCollector
from sidelight_sidecar.observer.metrics.energy import EnergyCollector
from sidelight_sidecar.observer.metrics.gpu import GpuCollector
from sidelight_sidecar.observer.metrics.itself import account_for_processes
from sidelight_sidecar.observer.metrics.weights import WeightsCollector
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.observer.tokens import SummaryTokens
from sidelight_sidecar.observer.weights import WeightsReader
from sidelight_sidecar.records.record import Origin

FRAMES_FD = 3
READ_STEP_SECONDS = 1.0
POLL_SECONDS = 2.0
"""How often the configuration file is looked at. Default 2: the kubelet itself takes a minute."""
BIND_RETRY_SECONDS = 1.0
MEMORY_LIMIT_MIB = 256
"""Data segment of this process (RLIMIT_DATA: a limit on address space would count what uvloop
reserves and never touches). Default 256: it dies of a leak before the container's limit of 384 MiB
would kill the relay with it."""

log = logging.getLogger("sidelight.observer")


class FrameReader(asyncio.Protocol):
    """Feeds what comes from the relay to the pipeline."""

    def __init__(self, pipeline: Pipeline, ended: asyncio.Event) -> None:
        self._pipeline = pipeline
        self._decoder = FrameDecoder()
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        """Take what is there."""
        try:
            self._pipeline.feed(self._decoder.feed(data))
        except FrameError as error:
            log.error("frames_damaged", extra={"fields": {"error": str(error)}})  # noqa: TRY400
            self._ended.set()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """The relay has ended, and so will this process."""
        self._ended.set()


async def serve_admin(admin: Admin, host: str, port: int) -> None:
    """Serve the admin port until cancelled; an address in use is tried again: the observer before
    this one may not have let go of it yet.
    """
    runner = web.AppRunner(admin.application(), access_log=None)
    await runner.setup()
    try:
        while True:
            try:
                await web.TCPSite(runner, None if host == "*" else host, port).start()
                break
            except OSError as error:
                log.warning("admin_port_taken", extra={"fields": {"error": str(error)}})
                await asyncio.sleep(BIND_RETRY_SECONDS)
        log.info("admin_listening", extra={"fields": {"address": f"{host}:{port}"}})
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def pod_of(environment: Mapping[str, str]) -> Origin:
    """Where this is, as injection wrote it."""
    return Origin(
        namespace=environment.get("SIDELIGHT_POD_NAMESPACE", ""),
        pod=environment.get("SIDELIGHT_POD_NAME", ""),
        version=environment.get("SIDELIGHT_VERSION", ""),
    )


def directories(options: argparse.Namespace) -> Iterator[str]:
    """The capture process' options, as far as they are not the usual."""
    for name in ("records", "spool", "secrets"):
        if (directory := getattr(options, name)) is not None:
            yield from (f"--{name}", directory)


def config_of(options: argparse.Namespace) -> ConfigFile | InlineConfig:
    """Where the configuration comes from: a file, else the environment."""
    if options.config is not None:
        return ConfigFile(options.config)
    return InlineConfig(os.environ.get(TAP_CONFIG_VARIABLE, ""))


async def watch_config(pipeline: Pipeline, file: ConfigFile | InlineConfig) -> None:
    """Put each new configuration in force; keep the last good one."""
    while True:
        configure(pipeline, file.poll)
        await asyncio.sleep(POLL_SECONDS)


def register_live(pipeline: Pipeline, asking: Asking, weights: WeightsReader) -> None:
    """Add the metrics that only a live observer has: of its own cost, and of asking the engine."""
    account_for_processes(pipeline.metrics.registry, relay_pid=os.getppid())
    reader = asking.reader
    pipeline.metrics.registry.register(EngineCollector(asking.worker, lambda: reader.questions))
    pipeline.metrics.registry.register(BackendCollector(reader))
    pipeline.metrics.registry.register(WeightsCollector(weights))


def register_devices(pipeline: Pipeline, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
    """Add the metrics of devices, and of their energy."""
    accelerators, guard = pipeline.accelerators, pipeline.gpu_guard
    pipeline.metrics.registry.register(GpuCollector(accelerators, guard, now_ns))
    pipeline.metrics.registry.register(EnergyCollector(accelerators.energy, guard))


async def ask_engine(pipeline: Pipeline, known: Known, weights: WeightsReader) -> None:
    """Ask the engine what there is to ask, off the path, until cancelled."""
    async with http_engine_client() as client:
        asking = Asking(
            pipeline,
            client,
            known,
            now_ns=time.monotonic_ns,
            unix=time.time,
            files=weights.files,
        )
        register_live(pipeline, asking, weights)
        while True:
            await asking.step()
            await asyncio.sleep(STEP_SECONDS)


async def read_weights(pipeline: Pipeline, weights: WeightsReader) -> None:
    """Have the model's files read when it is time, until cancelled. A fault ends that alone."""
    try:
        while weights.wanted:
            answers, restarts = pipeline.engine_watch.answers, pipeline.engine_restarts
            weights.step(answers=answers, restarts=restarts)
            await asyncio.sleep(READ_STEP_SECONDS)
    except Exception as error:  # noqa: BLE001 - see above
        fault = {"kind": "weights", "error": type(error).__name__}
        log.error("engine_questions_ended", extra={"fields": fault})  # noqa: TRY400
    finally:
        weights.close()


def exporters_told(text: str) -> Told:
    """Where exporters are, as it is given at the start: empty, nothing is."""
    found, refused = parse(text) if text else ({}, 0)
    if refused:
        log.error("accelerators_refused", extra={"fields": {"parts": refused}})
    return Told(time.monotonic_ns, found or None)


def own_devices(text: str) -> tuple[str, ...]:
    """UUIDs of the pod's devices, as injection wrote them."""
    return tuple(sorted({part.strip() for part in text.split(",") if part.strip()}))


async def watch_accelerators(pipeline: Pipeline, told: Told, pod: Origin) -> None:
    """Have figures of devices read as it is configured, until cancelled."""
    start = sources_of(pod.namespace, pod.pod, time.monotonic_ns)
    own = own_devices(os.environ.get(GPU_UUIDS_VARIABLE, ""))
    claim = os.environ.get(GPU_CLAIM_VARIABLE, "")
    await Manager(
        pipeline, told, own, start, time.monotonic_ns,
        claimed=bool(claim), shared=claim == CLAIM_OF_MANY,
    ).run()  # fmt: skip


async def observe(options: argparse.Namespace) -> None:
    """Observe until the relay ends."""
    file = config_of(options)
    pipeline = Pipeline(time.monotonic_ns(), time.time_ns(), SidecarConfig(version=1))
    pipeline.found_engine(options.engine_type)
    known = known_of(options.engine_type, os.environ.get("SIDELIGHT_ENGINE_METRICS", ""))
    weights = WeightsReader(decode_plan(os.environ.get(WEIGHTS_VARIABLE, "")), time.monotonic)
    with suppress(ConfigError):  # said by watch_config's first look
        pipeline.reconfigure(config_of(options).poll() or pipeline.config)
    ended = asyncio.Event()
    child = CaptureChild(*directories(options))
    bodies = pipeline.context.body_budget
    pipeline.metrics.registry.register(CaptureCollector(pipeline.offers, bodies, child))
    host, _, port = options.admin.rpartition(":")
    mounted = SummaryTokens(lambda: pipeline.config, TokenFile(options.token_file))
    token = TokenHash(options.token_sha256) if options.token_sha256 else mounted
    lease = Lease(options.lease_seconds) if options.lease_seconds else None
    told = file if isinstance(file, InlineConfig) else None
    exporters = exporters_told(options.accelerators)
    register_devices(pipeline)
    admin = Admin(pipeline, token, lease, told=told, exporters=exporters)
    loop = asyncio.get_running_loop()
    await loop.create_connection(
        lambda: FrameReader(pipeline, ended), sock=socket.socket(fileno=FRAMES_FD)
    )
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(serve_admin(admin, host.strip("[]"), int(port))),
            group.create_task(watch_config(pipeline, file)),
            group.create_task(ask_engine(pipeline, known, weights)),
            group.create_task(keep_capture(pipeline, child, pod_of(os.environ))),
            group.create_task(read_weights(pipeline, weights)),
            group.create_task(watch_accelerators(pipeline, exporters, pod_of(os.environ))),
        ]
        if lease is not None:
            tasks.append(group.create_task(end_in_time(lease, end_tap)))
        await ended.wait()
        for task in tasks:
            task.cancel()


def bound_itself(memory_mib: int) -> None:
    """Let this process die first when memory is short; where that is not allowed, go on."""
    size = memory_mib << 20
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def main() -> None:
    """`python -m sidelight_sidecar.observer`, started by the relay."""
    parser = argparse.ArgumentParser(prog="sidelight_sidecar.observer")
    parser.add_argument("--admin", required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--token-sha256", default="")
    for directory in ("--records", "--spool", "--secrets"):
        parser.add_argument(directory)
    parser.add_argument("--lease-seconds", type=float, default=0.0)
    parser.add_argument("--accelerators", default=os.environ.get("SIDELIGHT_ACCELERATORS", ""))
    parser.add_argument("--engine-type", default=os.environ.get("SIDELIGHT_ENGINE", "Auto"))
    parser.add_argument("--memory-limit-mib", type=int, default=MEMORY_LIMIT_MIB)
    options = parser.parse_args()
    log_lines("observer", logging.INFO)
    bound_itself(options.memory_limit_mib)
    with suppress(KeyboardInterrupt):
        uvloop.run(observe(options))
