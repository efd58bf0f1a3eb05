"""The Open Inference Protocol (KServe v2): Triton and KServe.

Triton's models and their versions are in its repository's index, which is a POST by design and
changes nothing. Of each model's configuration a digest is kept, of what says how it computes and
not of where: devices and numbers of instances are another's affair.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from sidelight_contract.identity import Setting
from sidelight_sidecar.observer.identity.questions import Question, read_version
from sidelight_sidecar.observer.identity.told import Told, canonical, fields, items, text

MAX_VERSIONS = 24
"""Models whose versions are told, so that there is room for the rest."""
MAX_CONFIGS = 8
"""Models whose configuration is asked for; an ensemble for one LLM has four or five."""
_COMPUTES = (
    "backend", "platform", "parameters", "input", "output", "ensemble_scheduling",
    "default_model_filename", "max_batch_size", "optimization", "model_transaction_policy",
)  # fmt: skip


def read_index(answer: Any, told: Told) -> None:
    """The models that are ready, and which of their versions."""
    versions: dict[str, list[str]] = {}
    for entry in map(fields, items(answer)):
        name = text(entry.get("name"))
        if name and entry.get("state", "READY") == "READY":
            versions.setdefault(name, []).append(text(entry.get("version")))
    for name in sorted(versions):
        told.model(name)
    for name in sorted(versions)[:MAX_VERSIONS]:
        told.setting(
            f"{Setting.MODEL_VERSIONS}:{name}", ",".join(sorted(filter(None, versions[name])))
        )


def read_config(answer: Any, told: Told) -> None:
    """How a model computes."""
    config = fields(answer)
    name = text(config.get("name"))
    parts = {part: config[part] for part in _COMPUTES if config.get(part)}
    if name and parts:
        told.setting(f"{Setting.MODEL_CONFIG}:{name}", canonical(parts))


def config_questions(told: Told) -> Sequence[Question]:
    """Each model's configuration."""
    return [
        Question(f"/v2/models/{quote(name, safe='')}/config", read_config, quiet=True)
        for name in told.names[:MAX_CONFIGS]
    ]


def read_names(answer: Any, told: Told) -> None:
    """KServe's list."""
    for name in items(fields(answer).get("models")):
        told.model(name)


SERVER = Question("/v2", read_version)
INDEX = Question("/v2/repository/index", read_index, body=b"{}", then=config_questions)
NAMES = Question("/v2/models", read_names)
"""KServe's own."""
