"""A tap as it is attached to a pod."""

from injection_world import SETTINGS

from sidelight_contract.injection import InjectionRecord
from sidelight_operator.inject import NamespaceFacts
from sidelight_operator.inject.tap import ephemeral_tap

RECORD = InjectionRecord(
    release="0.1.0", model="chat", mode="Tap", mode_reason="AttachedToRunningPod",
    mode_message="m", engine="LlamaCpp", container="server", port=8080,
)  # fmt: skip
CONTAINER = ephemeral_tap(
    SETTINGS, RECORD, NamespaceFacts(), config='{"version":1}', token_sha256="ab", lease_seconds=60
)
