"""Runtime identity: what an engine tells of itself, so that pods which should be the same can be
held against each other.

Rules:
1. Only what changes an answer is in it, and nothing that differs between healthy siblings (a
   port, a node, a cache's size).
2. Nothing of it is a payload: names, numbers, and digests of files, tokenizer and template.
3. Bounded by the constants below; what is longer is cut where it is read. What the engine does not
   tell is empty, which is never a difference.
"""

from enum import StrEnum

import msgspec

MAX_MODELS = 64
"""Served names, adapters among them; more are not told."""
MAX_NAME = 128
MAX_ADAPTERS = 16
"""Adapters of one engine that have figures of their own: the first with requests."""
MAX_SETTINGS = 40
MAX_SETTING = 256
"""Characters of a value; a longer one stands as its digest."""


class WeightsFrom(StrEnum):
    """Where a digest of weights comes from."""

    FILES = "files"
    """Configuration, and sizes or headers of the weight files, as the sidecar read them."""
    ENGINE = "engine"
    """The engine's own word, such as a revision or a digest."""


class Setting(StrEnum):
    """Names of `settings`, whoever tells them: the engine, or its arguments and environment."""

    MODEL = "model"
    """Where the weights come from: a path, a repository, a reference."""
    SERVED_NAME = "served_name"
    REVISION = "revision"
    TOKENIZER = "tokenizer"
    TOKENIZER_REVISION = "tokenizer_revision"
    TOKENIZER_MODE = "tokenizer_mode"
    DTYPE = "dtype"
    QUANTIZATION = "quantization"
    KV_CACHE_DTYPE = "kv_cache_dtype"
    MAX_MODEL_LEN = "max_model_len"
    """Tokens of prompt and output together, of one request."""
    MAX_OUTPUT_LEN = "max_output_len"
    """Tokens of output where a request does not say."""
    LORA = "lora"
    """Adapters that it starts with."""
    CHAT_TEMPLATE = "chat_template"
    TOOL_PARSER = "tool_parser"
    REASONING_PARSER = "reasoning_parser"
    GUIDED_DECODING = "guided_decoding"
    """What holds output to a grammar or schema."""
    SPECULATIVE = "speculative"
    """Draft model or method, and how far it drafts."""
    ROPE = "rope"
    """What stretches positions: RoPE's scaling, base, YaRN."""
    OVERRIDES = "overrides"
    """Of the model's own configuration."""
    GENERATION_CONFIG = "generation_config"
    GENERATION_OVERRIDES = "generation_overrides"
    """Of defaults for sampling."""
    SEED = "seed"
    LOAD_FORMAT = "load_format"
    MODEL_CODE = "model_code"
    """Which code runs the model: the engine's own, transformers', the repository's own."""
    BACKEND = "backend"
    """The engine under the engine, such as `pytorch` under trtllm-serve."""

    # what engines tell of themselves and no argument says in one word
    MAX_INPUT_LEN = "max_input_len"
    """Tokens of a prompt, where that has a limit of its own."""
    TRUNCATION = "truncation"
    """Whether a prompt that is too long is cut."""
    POOLING = "pooling"
    KV_SCALES = "kv_scales"
    """Whether scales of the KV cache are computed."""
    STATE_DTYPE = "state_dtype"
    """Of the states of a model that has some beside the KV cache (Mamba)."""
    NUMERICS = "numerics"
    """Switches that make results more exact, or always the same."""
    PROFILE = "profile"
    """Of several builds of the model, the one that was chosen (NIM)."""
    SAMPLING = "sampling"
    """What a request that does not say gets: `sampling.temperature` and so on."""
    MODEL_VERSIONS = "model_versions"
    """Of one model of several: `model_versions:NAME`; likewise `model_config` and, of Ollama's,
    `quantization`."""
    MODEL_CONFIG = "model_config"
    """Digest of how a model is set up to compute (Triton)."""


class ServedModel(msgspec.Struct, omit_defaults=True, frozen=True):
    """A name that the engine serves."""

    name: str
    parent: str = ""
    """The model that it is an adapter (LoRA) of; empty: it is none."""
    root: str = ""
    """Where its weights are, by the engine's word."""


class RuntimeIdentity(msgspec.Struct, omit_defaults=True):
    """What one engine told of itself."""

    read_at: float = 0.0
    """Unix seconds of the newest answer; 0: it has not been asked yet."""
    engine_version: str = ""
    models: list[ServedModel] = []
    """Sorted by name."""
    settings: dict[str, str] = {}
    """What changes outputs, by the names of `Setting` (docs/versions.md)."""
    weights: str = ""
    """A digest, `sha256:` and 64 hex digits, or the engine's own word."""
    weights_from: str = ""
    """A `WeightsFrom`."""
    weights_state: str = ""
    """What came of reading the files (a `WeightsState`); empty: nobody asked for it."""
    tokenizer: str = ""
    """Digest of the tokens that the engine's tokenizer makes of a fixed text."""
    template: str = ""
    """Digest of the engine's chat template, or of what it makes of a fixed chat."""

    def adapters(self) -> dict[str, str]:
        """The models that are adapters, each with its parent."""
        return {model.name: model.parent for model in self.models if model.parent}
