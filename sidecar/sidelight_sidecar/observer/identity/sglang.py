"""SGLang: `/server_info` has every argument of the server, keys and passwords among them; only
those named here are looked at.

Speculative decoding gives the same distribution, so it is left out; but for the two thresholds with
which, below 1, it does not. Seeds and ports are different in healthy siblings, attention kernels
differ in rounding alone.
"""

import re
from typing import Any

from sidelight_contract.identity import Setting
from sidelight_sidecar.observer.identity.questions import Question
from sidelight_sidecar.observer.identity.told import Told, fields, text

SETTINGS = {
    "dtype": Setting.DTYPE,
    "quantization": Setting.QUANTIZATION,
    "kv_cache_dtype": Setting.KV_CACHE_DTYPE,
    "quantization_param_path": Setting.KV_SCALES,
    "mamba_ssm_dtype": Setting.STATE_DTYPE,
    "revision": Setting.REVISION,
    "load_format": Setting.LOAD_FORMAT,
    "model_impl": Setting.MODEL_CODE,
    "json_model_override_args": Setting.OVERRIDES,
    "tokenizer_path": Setting.TOKENIZER,
    "tokenizer_mode": Setting.TOKENIZER_MODE,
    "chat_template": Setting.CHAT_TEMPLATE,
    "preferred_sampling_params": Setting.GENERATION_OVERRIDES,
    "sampling_defaults": Setting.GENERATION_CONFIG,
    "reasoning_parser": Setting.REASONING_PARSER,
    "tool_call_parser": Setting.TOOL_PARSER,
    "grammar_backend": Setting.GUIDED_DECODING,
    "allow_auto_truncate": Setting.TRUNCATION,
}
NUMERICS = (
    "enable_deterministic_inference", "enable_fp32_lm_head", "triton_attention_reduce_in_fp32",
    "rl_on_policy_target", "torchao_config",
)  # fmt: skip
THRESHOLDS = ("speculative_accept_threshold_single", "speculative_accept_threshold_acc")
_COMMIT = re.compile("[0-9a-f]{40}")


def read_server(answer: Any, told: Told) -> None:
    """Its version and what of its arguments changes outputs."""
    info = fields(answer)
    told.version(info.get("version"))
    arguments = fields(info.get("server_args")) or info
    told.settings(arguments, SETTINGS)
    on = [name for name in NUMERICS if arguments.get(name)]
    told.setting(Setting.NUMERICS, ";".join(on))
    below = [name for name in THRESHOLDS if _below_one(arguments.get(name))]
    told.setting(
        Setting.SPECULATIVE, ";".join(f"{name}={float(arguments[name]):g}" for name in below)
    )
    revision, loaded = text(arguments.get("revision")), text(arguments.get("weight_version"))
    if loaded and loaded != "default":
        told.weights(loaded)
    elif _COMMIT.fullmatch(revision):
        told.weights(revision)


def _below_one(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


SERVER = Question("/server_info", read_server, older="/get_server_info", quiet=True)
"""Quiet: the schedulers are asked for their state."""
