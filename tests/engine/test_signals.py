"""An engine's metrics as signals: each engine's names, units, several cores, and junk."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.engine.signal_table import ENGINES, ROWS, Joined, Signal
from sidelight_sidecar.observer.engine.signals import (
    MAX_LINE_BYTES,
    MAX_LOOKED_AT,
    MAX_SERIES,
    EngineSignals,
    _Reading,
    sample_of,
    signals_in,
)

VLLM = b"""# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_running{engine="0",model_name="m } x"} 2.0
vllm:num_requests_running{engine="1",model_name="m } x"} 3.0 1764000000000
vllm:num_requests_waiting{engine="0",model_name="m \\" } x"} 2.0
vllm:num_requests_waiting{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting_by_reason{reason="capacity"} 7.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.75
vllm:gpu_cache_usage_perc{engine="0"} 0.9
vllm:prompt_tokens_total{engine="0",model_name="a"} 100.0
vllm:prompt_tokens_total{engine="1",model_name="b"} 11.0
vllm:generation_tokens_total{engine="0",model_name="a"} 1e3
vllm:generation_tokens_total{engine="1",model_name="b"} 5.0
vllm:prefix_cache_queries_total 111.0
vllm:prefix_cache_hits_total 40.0
vllm:num_preemptions_total 2
vllm:request_success_total{finished_reason="stop",model_name="a"} 3.0
vllm:request_success_total{finished_reason="length",model_name="a"} 4.0
vllm:request_success_total{finished_reason="abort",model_name="a"} 0.0
vllm:request_success_total{finished_reason="repetition",model_name="a"} 1.0
vllm:time_to_first_token_seconds_bucket{le="0.1"} 7.0
vllm:time_to_first_token_seconds_sum{engine="0"} 0.5
vllm:time_to_first_token_seconds_count{engine="0"} 8.0
vllm:request_decode_time_seconds_sum 12.5
vllm:request_queue_time_seconds_sum 0.25
process_start_time_seconds 1.764e+09
"""
LLAMA = b"""# HELP llamacpp:prompt_tokens_total Prompt tokens processed, excluding cached tokens
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 39
llamacpp:prompt_tokens_cached_total 37
llamacpp:prompt_seconds_total 0.407
llamacpp:tokens_predicted_total 32
llamacpp:tokens_predicted_seconds_total 0.5202
llamacpp:n_decode_total 32
llamacpp:prompt_tokens_seconds 25.1889
llamacpp:requests_processing 1
llamacpp:requests_deferred 0
"""


def read(text: bytes) -> EngineSignals:
    """Its signals, which are there."""
    signals = signals_in(text)
    assert signals is not None
    return signals


def test_vllms_cores_and_models_are_one_engine() -> None:
    """Counts add up, a share is the mean; a longer name is another metric, an old one an alias."""
    assert read(VLLM) == EngineSignals(
        engine="vllm", running=5, waiting=3, kv_cache_usage=0.5, prompt_tokens=111,
        output_tokens=1005, cache_queries=111, cache_hits=40, preemptions=2,
        finished={"stop": 3, "length": 4, "abort": 0, "other": 1}, ttft_seconds=0.5, ttft_count=8,
        decode_seconds=12.5, queue_seconds=0.25, started_at=1.764e9, models=2,
    )  # fmt: skip
    assert read(VLLM).requests == 8


def test_llama_cpps_prompts_are_what_it_computed_and_what_it_had() -> None:
    """As a real server wrote it; it counts no requests."""
    signals = read(LLAMA)
    assert (signals.prompt_tokens, signals.computed_prompt_tokens) == (76, 39)
    assert (signals.cache_queries, signals.cache_hits) == (76, 37)
    assert (signals.output_tokens, signals.decode_seconds) == (32, 0.5202)
    assert (signals.running, signals.waiting, signals.requests) == (1, 0, None)


def test_an_older_llama_cpp_does_not_say_what_it_had() -> None:
    """Then the whole of its prompts is not known."""
    signals = read(LLAMA.replace(b"llamacpp:prompt_tokens_cached_total 37\n", b""))
    assert (signals.prompt_tokens, signals.computed_prompt_tokens) == (None, 39)


def test_sglang_counts_aborted_requests_apart() -> None:
    """And cached tokens by where they came from."""
    signals = read(
        b'sglang:num_running_reqs{tp_rank="0"} 4\nsglang:num_queue_reqs 2\n'
        b'sglang:token_usage{dp_rank="0"} 0.2\nsglang:token_usage{dp_rank="1"} 0.4\n'
        b"sglang:prompt_tokens_total 70\nsglang:generation_tokens_total 30\n"
        b'sglang:cached_tokens_total{source="device"} 10\n'
        b'sglang:cached_tokens_total{source="host"} 5\n'
        b"sglang:num_requests_total 9\nsglang:num_aborted_requests_total 1\n"
    )
    assert (signals.running, signals.waiting) == (4, 2)
    assert signals.kv_cache_usage == pytest.approx(0.3)
    assert (signals.prompt_tokens, signals.cache_queries, signals.cache_hits) == (70, 70, 15)
    assert (signals.requests, signals.aborted) == (9, 1)


SGLANG_RANK = b'engine_type="unified",model_name="m",moe_ep_rank="%d",pp_rank="0",tp_rank="%d"'


def test_ranks_that_compute_the_same_requests_are_not_added_up() -> None:
    """SGLang with `--enable-metrics-for-all-schedulers`: each tensor-parallel rank says the same;
    ranks of data parallelism have requests of their own.
    """
    page = b"".join(
        b'sglang:num_running_reqs{dp_rank="%d",%s} %d\nsglang:token_usage{dp_rank="%d",%s} %f\n'
        % (dp, SGLANG_RANK % (tp, tp), 3 + dp, dp, SGLANG_RANK % (tp, tp), 0.2 + dp / 10)
        for dp in (0, 1)
        for tp in (0, 1)
    )
    assert read(page).running == 3 + 4
    assert read(page).kv_cache_usage == pytest.approx(0.25)


def test_a_total_is_not_added_to_its_parts() -> None:
    """SGLang with `--enable-priority-scheduling` says its queue in all, with an empty priority, and
    for each priority; MAX its cache hits in all, and by where they came from.
    """
    sglang = (
        b'sglang:num_queue_reqs{%s,priority=""} 5\n'
        b'sglang:num_queue_reqs{%s,priority="1"} 2\n'
        b'sglang:num_queue_reqs{%s,priority="9223372036854775807"} 3\n'
    )
    rank = SGLANG_RANK % (0, 0)
    assert read(sglang % (rank, rank, rank)).waiting == 5
    only_parts = b"".join((sglang % (rank, rank, rank)).splitlines(keepends=True)[1:])
    assert read(only_parts).waiting == 5
    hits = (
        b"maxserve_cache_hits_tokens_total 7\nmaxserve_cache_misses_tokens_total 3\n"
        b'maxserve_cache_hits_tokens_total{tier="g0"} 5\n'
        b'maxserve_cache_hits_tokens_total{tier="external"} 2\n'
    )
    assert (read(hits).cache_hits, read(hits).cache_queries) == (7, 10)


@pytest.mark.parametrize("name", ["vllm:generation_tokens_total", "vllm:request_success_total"])
def test_a_series_that_is_said_twice_counts_once(name: str) -> None:
    """Its last value, whatever the order of its labels."""
    page = f"""{name}{{engine="0",model_name="m"}} 7
{name}{{model_name="m",engine="1"}} 1
{name}{{model_name="m",engine="0"}} 9
"""
    signals = read(page.encode())
    assert (signals.output_tokens or signals.requests) == 9 + 1


def test_a_hostile_page_of_many_series_takes_bounded_time_and_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty megabytes of labels that nobody has: what is read is bounded, and so is what is kept;
    a series that is known already is still read.
    """
    line = b'vllm:num_requests_running{model_name="%d"} 1\n'
    known = b'vllm:num_requests_running{model_name="0"} 3\n'
    some = b"".join(line % number for number in range(MAX_SERIES + 9))
    assert read(some).running == MAX_SERIES
    assert read(some + known).running == MAX_SERIES + 2
    page = b"".join(line % number for number in range(500_000))
    assert len(page) > 20_000_000
    looked_at: list[bytes] = []
    take = _Reading.take
    monkeypatch.setattr(
        _Reading, "take", lambda self, rows, one: [looked_at.append(one), take(self, rows, one)][1]
    )
    assert read(page).running == MAX_SERIES
    assert len(looked_at) == MAX_LOOKED_AT


def test_nims_names_have_no_prefix_and_are_read_last() -> None:
    """Whoever else is known by its own names is meant by them."""
    nim = (
        b'num_requests_running{model_name="m"} 2\nprompt_tokens_total 7\n'
        b'gpu_cache_usage_perc 0.25\nrequest_finish_total{finished_reason="length"} 4\n'
    )
    signals = read(nim)
    assert (signals.engine, signals.running, signals.prompt_tokens) == ("nim", 2, 7)
    assert (signals.kv_cache_usage, signals.finished) == (0.25, {"length": 4})
    assert read(nim + VLLM) == read(VLLM)


def test_the_colon_of_a_name_may_be_an_underscore_and_the_other_way_round() -> None:
    """As exporters, and releases, have it."""
    assert read(VLLM.replace(b"vllm:", b"vllm_")) == read(VLLM)
    assert read(b"trtllm:num_requests_waiting 2\n").waiting == 2
    assert read(b"sglang_num_queue_reqs 3\n").waiting == 3


def test_tgi_counts_in_its_histograms() -> None:
    """Requests that it failed are its requests, too."""
    signals = read(
        b"tgi_queue_size 3\ntgi_batch_current_size 8\n"
        b"tgi_request_input_length_sum 120\ntgi_request_generated_tokens_sum 60\n"
        b'tgi_request_success{method="generate"} 5\ntgi_request_failure{err="validation"} 2\n'
    )
    assert (signals.running, signals.waiting) == (8, 3)
    assert (signals.prompt_tokens, signals.output_tokens) == (120, 60)
    assert signals.finished == {"success": 5, "error": 2}


def test_sglangs_retractions_are_preemptions() -> None:
    """A request that lost its place in the cache; the gauge of the last batch is none of it."""
    signals = read(
        b'sglang:num_retracted_requests_total{%s} 48\nsglang:num_retracted_reqs{%s,pid="7"} 1\n'
        % (SGLANG_RANK % (0, 0), SGLANG_RANK % (0, 0))
    )
    assert signals.preemptions == 48


def test_a_page_of_max_as_its_exporter_writes_it() -> None:
    """Its own source's instruments through OpenTelemetry's exporter, which adds its scope. Requests
    that the scheduler has not been told of wait as well; blocks that were counters say nothing.
    """
    scope = b'otel_scope_name="modular",otel_scope_version=""'
    page = (
        b"# HELP maxserve_num_requests_running Count of requests currently being processed\n"
        b"# TYPE maxserve_num_requests_running gauge\n"
        b"maxserve_num_requests_running{%b} 3.0\nmaxserve_num_requests_queued{%b} 2.0\n"
        b"maxserve_num_requests_awaiting_admission{%b} 1.0\n"
        b"maxserve_num_input_tokens_total{%b} 90.0\nmaxserve_num_output_tokens_total{%b} 60.0\n"
        b'maxserve_time_to_first_token_milliseconds_bucket{%b,le="5.0"} 0.0\n'
        b"maxserve_time_to_first_token_milliseconds_count{%b} 2.0\n"
        b"maxserve_time_to_first_token_milliseconds_sum{%b} 250.0\n"
        b"maxserve_cache_preemption_count_total{%b} 4.0\n"
        b"maxserve_cache_num_used_blocks_total{%b} 900000.0\n"
    ).replace(b"%b", scope)
    signals = read(page)
    assert (signals.running, signals.waiting, signals.preemptions) == (3, 3, 4)
    assert (signals.prompt_tokens, signals.output_tokens) == (90, 60)
    assert (signals.ttft_seconds, signals.ttft_count) == (0.25, 2)
    assert signals.kv_cache_usage is None


def test_max_speaks_in_milliseconds() -> None:
    """Times are seconds here; blocks are a share."""
    signals = read(
        b"maxserve_num_requests_running 1\nmaxserve_cache_num_used_blocks 30\n"
        b"maxserve_cache_num_total_blocks 120\nmaxserve_itl_milliseconds_sum 2500\n"
        b"maxserve_time_to_first_token_milliseconds_sum 500\n"
        b"maxserve_time_to_first_token_milliseconds_count 4\n"
    )
    assert (signals.ttft_seconds, signals.ttft_count, signals.decode_seconds) == (0.5, 4, 2.5)
    assert signals.kv_cache_usage == 0.25


def test_triton_speaks_in_microseconds_and_carries_other_engines() -> None:
    """Its backend's queue is preferred to its own; vLLM's names are, where it carries vLLM."""
    triton = (
        b'nv_inference_request_success{model="a",version="1"} 5\n'
        b'nv_inference_request_failure{model="a",reason="CANCELED"} 2\n'
        b'nv_inference_pending_request_count{model="a"} 9\n'
        b'nv_inference_queue_duration_us{model="a"} 1500000\n'
        b'nv_inference_first_response_histogram_ms_sum{model="a"} 250\n'
    )
    assert read(triton).waiting == 9
    assert (read(triton).queue_seconds, read(triton).ttft_seconds) == (1.5, 0.25)
    assert read(triton).finished == {"success": 5, "abort": 2}
    backend = (
        b'nv_trt_llm_request_metrics{model="a",request_type="waiting",version="1"} 4\n'
        b'nv_trt_llm_request_metrics{model="a",request_type="scheduled"} 6\n'
        b'nv_trt_llm_request_metrics{model="a",request_type="max"} 64\n'
        b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction"} 0.5\n'
        b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max"} 900\n'
    )
    signals = read(triton + backend)
    assert (signals.running, signals.waiting, signals.kv_cache_usage) == (6, 4, 0.5)
    assert read(triton + VLLM).engine == "vllm"


def test_tritons_ensembles_count_a_request_in_each_of_their_models() -> None:
    """Four models are in each answer of a TensorRT-LLM ensemble: requests, and times to first
    response, are not told, for no sum of them is right. One model that has requests is told of,
    also beside others that have none.
    """
    names = ("ensemble", "preprocessing", "tensorrt_llm", "postprocessing")
    page = b"".join(
        b'nv_inference_request_success{model="%s",version="1"} %d\n'
        b'nv_inference_request_failure{model="%s",reason="OTHER",version="1"} 0\n'
        b'nv_inference_first_response_histogram_ms_count{model="%s"} 9\n'
        b'nv_inference_first_response_histogram_ms_sum{model="%s"} 900\n'
        % (name.encode(), 9, *[name.encode()] * 3)
        for name in names
    )
    signals = read(page)
    assert (signals.requests, signals.ttft_seconds, signals.ttft_count) == (None, None, None)
    for name in names[1:]:
        page = page.replace(b'success{model="%s",version="1"} 9' % name.encode(),
                            b'success{model="%s",version="1"} 0' % name.encode())  # fmt: skip
    assert read(page).finished == {"success": 9, "other": 0}


def test_a_trtllm_server_says_how_requests_ended() -> None:
    """Older releases count no tokens."""
    signals = read(
        b'trtllm_request_success_total{engine_type="pytorch",finished_reason="stop"} 7\n'
        b"trtllm_kv_cache_utilization 0.1\ntrtllm_num_requests_waiting 0\n"
    )
    assert (signals.requests, signals.waiting, signals.kv_cache_usage) == (7, 0, 0.1)
    assert signals.output_tokens is None
    newer = read(
        b'trtllm_prompt_tokens_total{model_name="m"} 40\ntrtllm_generation_tokens_total 9\n'
        b"trtllm_prompt_cached_tokens_total 16\ntrtllm_request_decode_time_seconds_sum 1.5\n"
    )
    assert (newer.prompt_tokens, newer.output_tokens, newer.decode_seconds) == (40, 9, 1.5)
    assert (newer.cache_queries, newer.cache_hits) == (40, 16)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\n\n", b"process_cpu_seconds_total 4\n", b"vllm:num_requests_running NaN\n",
        b"vllm:num_requests_running -1\n", b"vllm:num_requests_running +Inf\n",
        b"vllm:num_requests_running 1e30\n", b"vllm:num_requests_running\n",
        b'vllm:num_requests_running{a="b 3\n', b"<html><body>404</body></html>",
        b'vllm:num_requests_running{a="' + b"x" * MAX_LINE_BYTES + b'"} 1\n',
        b"# TYPE vllm:num_requests_running gauge\n", b"vllm:num_requests_runningx 1\n",
    ],
)  # fmt: skip
def test_what_is_no_count_is_none(text: bytes) -> None:
    """Neither zero nor an error."""
    assert signals_in(text) is None


def test_every_engine_has_rows_and_shares_are_never_summed() -> None:
    """Half a cache in use in each of two cores is half of the cache."""
    assert {row.engine for row in ROWS} == set(ENGINES)
    for row in ROWS:
        assert (row.joined is Joined.MEAN) == (row.signal is Signal.KV_CACHE_USAGE)
    owners: dict[str, set[str]] = {}
    for row in ROWS:
        owners.setdefault(row.name, set()).add(row.engine)
    assert all(len(engines) == 1 for engines in owners.values())


_names = st.sampled_from([row.name.encode() for row in ROWS])
_lines = st.one_of(
    st.binary(max_size=80),
    st.tuples(_names, st.binary(max_size=60)).map(b"".join),
    st.tuples(_names, st.floats()).map(lambda pair: b"%s %a" % pair),
    st.tuples(_names, st.binary(max_size=20)).map(lambda p: b'%s{model_name="%s"} 1' % p),
)


@given(st.lists(_lines, max_size=12))
def test_no_text_makes_it_raise_and_every_signal_is_a_count(lines: list[bytes]) -> None:
    """Whatever an engine says: None or finite and not negative, and a share is one."""
    signals = signals_in(b"\n".join(lines))
    if signals is None:
        return
    for item in dataclasses.fields(signals):
        value = getattr(signals, item.name)
        if isinstance(value, float):
            assert 0 <= value < 1e22
    assert signals.kv_cache_usage is None or signals.kv_cache_usage <= 1
    assert set(signals.finished) <= {"stop", "length", "abort", "error", "success", "other"}
    sample = sample_of(signals, 1, 2)
    assert (sample.running, sample.asked_ns, sample.at_ns) == (signals.running, 1, 2)
