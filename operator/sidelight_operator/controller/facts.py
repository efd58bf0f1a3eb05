"""What is known of one engine: what its pod declares, what it told itself, and what image it is.

Two pods are only held against each other in what comes from the same source: an argument and the
engine's own word for the same setting need not be the same text. Of an engine that takes in models
while it runs, each model is one fact, and which there are is none: pods may be asked for others, or
have told at another time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from sidelight_contract.engines import EngineType
from sidelight_contract.identity import MAX_MODELS, RuntimeIdentity
from sidelight_contract.summary import Summary
from sidelight_operator.controller.declared import Declared
from sidelight_operator.controller.pods import PodView

_SEVERAL_MODELS = frozenset({EngineType.OLLAMA, EngineType.TRITON})
DEFAULT = ""
"""The value of a setting that a pod leaves to its engine."""
IMAGE = "image"
ENGINE = "engine"
ENGINE_VERSION = "engine version"
MODELS = "models"
WEIGHTS = "weights"
TOKENIZER = "tokenizer fingerprint"
TEMPLATE = "template fingerprint"

Member = tuple[PodView, Summary]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of engines that are alike in all of it; what is not known is in neither."""

    engine: str
    declared: Mapping[str, str]
    """By name of a setting; `DEFAULT` where it is certainly the engine's own."""
    told: Mapping[str, str]
    """By name of a setting, or of one of the above; never empty."""
    pods: tuple[PodView, ...]
    identity: RuntimeIdentity
    asked: bool
    """Whether the engines have been asked about themselves, and answered."""


def facts_of(members: Iterable[Member]) -> list[Facts]:
    """Those of pods, alike ones together: of five thousand there are a few."""
    groups: dict[tuple[str, str, Declared, bytes], list[Member]] = {}
    for pod, summary in members:
        identity = summary.sidecar.identity
        told = msgspec.structs.replace(identity, read_at=float(identity.read_at > 0))
        key = (pod.injection.engine, pod.image_digest, pod.declared, msgspec.json.encode(told))
        groups.setdefault(key, []).append((pod, summary))
    return [_facts(group) for group in groups.values()]


def _facts(group: list[Member]) -> Facts:
    pod, summary = group[0]
    identity = summary.sidecar.identity
    return Facts(
        engine=pod.injection.engine,
        declared=dict(pod.declared.settings) | dict.fromkeys(pod.declared.by_default, DEFAULT),
        told=dict(_told(pod, identity)),
        pods=tuple(member for member, _ in group),
        identity=identity,
        asked=identity.read_at > 0,
    )


def _told(pod: PodView, identity: RuntimeIdentity) -> Iterator[tuple[str, str]]:
    several = pod.injection.engine in _SEVERAL_MODELS
    found = {
        IMAGE: pod.image_digest,
        ENGINE: pod.injection.engine,
        ENGINE_VERSION: identity.engine_version,
        TOKENIZER: identity.tokenizer,
        TEMPLATE: identity.template,
        # Files and the engine's own word are two things.
        weights_from(identity.weights_from): "" if several else identity.weights,
        MODELS: "" if several else _models(identity),
        **identity.settings,
    }
    for model in identity.models:
        found[root_of(model.name)] = model.root
    return ((name, value) for name, value in found.items() if value)


def weights_from(source: str) -> str:
    """Name of the fact what the weights are, by this source."""
    return f"{WEIGHTS} ({source})" if source else WEIGHTS


def root_of(model: str) -> str:
    """Name of the fact where a served model's weights are."""
    return f"root of {model}"


def _models(identity: RuntimeIdentity) -> str:
    """The names that are served, adapters left out, which are versions of their own and come and
    go; empty where more are served than are told.
    """
    if len(identity.models) >= MAX_MODELS:
        return ""
    return ", ".join(sorted(model.name for model in identity.models if not model.parent))
