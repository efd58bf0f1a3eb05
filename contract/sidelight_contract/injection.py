"""The annotation on an injected pod: what was decided, and how to take it back."""

from typing import Any

import msgspec

INJECTION_VERSION = 1


class Edit(msgspec.Struct, omit_defaults=True):
    """One change of the engine's container: the place and what stood there before."""

    path: list[str | int]
    new: Any
    old: Any = None
    existed: bool = True


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
    config_hash: str = ""
    """Names what cannot change while the pod runs; see `inject/fingerprint.py`. "" before 0.2."""
    image: str = ""
    """Image of the sidecar, as it was asked for."""
    version: int = INJECTION_VERSION


def decode_record(text: str) -> InjectionRecord | None:
    """The record in an annotation; None when it is none."""
    try:
        return msgspec.json.decode(text, type=InjectionRecord)
    except msgspec.DecodeError:
        return None
