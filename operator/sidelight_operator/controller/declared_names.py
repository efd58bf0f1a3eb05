"""Under which arguments and variables each engine is told what changes its outputs. Pure data.

An entry is one thing that may be said in several ways, with `|` between them: `-x` and `--x` are
arguments, `X` is an environment variable, which an argument beats. A setting with several entries
is all of them together. Read in the engines' own sources and references; docs/versions.md shows
the names of settings.

Left out is what only decides how fast an answer comes, or rounds differently: parallelism, batch
sizes, attention backends, caches.
"""

from collections.abc import Mapping

from sidelight_contract.engines import EngineType
from sidelight_contract.identity import Setting

Names = Mapping[str, tuple[str, ...]]
"""By `Setting`, or one with more after a dot, as the engine's own word has it."""

_VLLM: Names = {
    Setting.MODEL: ("--model",),
    Setting.SERVED_NAME: ("--served-model-name",),
    Setting.REVISION: ("--revision",),
    Setting.TOKENIZER: ("--tokenizer",),
    Setting.TOKENIZER_REVISION: ("--tokenizer-revision",),
    Setting.TOKENIZER_MODE: ("--tokenizer-mode",),
    Setting.DTYPE: ("--dtype",),
    Setting.QUANTIZATION: ("--quantization|-q",),
    Setting.KV_CACHE_DTYPE: ("--kv-cache-dtype", "--calculate-kv-scales"),
    Setting.MAX_MODEL_LEN: ("--max-model-len",),
    Setting.LORA: ("--lora-modules",),
    Setting.CHAT_TEMPLATE: (
        "--chat-template",
        "--chat-template-content-format",
        "--default-chat-template-kwargs",
    ),
    Setting.TOOL_PARSER: ("--tool-call-parser", "--enable-auto-tool-choice"),
    Setting.REASONING_PARSER: ("--reasoning-parser",),
    Setting.GUIDED_DECODING: ("--guided-decoding-backend", "--structured-outputs-config"),
    Setting.SPECULATIVE: (
        "--speculative-config",
        "--speculative-model",
        "--num-speculative-tokens",
    ),
    Setting.ROPE: ("--rope-scaling", "--rope-theta"),
    Setting.OVERRIDES: ("--hf-overrides", "--hf-config-path"),
    Setting.GENERATION_CONFIG: ("--generation-config",),
    Setting.GENERATION_OVERRIDES: ("--override-generation-config",),
    Setting.SEED: ("--seed",),
    Setting.LOAD_FORMAT: ("--load-format", "--config-format"),
    Setting.MODEL_CODE: ("--model-impl", "--trust-remote-code", "--code-revision"),
}

_SGLANG: Names = {
    Setting.MODEL: ("--model-path|--model",),
    Setting.SERVED_NAME: ("--served-model-name",),
    Setting.REVISION: ("--revision",),
    Setting.TOKENIZER: ("--tokenizer-path",),
    Setting.TOKENIZER_MODE: ("--tokenizer-mode",),
    Setting.DTYPE: ("--dtype",),
    Setting.QUANTIZATION: ("--quantization", "--modelopt-quant", "--torchao-config"),
    Setting.KV_CACHE_DTYPE: ("--kv-cache-dtype", "--quantization-param-path"),
    Setting.MAX_MODEL_LEN: ("--context-length",),
    Setting.LORA: ("--lora-paths",),
    Setting.CHAT_TEMPLATE: ("--chat-template", "--completion-template"),
    Setting.TOOL_PARSER: ("--tool-call-parser",),
    Setting.REASONING_PARSER: ("--reasoning-parser",),
    Setting.GUIDED_DECODING: ("--grammar-backend",),
    Setting.SPECULATIVE: (
        "--speculative-algorithm|--speculative-algo",
        "--speculative-draft-model-path|--speculative-draft-model",
        "--speculative-num-draft-tokens",
    ),
    Setting.OVERRIDES: ("--json-model-override-args",),
    Setting.GENERATION_CONFIG: ("--sampling-defaults",),
    Setting.GENERATION_OVERRIDES: ("--preferred-sampling-params",),
    Setting.SEED: ("--random-seed",),
    Setting.LOAD_FORMAT: ("--load-format",),
    Setting.MODEL_CODE: ("--model-impl", "--trust-remote-code"),
}

_TGI: Names = {
    Setting.MODEL: ("--model-id|MODEL_ID",),
    Setting.REVISION: ("--revision|REVISION",),
    Setting.TOKENIZER: ("--tokenizer-config-path|TOKENIZER_CONFIG_PATH",),
    Setting.DTYPE: ("--dtype|DTYPE",),
    Setting.QUANTIZATION: ("--quantize|QUANTIZE",),
    Setting.KV_CACHE_DTYPE: ("--kv-cache-dtype|KV_CACHE_DTYPE",),
    Setting.MAX_MODEL_LEN: (
        "--max-total-tokens|MAX_TOTAL_TOKENS",
        "--max-input-tokens|--max-input-length|MAX_INPUT_TOKENS|MAX_INPUT_LENGTH",
    ),
    Setting.LORA: ("--lora-adapters|LORA_ADAPTERS",),
    Setting.GUIDED_DECODING: ("--disable-grammar-support|DISABLE_GRAMMAR_SUPPORT",),
    Setting.SPECULATIVE: ("--speculate|SPECULATE",),
    Setting.ROPE: ("--rope-scaling|ROPE_SCALING", "--rope-factor|ROPE_FACTOR"),
    Setting.MODEL_CODE: ("--trust-remote-code|TRUST_REMOTE_CODE",),
}

_LLAMA_CPP: Names = {
    Setting.MODEL: (
        "--model|-m|LLAMA_ARG_MODEL",
        "--hf-repo|-hf|-hfr|LLAMA_ARG_HF_REPO",
        "--hf-file|-hff|LLAMA_ARG_HF_FILE",
        "--model-url|-mu|LLAMA_ARG_MODEL_URL",
        "--docker-repo|-dr|LLAMA_ARG_DOCKER_REPO",
        "--mmproj|-mm|LLAMA_ARG_MMPROJ",
    ),
    Setting.SERVED_NAME: ("--alias|-a|LLAMA_ARG_ALIAS",),
    Setting.KV_CACHE_DTYPE: (
        "--cache-type-k|-ctk|LLAMA_ARG_CACHE_TYPE_K",
        "--cache-type-v|-ctv|LLAMA_ARG_CACHE_TYPE_V",
    ),
    Setting.MAX_MODEL_LEN: (
        "--ctx-size|-c|LLAMA_ARG_CTX_SIZE",
        "--parallel|-np|LLAMA_ARG_N_PARALLEL",
    ),
    Setting.LORA: ("--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled"),
    Setting.CHAT_TEMPLATE: (
        "--chat-template|LLAMA_ARG_CHAT_TEMPLATE",
        "--chat-template-file|LLAMA_ARG_CHAT_TEMPLATE_FILE",
        "--jinja|LLAMA_ARG_JINJA",
        "--chat-template-kwargs|LLAMA_CHAT_TEMPLATE_KWARGS",
    ),
    Setting.REASONING_PARSER: (
        "--reasoning-format|LLAMA_ARG_THINK",
        "--reasoning-budget|LLAMA_ARG_THINK_BUDGET",
    ),
    Setting.GUIDED_DECODING: ("--grammar", "--grammar-file", "--json-schema|-j"),
    Setting.SPECULATIVE: (
        "--model-draft|-md|LLAMA_ARG_MODEL_DRAFT",
        "--draft-max|--draft|--draft-n|LLAMA_ARG_DRAFT_MAX",
        "--spec-type|LLAMA_ARG_SPEC_TYPE",
    ),
    Setting.ROPE: (
        "--rope-scaling|LLAMA_ARG_ROPE_SCALING_TYPE",
        "--rope-scale|LLAMA_ARG_ROPE_SCALE",
        "--rope-freq-base|LLAMA_ARG_ROPE_FREQ_BASE",
        "--rope-freq-scale|LLAMA_ARG_ROPE_FREQ_SCALE",
        "--yarn-orig-ctx|LLAMA_ARG_YARN_ORIG_CTX",
    ),
    Setting.OVERRIDES: ("--override-kv",),
    Setting.SEED: ("--seed|-s",),
    "sampling.temperature": ("--temp|--temperature",),
    "sampling.top_k": ("--top-k|LLAMA_ARG_TOP_K",),
    "sampling.top_p": ("--top-p",),
    "sampling.min_p": ("--min-p",),
    "sampling.repeat_penalty": ("--repeat-penalty",),
    "sampling.presence_penalty": ("--presence-penalty",),
    "sampling.frequency_penalty": ("--frequency-penalty",),
    "sampling.samplers": ("--samplers",),
    "sampling.n_predict": ("--predict|-n|--n-predict|LLAMA_ARG_N_PREDICT",),
}

_OLLAMA: Names = {
    Setting.KV_CACHE_DTYPE: ("OLLAMA_KV_CACHE_TYPE",),
    Setting.MAX_MODEL_LEN: ("OLLAMA_CONTEXT_LENGTH",),
    Setting.BACKEND: ("OLLAMA_NEW_ENGINE", "OLLAMA_LLM_LIBRARY"),
}

_TENSORRT_LLM: Names = {
    Setting.MODEL: ("--model",),
    Setting.SERVED_NAME: ("--served-model-name",),
    Setting.REVISION: ("--hf-revision|--revision",),
    Setting.TOKENIZER: ("--tokenizer",),
    Setting.TOKENIZER_MODE: ("--custom-tokenizer",),
    Setting.KV_CACHE_DTYPE: ("--kv-cache-dtype",),
    Setting.MAX_MODEL_LEN: ("--max-seq-len",),
    Setting.CHAT_TEMPLATE: ("--chat-template",),
    Setting.TOOL_PARSER: ("--tool-parser",),
    Setting.REASONING_PARSER: ("--reasoning-parser",),
    Setting.MODEL_CODE: ("--trust-remote-code", "--custom-module-dirs"),
    Setting.BACKEND: ("--backend",),
}

_TRITON: Names = {
    Setting.MODEL: ("--model-repository|--model-store", "--load-model"),
    Setting.BACKEND: ("--backend-config",),
}

_MAX: Names = {
    Setting.MODEL: ("--model-path|--model", "--weight-path"),
    Setting.SERVED_NAME: ("--served-model-name",),
    Setting.REVISION: ("--huggingface-model-revision", "--huggingface-weight-revision"),
    Setting.QUANTIZATION: ("--quantization-encoding",),
    Setting.KV_CACHE_DTYPE: ("--kv-cache-format",),
    Setting.MAX_MODEL_LEN: ("--max-length",),
    Setting.LORA: ("--lora-paths",),
    Setting.CHAT_TEMPLATE: ("--chat-template",),
    Setting.GUIDED_DECODING: ("--enable-structured-output",),
    Setting.SPECULATIVE: ("--draft-model-path|--draft-model", "--num-speculative-tokens"),
    Setting.MODEL_CODE: ("--trust-remote-code", "--custom-architectures"),
}

_KSERVE: Names = {
    **_VLLM,
    Setting.MODEL: ("--model-id", "--model-dir"),
    Setting.SERVED_NAME: ("--model-name",),
    Setting.REVISION: ("--model-revision|--revision",),
    Setting.MAX_MODEL_LEN: ("--max-model-len|--max-length",),
    Setting.BACKEND: ("--backend",),
}

_NIM: Names = {
    Setting.MODEL: ("NIM_MODEL_PATH", "NIM_MODEL_NAME", "NIM_MODEL_PROFILE"),
    Setting.SERVED_NAME: ("NIM_SERVED_MODEL_NAME",),
    Setting.TOKENIZER_MODE: ("NIM_TOKENIZER_MODE",),
    Setting.KV_CACHE_DTYPE: ("NIM_KV_CACHE_DTYPE",),
    Setting.MAX_MODEL_LEN: ("NIM_MAX_MODEL_LEN",),
    Setting.LORA: ("NIM_PEFT_SOURCE",),
    Setting.CHAT_TEMPLATE: ("NIM_CHAT_TEMPLATE",),
    Setting.TOOL_PARSER: ("NIM_TOOL_CALL_PARSER", "NIM_ENABLE_AUTO_TOOL_CHOICE"),
    Setting.GUIDED_DECODING: ("NIM_GUIDED_DECODING_BACKEND",),
    Setting.MODEL_CODE: ("NIM_FORCE_TRUST_REMOTE_CODE",),
    Setting.OVERRIDES: ("NIM_PASSTHROUGH_ARGS",),
}

_TEI: Names = {
    Setting.MODEL: ("--model-id|MODEL_ID",),
    Setting.SERVED_NAME: ("--served-model-name|SERVED_MODEL_NAME",),
    Setting.REVISION: ("--revision|REVISION",),
    Setting.DTYPE: ("--dtype|DTYPE",),
    Setting.POOLING: ("--pooling|POOLING",),
}

NAMES: Mapping[EngineType, Names] = {
    EngineType.VLLM: _VLLM,
    EngineType.SGLANG: _SGLANG,
    EngineType.TGI: _TGI,
    EngineType.LLAMA_CPP: _LLAMA_CPP,
    EngineType.OLLAMA: _OLLAMA,
    EngineType.TENSORRT_LLM: _TENSORRT_LLM,
    EngineType.TRITON: _TRITON,
    EngineType.MAX: _MAX,
    EngineType.KSERVE: _KSERVE,
    EngineType.NIM: _NIM,
    EngineType.TEI: _TEI,
}
"""By engine; of others nothing is known."""

MODEL_FIRST = frozenset({EngineType.VLLM, EngineType.TENSORRT_LLM})
"""Engines whose first argument may be the model itself."""
SEVERAL_VALUES = frozenset(
    {"--served-model-name", "--lora-modules", "--lora-paths", "--custom-architectures"}
)
"""Arguments that take all words up to the next one."""
SWITCHES = frozenset(
    {
        "--trust-remote-code", "--enable-auto-tool-choice", "--calculate-kv-scales", "--jinja",
        "--disable-grammar-support", "--enable-structured-output",
    }
)  # fmt: skip
"""Arguments without a value, which `--no-...` turns off."""
ADDED_UP = frozenset(
    {
        "--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled", "--override-kv",
        "--load-model", "--backend-config", "--model-repository", "--model-store",
        "--custom-architectures", "--weight-path",
    }
)  # fmt: skip
"""Arguments that may be given several times, and all count; of others the last one does."""
NAMED_ALWAYS = frozenset({"--disable-grammar-support"})
"""Main arguments whose value says nothing without their name."""
OF_FILES = ("--config", "--config-file", "--extra-llm-api-options", "--models-preset")
"""Arguments that name a file in which anything may stand."""
