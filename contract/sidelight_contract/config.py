"""The sidecar's configuration file: written by the controller, re-read by the sidecar on change.

Only what may change while a pod runs is here; what needs a restart (ports, mode, image) is in the
container's arguments.
"""

from typing import Annotated, Literal

import msgspec

from sidelight_contract.capture import CaptureSettings
from sidelight_contract.export import ExportSettings
from sidelight_contract.gpu import GpuSettings
from sidelight_contract.slo import SloSettings

CONFIG_VERSION = 1
MAX_CONFIG_BYTES = 64 * 1024


Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class SidecarConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Settings of one ObservedModel's sidecars. Every field has a default, so `{"version": 1}` is
    a whole configuration.

    What is as by default is left out when it is written, so that a sidecar of an older release,
    which refuses what it does not know, goes on until a field is used that it cannot obey.
    """

    version: Annotated[int, msgspec.Meta(ge=1, le=CONFIG_VERSION)]
    revision: str = ""
    """A word that names this content; the sidecar reports the one in force."""
    model: str = ""
    """Name of the ObservedModel."""
    engine: str = "Auto"
    """Type of the engine, as in `spec.engine.type`; `Auto`: as it was recognised at injection,
    which is in the container's environment (`SIDELIGHT_ENGINE`)."""
    tokenizer: Literal["Auto", "Never"] = "Auto"
    """Whether the engine's own tokenizer counts output without usage (`spec.engine.tokenizer`).
    Default Auto: it is asked off the path, seldom, and never while a request waits."""
    max_model_labels: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 32
    """Distinct values of the label `model`; further ones count as `_other`. Default 32: some 180
    series for each model and operation, so 32 stay within one scrape's usual limit."""
    window_seconds: Annotated[int, msgspec.Meta(ge=10, le=3600)] = 300
    """What `window` of the summary covers, in seconds. Default 300: the 5 minutes of the usual
    dashboards; longer shows a change later."""
    slo: SloSettings | None = None
    """By what requests are judged (`spec.slo`). Default none: nothing is judged."""
    capture: CaptureSettings = CaptureSettings()
    """Which exchanges become records, and what of their payload (`spec.capture`)."""
    export: ExportSettings = ExportSettings()
    """Where records go (`spec.export`). Default nowhere: then there are none."""
    gpu: GpuSettings = GpuSettings()
    """Who tells of the engine's devices (`spec.gpu`)."""
    summary_tokens: Annotated[list[Sha256], msgspec.Meta(max_length=4)] = []
    """SHA-256 of the tokens that `/summary` accepts: two while the key is changed. Default none:
    then it is answered to nobody but this machine, or to whom `--token-file` says."""


class ConfigError(ValueError):
    """A configuration that is not used; the message says where it is wrong and what is allowed."""


_decoder = msgspec.json.Decoder(SidecarConfig)


def decode_config(body: bytes) -> SidecarConfig:
    """The configuration in `body`.

    Raises:
        ConfigError: not JSON, an unknown field, or a value out of range.
    """
    if len(body) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{len(body)} bytes; at most {MAX_CONFIG_BYTES} are read")
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise ConfigError(str(error)) from error


def encode_config(config: SidecarConfig) -> bytes:
    """`config` as JSON, keys in a fixed order."""
    return msgspec.json.encode(config, order="deterministic")
