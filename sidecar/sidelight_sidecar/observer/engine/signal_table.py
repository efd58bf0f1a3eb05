"""What each engine calls its signals: one table, pure data. `signals` reads by it.

A row says how a series becomes a signal: which of its labels count, how several of them are taken
together, what its value is multiplied by, and where the name is from. Rules:

1. Names belong to one engine each, so a row is found by the name of the series alone.
2. Rows of one engine and signal with the same `rank` are added; of different ranks the lowest that
   is there is taken (a newer name beside its alias).
3. Labels that tell models, adapters or engine cores are of no account: a signal is the pod's. What
   must not be counted twice for them is told in `signals`, rule 4.
4. Times are seconds, shares 0 to 1, everything else a number.
"""

from enum import Enum, StrEnum
from typing import NamedTuple

from sidelight_contract.identity import Setting

VLLM, SGLANG, TENSORRT_LLM, TGI = "vllm", "sglang", "tensorrt_llm", "tgi"
LLAMA_CPP, MAX, TRITON, NIM = "llama_cpp", "max", "triton", "nim"
ENGINES = (VLLM, SGLANG, TENSORRT_LLM, TGI, LLAMA_CPP, MAX, TRITON, NIM)
"""In this order they are preferred, where one endpoint speaks for two: Triton carries others."""


class Signal(StrEnum):
    """What may be read of an engine."""

    RUNNING = "running"
    WAITING = "waiting"
    KV_CACHE_USAGE = "kv_cache_usage"
    KV_BLOCKS_USED = "kv_blocks_used"
    KV_BLOCKS_ALL = "kv_blocks_all"
    PROMPT_TOKENS = "prompt_tokens"
    """All tokens of prompts."""
    COMPUTED_PROMPT_TOKENS = "computed_prompt_tokens"
    """Those that did not come from a cache."""
    OUTPUT_TOKENS = "output_tokens"
    CACHE_QUERIES = "cache_queries"
    """Prompt tokens that were looked up in the prefix cache, or that could have come from it."""
    CACHE_HITS = "cache_hits"
    """Prompt tokens that came from it."""
    PREEMPTIONS = "preemptions"
    FINISHED = "finished"
    """Requests that ended, by the reason in a label or in `reason`."""
    ABORTED = "aborted"
    """Requests that ended because nobody waited for them, where that has a series of its own."""
    TTFT_SECONDS = "ttft_seconds"
    """Sum of the times to first token."""
    TTFT_COUNT = "ttft_count"
    DECODE_SECONDS = "decode_seconds"
    """Sum of the times from a request's first token to its last."""
    QUEUE_SECONDS = "queue_seconds"
    """Sum of the times that requests waited before they were computed."""


class Joined(Enum):
    """How several series become one number."""

    SUM = "sum"
    MEAN = "mean"
    """A share of something: two engine cores with half a cache each in use have half in use."""


class Source(Enum):
    """Where a name is from, and so how sure it is."""

    RUN = "read from the running server"
    CODE = "the named version's source or specification"
    DOCS = "the vendor's documentation"
    OTHERS = "several public consumers of it"


class Row(NamedTuple):
    """One series."""

    engine: str
    signal: Signal
    name: str
    joined: Joined = Joined.SUM
    source: Source = Source.CODE
    scale: float = 1.0
    rank: int = 0
    where: tuple[str, str] = ("", "")
    """A label and the value that it must have."""
    by: str = ""
    """The label that says why requests ended."""
    reason: str = "other"
    """Why they ended, where no label says it."""


_MS, _US = 1e-3, 1e-6
_RUN, _DOCS, _OTHERS = Source.RUN, Source.DOCS, Source.OTHERS
_TRT_REQUESTS = "nv_trt_llm_request_metrics"
_TRT_BLOCKS = "nv_trt_llm_kv_cache_block_metrics"

ROWS: tuple[Row, ...] = (
    # vLLM 0.33 (V1). Requests whose client left are in no series but the tokens'.
    Row(VLLM, Signal.RUNNING, "vllm:num_requests_running"),
    Row(VLLM, Signal.WAITING, "vllm:num_requests_waiting"),
    Row(VLLM, Signal.KV_CACHE_USAGE, "vllm:kv_cache_usage_perc", Joined.MEAN),
    Row(VLLM, Signal.KV_CACHE_USAGE, "vllm:gpu_cache_usage_perc", Joined.MEAN, rank=1),
    Row(VLLM, Signal.PROMPT_TOKENS, "vllm:prompt_tokens_total"),
    Row(VLLM, Signal.OUTPUT_TOKENS, "vllm:generation_tokens_total"),
    Row(VLLM, Signal.CACHE_QUERIES, "vllm:prefix_cache_queries_total"),
    Row(VLLM, Signal.CACHE_QUERIES, "vllm:gpu_prefix_cache_queries_total", source=_OTHERS, rank=1),
    Row(VLLM, Signal.CACHE_HITS, "vllm:prefix_cache_hits_total"),
    Row(VLLM, Signal.CACHE_HITS, "vllm:gpu_prefix_cache_hits_total", source=_OTHERS, rank=1),
    Row(VLLM, Signal.PREEMPTIONS, "vllm:num_preemptions_total"),
    Row(VLLM, Signal.FINISHED, "vllm:request_success_total", by="finished_reason"),
    Row(VLLM, Signal.TTFT_SECONDS, "vllm:time_to_first_token_seconds_sum"),
    Row(VLLM, Signal.TTFT_COUNT, "vllm:time_to_first_token_seconds_count"),
    Row(VLLM, Signal.DECODE_SECONDS, "vllm:request_decode_time_seconds_sum"),
    Row(VLLM, Signal.QUEUE_SECONDS, "vllm:request_queue_time_seconds_sum"),
    # SGLang 0.5 (--enable-metrics). Its inter-token latency is observed once for each token.
    Row(SGLANG, Signal.RUNNING, "sglang:num_running_reqs"),
    Row(SGLANG, Signal.WAITING, "sglang:num_queue_reqs"),
    Row(SGLANG, Signal.KV_CACHE_USAGE, "sglang:token_usage", Joined.MEAN),
    Row(SGLANG, Signal.PROMPT_TOKENS, "sglang:prompt_tokens_total"),
    Row(SGLANG, Signal.OUTPUT_TOKENS, "sglang:generation_tokens_total"),
    Row(SGLANG, Signal.CACHE_QUERIES, "sglang:prompt_tokens_total"),
    Row(SGLANG, Signal.CACHE_HITS, "sglang:cached_tokens_total"),
    Row(SGLANG, Signal.PREEMPTIONS, "sglang:num_retracted_requests_total", source=_OTHERS),
    Row(SGLANG, Signal.FINISHED, "sglang:num_requests_total"),
    Row(SGLANG, Signal.ABORTED, "sglang:num_aborted_requests_total"),
    Row(SGLANG, Signal.TTFT_SECONDS, "sglang:time_to_first_token_seconds_sum"),
    Row(SGLANG, Signal.TTFT_COUNT, "sglang:time_to_first_token_seconds_count"),
    Row(SGLANG, Signal.DECODE_SECONDS, "sglang:inter_token_latency_seconds_sum"),
    Row(SGLANG, Signal.QUEUE_SECONDS, "sglang:queue_time_seconds_sum"),
    # TensorRT-LLM (with return_perf_metrics). Older releases count no tokens.
    Row(TENSORRT_LLM, Signal.RUNNING, "trtllm_num_requests_running", source=_OTHERS),
    Row(TENSORRT_LLM, Signal.WAITING, "trtllm_num_requests_waiting", source=_OTHERS),
    Row(TENSORRT_LLM, Signal.KV_CACHE_USAGE, "trtllm_kv_cache_utilization", Joined.MEAN, _OTHERS),
    Row(TENSORRT_LLM, Signal.PROMPT_TOKENS, "trtllm_prompt_tokens_total", source=_OTHERS),
    Row(TENSORRT_LLM, Signal.OUTPUT_TOKENS, "trtllm_generation_tokens_total", source=_OTHERS),
    Row(TENSORRT_LLM, Signal.CACHE_QUERIES, "trtllm_prompt_tokens_total", source=_OTHERS),
    Row(TENSORRT_LLM, Signal.CACHE_HITS, "trtllm_prompt_cached_tokens_total", source=_OTHERS),
    Row(TENSORRT_LLM, Signal.FINISHED, "trtllm_request_success_total",
        source=_OTHERS, by="finished_reason"),
    Row(TENSORRT_LLM, Signal.TTFT_SECONDS, "trtllm_time_to_first_token_seconds_sum",
        source=_OTHERS),
    Row(TENSORRT_LLM, Signal.TTFT_COUNT, "trtllm_time_to_first_token_seconds_count",
        source=_OTHERS),
    Row(TENSORRT_LLM, Signal.DECODE_SECONDS, "trtllm_request_decode_time_seconds_sum",
        source=_OTHERS),
    Row(TENSORRT_LLM, Signal.QUEUE_SECONDS, "trtllm_request_queue_time_seconds_sum",
        source=_OTHERS),
    # TGI 3.3. It has neither a time to first token nor one of decoding.
    Row(TGI, Signal.RUNNING, "tgi_batch_current_size"),
    Row(TGI, Signal.WAITING, "tgi_queue_size"),
    Row(TGI, Signal.PROMPT_TOKENS, "tgi_request_input_length_sum"),
    Row(TGI, Signal.OUTPUT_TOKENS, "tgi_request_generated_tokens_sum"),
    Row(TGI, Signal.FINISHED, "tgi_request_success", reason="success"),
    Row(TGI, Signal.FINISHED, "tgi_request_failure", reason="error"),
    Row(TGI, Signal.QUEUE_SECONDS, "tgi_request_queue_duration_sum"),
    # llama.cpp (--metrics). It counts no requests; prompts are counted without what was cached.
    Row(LLAMA_CPP, Signal.RUNNING, "llamacpp:requests_processing", source=_RUN),
    Row(LLAMA_CPP, Signal.WAITING, "llamacpp:requests_deferred", source=_RUN),
    Row(LLAMA_CPP, Signal.KV_CACHE_USAGE, "llamacpp:kv_cache_usage_ratio", Joined.MEAN, _DOCS),
    Row(LLAMA_CPP, Signal.COMPUTED_PROMPT_TOKENS, "llamacpp:prompt_tokens_total", source=_RUN),
    Row(LLAMA_CPP, Signal.CACHE_HITS, "llamacpp:prompt_tokens_cached_total", source=_RUN),
    Row(LLAMA_CPP, Signal.OUTPUT_TOKENS, "llamacpp:tokens_predicted_total", source=_RUN),
    Row(LLAMA_CPP, Signal.DECODE_SECONDS, "llamacpp:tokens_predicted_seconds_total", source=_RUN),
    # Modular MAX: OpenTelemetry's instruments, in milliseconds, as its Python exporter names them.
    # Blocks were counters of levels once (with `_total`), which say nothing; hits were of requests.
    Row(MAX, Signal.RUNNING, "maxserve_num_requests_running"),
    Row(MAX, Signal.WAITING, "maxserve_num_requests_queued"),
    Row(MAX, Signal.WAITING, "maxserve_num_requests_awaiting_admission"),
    Row(MAX, Signal.KV_BLOCKS_USED, "maxserve_cache_num_used_blocks"),
    Row(MAX, Signal.KV_BLOCKS_ALL, "maxserve_cache_num_total_blocks"),
    Row(MAX, Signal.PROMPT_TOKENS, "maxserve_num_input_tokens_total"),
    Row(MAX, Signal.OUTPUT_TOKENS, "maxserve_num_output_tokens_total"),
    Row(MAX, Signal.CACHE_QUERIES, "maxserve_cache_hits_tokens_total"),
    Row(MAX, Signal.CACHE_QUERIES, "maxserve_cache_misses_tokens_total"),
    Row(MAX, Signal.CACHE_HITS, "maxserve_cache_hits_tokens_total"),
    Row(MAX, Signal.PREEMPTIONS, "maxserve_cache_preemption_count_total"),
    Row(MAX, Signal.TTFT_SECONDS, "maxserve_time_to_first_token_milliseconds_sum",
        scale=_MS),
    Row(MAX, Signal.TTFT_COUNT, "maxserve_time_to_first_token_milliseconds_count"),
    Row(MAX, Signal.DECODE_SECONDS, "maxserve_itl_milliseconds_sum", scale=_MS),
    # Triton; its TensorRT-LLM backend knows more of queue and cache.
    Row(TRITON, Signal.RUNNING, _TRT_REQUESTS, where=("request_type", "scheduled")),
    Row(TRITON, Signal.WAITING, _TRT_REQUESTS, where=("request_type", "waiting")),
    Row(TRITON, Signal.WAITING, "nv_inference_pending_request_count", source=_DOCS, rank=1),
    Row(TRITON, Signal.KV_CACHE_USAGE, _TRT_BLOCKS, Joined.MEAN,
        where=("kv_cache_block_type", "fraction")),
    Row(TRITON, Signal.FINISHED, "nv_inference_request_success", source=_DOCS, reason="success"),
    Row(TRITON, Signal.FINISHED, "nv_inference_request_failure", source=_DOCS, by="reason"),
    Row(TRITON, Signal.TTFT_SECONDS, "nv_inference_first_response_histogram_ms_sum",
        source=_DOCS, scale=_MS),
    Row(TRITON, Signal.TTFT_COUNT, "nv_inference_first_response_histogram_ms_count",
        source=_DOCS),
    Row(TRITON, Signal.QUEUE_SECONDS, "nv_inference_queue_duration_us", source=_DOCS, scale=_US),
    # NIM: older releases of it, whose names are vLLM's without a prefix.
    Row(NIM, Signal.RUNNING, "num_requests_running", source=_DOCS),
    Row(NIM, Signal.WAITING, "num_requests_waiting", source=_DOCS),
    Row(NIM, Signal.KV_CACHE_USAGE, "gpu_cache_usage_perc", Joined.MEAN, _DOCS),
    Row(NIM, Signal.PROMPT_TOKENS, "prompt_tokens_total", source=_DOCS),
    Row(NIM, Signal.OUTPUT_TOKENS, "generation_tokens_total", source=_DOCS),
    Row(NIM, Signal.FINISHED, "request_finish_total", source=_OTHERS, by="finished_reason"),
    Row(NIM, Signal.TTFT_SECONDS, "time_to_first_token_seconds_sum", source=_DOCS),
    Row(NIM, Signal.TTFT_COUNT, "time_to_first_token_seconds_count", source=_DOCS),
)  # fmt: skip

REASONS = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop",
    "length": "length", "abort": "abort", "canceled": "abort", "cancelled": "abort",
    "error": "error", "rejected": "error", "backend": "error", "success": "success",
}  # fmt: skip
"""An engine's words for why a request ended, in ours; any other is `other`."""

STARTED_AT = "process_start_time_seconds"
"""Of whoever runs in Prometheus' own client libraries: when the process began."""

INFOS: dict[str, dict[str, str]] = {
    "vllm:cache_config_info": {
        "cache_dtype": Setting.KV_CACHE_DTYPE,
        "calculate_kv_scales": Setting.KV_SCALES,
        "mamba_ssm_cache_dtype": Setting.STATE_DTYPE,
    },
}
"""Series whose labels say how the engine is set up: those of them that change outputs, and the
names of the settings (docs/versions.md)."""
