"""`spec.gpu`: who tells of the devices that the engine has."""

from pydantic import ConfigDict, Field

from sidelight_contract.gpu import GpuSource
from sidelight_contract.resource import Resource, cel


class Nvml(Resource):
    """How the sidecar gets to the driver's library."""

    claim: str = Field(
        default="",
        max_length=63,
        pattern="^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$",
        description="Entry of the pod's `resourceClaims` (dynamic resource allocation) that the "
        "sidecar shares with the engine. Empty (default): those that the engine's container names.",
    )
    unsafe_visible_all: bool = Field(
        default=False,
        description="Let the sidecar see every GPU of the node, past the scheduler's account, by "
        "the pod's `runtimeClassName` (docs/gpu.md says what that opens). It must be allowed in "
        "the chart, too: `gpu.allowUnsafeVisibleAll`. Default false.",
    )


class Gpu(Resource):
    """Where figures of GPUs come from."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "self.source == 'NVML' || (self.nvml.claim == '' && !self.nvml.unsafeVisibleAll)",
                "gpu.nvml needs gpu.source NVML: no other source goes through the driver",
            )
        )
    )

    source: GpuSource = Field(
        default=GpuSource.AUTO,
        description="Auto (default): NVIDIA's dcgm-exporter on the pod's node, else AMD's "
        "device-metrics-exporter, else none; nothing in the pod changes. NVML: the driver's "
        "library in the sidecar, ten times a second, through a device claim that it shares with "
        "the engine. DCGM, AMD: that exporter alone. None: no figures of GPUs.",
    )
    nvml: Nvml = Field(default_factory=Nvml, description="For `source: NVML`.")
