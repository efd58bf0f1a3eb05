"""The relay's account of itself: how long it held bytes, what waits, what it refused."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from relay_harness import (
    receive_exactly,
    recorded,
    relay_under_test,
    send_until_stopped,
    wait_for,
)

from sidelight_contract.config import SidecarConfig
from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.stats import HELD_BOUNDS_NS, HELD_SAMPLE
from sidelight_sidecar.observer.metrics.itself import ProcessCollector, account_for_processes
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.relay.counters import Counters

CHUNKS = 2000


def samples(exposition: bytes) -> dict[tuple[str, ...], float]:
    """Return each sample's value by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
    }


def stats(record: Path) -> list[dict[str, object]]:
    """Return what the `T` frames say."""
    return [json.loads(frame[4]) for frame in recorded(record) if frame[1] == codec.STATS]


def test_reads_that_were_written_at_once_are_sampled_and_stand_for_all(tmp_path: Path) -> None:
    """One in 17 is measured and counts for 17: the sum is the number of frames, to one sample."""
    record = tmp_path / "frames"
    with relay_under_test(record_path=str(record)) as relay:
        client, engine = relay.pair()
        with client, engine:
            for _ in range(CHUNKS):
                engine.sendall(b"chunk")
                receive_exactly(client, 5)
            wait_for(lambda: len(recorded(record)) > CHUNKS, "the frames")
        counters = relay.stop()
    held = counters["held"]
    assert isinstance(held, list)
    assert sum(held) % HELD_SAMPLE == 0
    assert abs(sum(held) - CHUNKS) <= 2 * HELD_SAMPLE  # some frames have no bytes
    measured = [frame[3] for frame in recorded(record)[::HELD_SAMPLE]]
    assert counters["held_ns"] == HELD_SAMPLE * sum(ns for ns in measured if ns != codec.NO_DELAY)


def test_bytes_that_waited_for_their_reader_are_held_for_that_long() -> None:
    """Not sampled: the read that found the reader's buffers full is there, with its real time."""
    with relay_under_test() as relay:
        client, engine = relay.pair()
        with client, engine:
            sent = send_until_stopped(engine)  # no byte went for the last 300 ms of this
            receive_exactly(client, sent)
            engine.sendall(b"end")
            receive_exactly(client, 3)
        counters = relay.stop()
    held = counters["held"]
    assert isinstance(held, list)
    waited = sum(
        count for bound, count in zip((0, *HELD_BOUNDS_NS), held, strict=True) if bound >= 10**8
    )
    assert waited >= 1
    assert counters["held_ns"] >= 250_000_000


@pytest.mark.parametrize(
    ("for_ns", "bucket"),
    [(0, 0), (10_000, 0), (10_001, 1), (10**10, 12), (10**10 + 1, 13), (10**15, 13)],
)
def test_a_bound_belongs_to_its_bucket(for_ns: int, bucket: int) -> None:
    """As Prometheus counts: less or equal."""
    counters = Counters()
    counters.hold(for_ns, 16)
    assert counters.held.index(16) == bucket
    assert sum(counters.held) == 16
    assert counters.held_ns == 16 * for_ns


def test_frames_that_wait_for_a_stopped_observer_are_told_once_it_goes_on(tmp_path: Path) -> None:
    """Now and the most there were, frames and bytes; none once the observer has caught up."""
    record = tmp_path / "frames"
    with relay_under_test(record_path=str(record)) as relay:
        client, engine = relay.pair()
        with client, engine:
            wait_for(lambda: stats(record), "the first stats")
            pid = relay.observer_pid()
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                for _ in range(100):
                    engine.sendall(bytes(40_000))
                    receive_exactly(client, 40_000)
                told = len(stats(record))
            finally:
                os.kill(pid, signal.SIGCONT)
            wait_for(lambda: len(stats(record)) > told + 1, "stats after that")
        counters = relay.stop()
    last = stats(record)[-1]
    assert last == counters
    assert counters["queue_frames_high_water"] >= 50
    assert counters["queue_bytes_high_water"] > 1_000_000
    assert 0 <= counters["queue_bytes"] < 10_000
    assert counters["queue_frames"] < 100


def pipeline_told(**counters: object) -> Pipeline:
    """Return a pipeline that has got one `T` frame."""
    pipeline = Pipeline(0, 0, SidecarConfig(version=1))
    pipeline.feed([(0, codec.STATS, 1, codec.NO_DELAY, json.dumps(counters).encode())])
    return pipeline


def test_the_relays_account_is_on_the_metrics_page() -> None:
    """By name; reasons are labels."""
    relay = Counters()
    relay.hold(20_000, 16)
    relay.hold(2_000_000_000, 1)
    relay.flows_opened, relay.flows_closed = 7, 5
    relay.flows_gapped_queue_full, relay.flows_gapped_no_observer = 2, 1
    relay.refused_exhausted, relay.refused_not_redirected = 3, 4
    relay.observer_starts = 3
    relay.queue_bytes, relay.queue_bytes_high_water = 100, 200
    relay.queue_frames, relay.queue_frames_high_water = 10, 20
    values = samples(pipeline_told(**json.loads(relay.to_json())).exposition())
    expected = {
        ("sidelight_relay_held_seconds_bucket", "1e-05"): 0,
        ("sidelight_relay_held_seconds_bucket", "2.5e-05"): 16,
        ("sidelight_relay_held_seconds_bucket", "1.0"): 16,
        ("sidelight_relay_held_seconds_bucket", "10.0"): 17,
        ("sidelight_relay_held_seconds_bucket", "+Inf"): 17,
        ("sidelight_relay_held_seconds_count",): 17,
        ("sidelight_relay_held_seconds_sum",): 2.00032,
        ("sidelight_relay_flows_open",): 2,
        ("sidelight_relay_flows_gapped_total", "queue_full"): 2,
        ("sidelight_relay_flows_gapped_total", "no_observer"): 1,
        ("sidelight_relay_flows_refused_total", "exhausted"): 3,
        ("sidelight_relay_flows_refused_total", "not_redirected"): 4,
        ("sidelight_relay_observer_restarts_total",): 2,
        ("sidelight_relay_queue_bytes",): 100,
        ("sidelight_relay_queue_bytes_high_water",): 200,
        ("sidelight_relay_queue_frames",): 10,
        ("sidelight_relay_queue_frames_high_water",): 20,
    }
    assert {name: values.get(name) for name in expected} == expected


def test_a_recording_without_the_histogram_shows_none() -> None:
    """Frame files of older relays are replayed; no restart is made up either."""
    names = {name for name, *_ in samples(pipeline_told(flows_opened=1).exposition())}
    assert "sidelight_relay_flows_opened_total" in names
    assert not any(name.startswith("sidelight_relay_held") for name in names)
    values = samples(Pipeline(0, 0, SidecarConfig(version=1)).exposition())
    assert values[("sidelight_relay_observer_restarts_total",)] == 0


def test_a_replay_says_nothing_of_processes() -> None:
    """Its metrics are the same wherever it runs."""
    assert b"sidelight_process" not in Pipeline(0, 0, SidecarConfig(version=1)).exposition()


def test_both_processes_say_what_they_cost() -> None:
    """The test in the observer's place, a real relay in its own."""
    with relay_under_test() as relay:
        registry = CollectorRegistry()
        account_for_processes(registry, relay_pid=relay.process.pid)
        values = samples(generate_latest(registry))
        name = "sidelight_process_resident_memory_bytes"
        assert values[(name, "relay")] == pytest.approx(relay.rss_bytes(), rel=0.1)
        assert values[(name, "observer")] > values[(name, "relay")]
        cpu = "sidelight_process_cpu_seconds_total"
        assert values[(cpu, "observer")] == pytest.approx(sum(os.times()[:2]), abs=1)
        assert 0 <= values[(cpu, "relay")] < 5
        relay.stop()
    values = samples(generate_latest(registry))
    assert (cpu, "relay") not in values
    assert (cpu, "observer") in values


def test_a_process_name_may_hold_anything(tmp_path: Path) -> None:
    """Spaces and parentheses in it do not move the fields behind it."""
    folder = tmp_path / "7"
    folder.mkdir()
    numbers = " ".join(map(str, range(4, 53)))
    (folder / "stat").write_text(f"7 (a) b (c)) S {numbers}\n")
    (folder / "statm").write_text("9 5 1 1 0 1 0\n")
    registry = CollectorRegistry()
    registry.register(ProcessCollector({"relay": 7}, proc=tmp_path))
    values = samples(generate_latest(registry))
    ticks = os.sysconf("SC_CLK_TCK")
    assert values[("sidelight_process_cpu_seconds_total", "relay")] == (14 + 15) / ticks
    assert values[("sidelight_process_resident_memory_bytes", "relay")] == 5 * os.sysconf(
        "SC_PAGESIZE"
    )
