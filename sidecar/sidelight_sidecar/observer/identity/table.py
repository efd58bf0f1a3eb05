"""Which engine is asked what, in this order. `docs/versions.md` shows it; a test compares."""

from collections.abc import Sequence

from sidelight_contract.engines import EngineType
from sidelight_sidecar.observer.engine import signal_table
from sidelight_sidecar.observer.identity import (
    huggingface,
    inference_protocol,
    llama_cpp,
    nim,
    ollama,
    openai,
    sglang,
)
from sidelight_sidecar.observer.identity.questions import VERSION, Question
from sidelight_sidecar.observer.identity.told import Told

_TYPE = EngineType
QUESTIONS: dict[EngineType, tuple[Question, ...]] = {
    _TYPE.VLLM: (VERSION, openai.MODELS),
    _TYPE.SGLANG: (openai.MODELS, sglang.SERVER),
    _TYPE.TGI: (huggingface.INFO,),
    _TYPE.TEI: (huggingface.INFO,),
    _TYPE.LLAMA_CPP: (llama_cpp.PROPS, llama_cpp.MODELS, llama_cpp.ADAPTERS),
    _TYPE.OLLAMA: (ollama.VERSION, ollama.TAGS),
    _TYPE.TRITON: (inference_protocol.SERVER, inference_protocol.INDEX),
    _TYPE.KSERVE: (
        inference_protocol.SERVER,
        inference_protocol.NAMES,
        openai.MODELS._replace(path="/openai/v1/models"),
    ),
    _TYPE.TENSORRT_LLM: (VERSION, openai.MODELS),
    _TYPE.MAX: (VERSION, openai.MODELS),
    _TYPE.NIM: (nim.RELEASE, openai.MODELS, nim.METADATA),
    _TYPE.HAYHOOKS: (openai.MODELS,),
    _TYPE.GENERIC: (openai.MODELS,),
}

OWNERS = {
    "vllm": _TYPE.VLLM,
    "sglang": _TYPE.SGLANG,
    "llamacpp": _TYPE.LLAMA_CPP,
    "tensorrt_llm": _TYPE.TENSORRT_LLM,
    "library": _TYPE.OLLAMA,
}
"""Engines by what they say of their models (`owned_by`)."""

SPEAKERS = {
    signal_table.VLLM: _TYPE.VLLM,
    signal_table.SGLANG: _TYPE.SGLANG,
    signal_table.TENSORRT_LLM: _TYPE.TENSORRT_LLM,
    signal_table.TGI: _TYPE.TGI,
    signal_table.LLAMA_CPP: _TYPE.LLAMA_CPP,
    signal_table.MAX: _TYPE.MAX,
    signal_table.TRITON: _TYPE.TRITON,
    signal_table.NIM: _TYPE.NIM,
}
"""Engines by the names in their metrics."""


def engine_of(configured: str, speaks: str, owner: str) -> EngineType:
    """The engine's type: as it was configured or recognised, else as it speaks of itself; Auto
    while that is not known.
    """
    try:
        known = EngineType(configured)
    except ValueError:
        known = EngineType.AUTO
    if known is not EngineType.AUTO:
        return known
    return SPEAKERS.get(speaks) or OWNERS.get(owner) or EngineType.AUTO


def first_questions(engine: EngineType) -> Sequence[Question]:
    """What an engine of this type is asked; of an unknown one, its models, which may tell it."""
    if engine is EngineType.AUTO:
        return (openai.MODELS._replace(then=_of_owner),)
    return QUESTIONS[engine]


def _of_owner(told: Told) -> Sequence[Question]:
    owner = OWNERS.get(told.owner)
    if owner is None:
        return ()
    return [question for question in QUESTIONS[owner] if question != openai.MODELS]
