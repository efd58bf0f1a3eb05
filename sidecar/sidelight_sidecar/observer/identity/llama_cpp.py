"""llama.cpp: `/props`, `/v1/models` and `/lora-adapters`.

What a request leaves out, such as the temperature, is what the server's arguments say, so those
are settings. Adapters are mixed into the one model by a scale and have no name in requests: they
are a setting too. `/props` and `/v1/models` do not wake a server that has gone to sleep.
"""

from typing import Any

from sidelight_contract.identity import Setting
from sidelight_sidecar.observer.identity.questions import Question
from sidelight_sidecar.observer.identity.told import Told, fields, items, place, setting, text

RANDOM_SEED = 4294967295
_SAMPLING = (
    "temperature", "dynatemp_range", "top_k", "top_p", "min_p", "top_n_sigma", "typical_p",
    "xtc_probability", "repeat_last_n", "repeat_penalty", "presence_penalty", "frequency_penalty",
    "dry_multiplier", "mirostat", "n_predict", "n_keep", "ignore_eos", "reasoning_format",
    "samplers",
)  # fmt: skip
SAMPLING = {name: f"{Setting.SAMPLING}.{name}" for name in _SAMPLING}
_META = ("n_params", "size", "n_vocab", "n_embd", "n_ctx_train", "ftype")


def read_props(answer: Any, told: Told) -> None:
    """Version, file, template, context, and what a request that says nothing gets."""
    props = fields(answer)
    told.version(props.get("build_info"))
    told.template(props.get("chat_template"))
    told.asleep = props.get("is_sleeping") is True
    told.setting(Setting.QUANTIZATION, props.get("model_ftype"))
    told.model(props.get("model_alias"), root=props.get("model_path"))
    defaults = fields(props.get("default_generation_settings"))
    told.setting(Setting.MAX_MODEL_LEN, defaults.get("n_ctx"))
    sampling = dict(fields(defaults.get("params")))
    if sampling.get("seed") != RANDOM_SEED:
        told.setting(Setting.SEED, sampling.get("seed"))
    samplers = [text(name) for name in items(sampling.get("samplers"))]
    told.settings({**sampling, "samplers": ";".join(filter(None, samplers))}, SAMPLING)


def read_models(answer: Any, told: Told) -> None:
    """Names and aliases; of the one that is loaded the size and shape of its weights."""
    cards = [fields(card) for card in items(fields(answer).get("data"))]
    for card in cards:
        told.owner = told.owner or text(card.get("owned_by"))
        for name in (card.get("id"), *items(card.get("aliases"))):
            told.model(name)
    metas = [meta for card in cards if (meta := fields(card.get("meta")))]
    if len(metas) == 1:
        shape = [f"{name}={words}" for name in _META if (words := setting(metas[0].get(name)))]
        told.weights(" ".join(shape))


def read_adapters(answer: Any, told: Told) -> None:
    """Which adapters are mixed in, and how much of each."""
    mixed = []
    for adapter in map(fields, items(answer)):
        path, scale = place(adapter.get("path")), setting(adapter.get("scale"))
        if path:
            mixed.append(f"{path}={scale}")
    told.setting(Setting.LORA, ";".join(sorted(mixed)))


PROPS = Question("/props", read_props)
MODELS = Question("/v1/models", read_models)
ADAPTERS = Question("/lora-adapters", read_adapters, quiet=True)
"""Quiet: it goes through the queue of tasks."""
