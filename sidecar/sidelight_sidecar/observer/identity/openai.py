"""`GET /v1/models`, as OpenAI has it and most engines extend it.

vLLM and SGLang add `root` and `max_model_len`, and for an adapter `parent`; `owned_by` is the
engine's own name: `vllm`, `sglang`, `llamacpp`, `tensorrt_llm`; of Ollama a model's namespace.
"""

from typing import Any

from sidelight_contract.identity import Setting
from sidelight_sidecar.observer.identity.questions import Question
from sidelight_sidecar.observer.identity.told import Told, fields, items, text


def read_models(answer: Any, told: Told) -> None:
    """Names, parents, roots, and how long a context may be."""
    for card in map(fields, items(fields(answer).get("data"))):
        told.model(card.get("id"), parent=card.get("parent"), root=card.get("root"))
        told.owner = told.owner or text(card.get("owned_by"))
        if not card.get("parent"):
            told.setting(Setting.MAX_MODEL_LEN, card.get("max_model_len"))


MODELS = Question("/v1/models", read_models)
