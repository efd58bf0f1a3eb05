"""Ollama: `/api/version` and `/api/tags`.

A model's digest is that of its manifest: weights, template, parameters and adapter are all in it.
What is loaded at the moment (`/api/ps`) differs in healthy siblings and is not asked for.
"""

from typing import Any

from sidelight_contract.identity import Setting
from sidelight_sidecar.observer.identity.questions import Question, read_version
from sidelight_sidecar.observer.identity.told import Told, canonical, fields, items, text


def read_tags(answer: Any, told: Told) -> None:
    """The models that are there, each with its digest."""
    digests = {}
    tags = {}
    for tag in map(fields, items(fields(answer).get("models"))):
        if name := text(tag.get("model")) or text(tag.get("name")):
            tags[name] = tag
    for name, tag in sorted(tags.items()):  # they come in the order in which they were pulled
        told.model(name, root=tag.get("digest"))
        level = fields(tag.get("details")).get("quantization_level")
        told.setting(f"{Setting.QUANTIZATION}:{name}", level)
        if words := text(tag.get("digest")):
            digests[name] = words
    if digests:
        told.weights(next(iter(digests.values())) if len(digests) == 1 else canonical(digests))


VERSION = Question("/api/version", read_version)
TAGS = Question("/api/tags", read_tags)
