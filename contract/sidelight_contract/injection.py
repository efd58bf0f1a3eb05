"""The annotation on an injected pod: what was decided, and how to take it back."""

from typing import Any

import msgspec

from sidelight_contract.names import ADMIN_PORT

INJECTION_VERSION = 1


class Edit(msgspec.Struct, omit_defaults=True):
    """One change of a container: the place and what stood there before. A word in the path of a
    list is the `name` of its element.
    """

    path: list[str | int]
    new: Any
    old: Any = None
    existed: bool = True
    container: str = ""
    """Name of the container that was changed; empty: the engine's."""


class InjectionRecord(msgspec.Struct, rename="camel", omit_defaults=True):
    """What `inject` did to a pod."""

    release: str
    """Sidelight's version."""
    model: str
    """Name of the ObservedModel."""
    mode: str
    mode_reason: str
    mode_message: str
    engine: str
    container: str
    port: int
    """The port on which the engine is reached."""
    edits: list[Edit] = []
    more_ports: list[int] = []
    """Further ports of the engine that lead through the sidecar."""
    admin_port: int = ADMIN_PORT
    """Where the sidecar serves its metrics and summary."""
    pull_secrets: list[str] = []
    """Names that were added to the pod's `imagePullSecrets`."""
    config_hash: str = ""
    """Names what cannot change while the pod runs; see `inject/fingerprint.py`. "" before 0.2."""
    image: str = ""
    """Image of the sidecar, as it was asked for."""
    previous_image: str = ""
    """Image of before, when it was changed while the pod ran (`rollout.inPlace`)."""
    weights: str = ""
    """Where `spec.version.readWeights` asks: why the model's files are not mounted (a
    `WeightsState`), or empty."""
    weights_message: str = ""
    """The same in a sentence, or what is mounted."""
    gpu: str = ""
    """Where `spec.gpu.source` is NVML: why the sidecar gets to no driver (a `Reason`), or empty."""
    gpu_message: str = ""
    """The same in a sentence, or by what it may."""
    version: int = INJECTION_VERSION


def decode_record(text: str) -> InjectionRecord | None:
    """The record in an annotation; None when it is none."""
    try:
        return msgspec.json.decode(text, type=InjectionRecord)
    except msgspec.DecodeError:
        return None
