"""Sinks as the capture process makes them of settings."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from shipping import record

from sidelight_contract.export import (
    CloudEventsSinkSettings,
    FileSinkSettings,
    KafkaSinkSettings,
    ObjectStoreSinkSettings,
    OtlpProtocol,
    OtlpSinkSettings,
    SinkSettings,
    SpoolSettings,
)
from sidelight_sidecar.capture.make import Places, make_sink

STORE = ObjectStoreSinkSettings(name="store", url="s3://bucket/logs")
KAFKA = KafkaSinkSettings(name="kafka", brokers=["kafka:9092"], topic="records")
EVENTS = CloudEventsSinkSettings(name="events", url="http://broker.ml")
SPANS = OtlpSinkSettings(name="spans", endpoint="http://collector:4318")
CALLS = OtlpSinkSettings(name="calls", endpoint="http://otel:4317", protocol=OtlpProtocol.GRPC)
SPOOL = SpoolSettings()
ALL = [STORE, KAFKA, FileSinkSettings(name="files"), EVENTS, SPANS, CALLS]


@pytest.mark.parametrize("settings", ALL, ids=[one.name for one in ALL])
async def test_each_is_made_with_its_name_and_in_time(settings: SinkSettings, tmp_path: Path):
    """Nothing is connected to until there is something to send."""
    sink, how = make_sink(settings, Places(tmp_path, tmp_path, tmp_path), SPOOL)
    assert sink.name == settings.name
    assert how.timeout_seconds <= 60
    await sink.close()


@pytest.mark.parametrize(
    ("most", "spool", "expected"),
    [
        (16 << 20, SPOOL, 16 << 20),
        (32 << 20, SPOOL, 16 << 20),
        (16 << 20, SpoolSettings(disk_bytes=8 << 20), 4 << 20),
        (1 << 20, SpoolSettings(disk_bytes=1 << 30), 1 << 20),
    ],
)
def test_an_object_is_full_before_the_spool_is(most: int, spool: SpoolSettings, expected: int):
    """Else the oldest records would go before the first object is written."""
    _, how = make_sink(msgspec.structs.replace(STORE, max_object_bytes=most), Places(), spool)
    assert how.most_bytes == expected
    assert how.linger_seconds == STORE.max_object_seconds


def test_a_process_without_such_sinks_does_not_import_what_they_need():
    """Megabytes that every pod would pay."""
    heavy = ["obstore", "aiokafka", "aiohttp", "google.protobuf", "h2"]
    code = (
        "import sys, sidelight_sidecar.capture.__main__\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_node_with_many_cores_costs_an_object_store_no_memory(tmp_path: Path):
    """Its library would have a thread for each; here it is told of 64, within this process's limit
    of memory, which their stacks would pass.
    """
    code = f"""
import asyncio, resource
from pathlib import Path
from sidelight_contract.export import ObjectStoreSinkSettings
from sidelight_sidecar.capture.__main__ import MEMORY_LIMIT_MIB
from sidelight_sidecar.capture.sinks.object_store import ObjectStoreSink
from sidelight_sidecar.capture.spool.queue import Entry

resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT_MIB << 20,) * 2)
settings = ObjectStoreSinkSettings(name="s", url="file://{tmp_path}/in")
sink = ObjectStoreSink("s", settings, Path("{tmp_path}/none"))
print(asyncio.run(sink.send([Entry(0, {record(1)!r}, 0.0)])).outcome)
print(sum(1 for _ in Path("/proc/self/task").iterdir()))
"""
    environment = {**os.environ, "TOKIO_WORKER_THREADS": "64"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, env=environment, timeout=30, check=True,
    )  # fmt: skip
    outcome, threads = done.stdout.split()
    assert outcome == "delivered"
    assert int(threads) < 10
