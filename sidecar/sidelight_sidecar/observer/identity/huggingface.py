"""Hugging Face's servers, TGI and TEI: `/info`.

TGI 3 says no type of numbers, TGI 1 called the longest prompt `max_input_length`, as TEI does.
"""

from typing import Any

from sidelight_contract.identity import Setting
from sidelight_sidecar.observer.identity.questions import Question
from sidelight_sidecar.observer.identity.told import Told, fields

SETTINGS = {
    "model_dtype": Setting.DTYPE,
    "model_pooling": Setting.POOLING,
    "max_input_tokens": Setting.MAX_INPUT_LEN,
    "max_input_length": Setting.MAX_INPUT_LEN,
    "max_total_tokens": Setting.MAX_MODEL_LEN,
    "auto_truncate": Setting.TRUNCATION,
}


def read_info(answer: Any, told: Told) -> None:
    """Model, revision, version, type of numbers and limits."""
    info = fields(answer)
    told.version(info.get("version"))
    told.model(info.get("model_id"), root=info.get("model_id"))
    told.weights(info.get("model_sha"))
    told.settings(info, SETTINGS)
    embedding = fields(fields(info.get("model_type")).get("embedding"))
    told.setting(Setting.POOLING, embedding.get("pooling"))


INFO = Question("/info", read_info)
