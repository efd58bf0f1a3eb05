"""NVIDIA NIM: `/v1/version` and `/v1/metadata` beside what its engine serves.

The profile is the build that was selected for the GPU: precision, quantisation and parallelism.
"""

from typing import Any

from sidelight_contract.identity import Setting
from sidelight_sidecar.observer.identity.questions import Question
from sidelight_sidecar.observer.identity.told import Told, fields, items, place


def read_release(answer: Any, told: Told) -> None:
    """Release of the microservice."""
    told.version(fields(answer).get("release"))


def read_metadata(answer: Any, told: Told) -> None:
    """Which artifacts it serves, and in which profile."""
    metadata = fields(answer)
    told.version(metadata.get("version"))
    told.setting(Setting.PROFILE, metadata.get("selectedModelProfileId"))
    artifacts = [
        place(model.get("shortName")) or place(model.get("modelUrl"))
        for model in map(fields, items(metadata.get("modelInfo")))
    ]
    told.weights(" ".join(sorted(filter(None, artifacts))))


RELEASE = Question("/v1/version", read_release)
METADATA = Question("/v1/metadata", read_metadata)
