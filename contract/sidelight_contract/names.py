"""Every name that more than one part of Sidelight uses: change one here and nowhere else.

Standard library only, so that even the smallest program may import it.
"""

from enum import StrEnum
from typing import NamedTuple

GROUP = "sidelight.dev"
API_VERSION = "v1alpha1"
KIND = "ObservedModel"
PLURAL = "observedmodels"
SINGULAR = "observedmodel"
SHORT_NAME = "om"

# --- labels and annotations on pods and on what the controller makes ---------------------------
LABEL_INJECTED = "sidelight.dev/injected"
"""`"true"` on every pod that carries a sidecar: what the controller and the PodMonitor select."""
LABEL_MODEL = "sidelight.dev/model"
"""The ObservedModel's name: on injected pods, and on the ConfigMap made for it."""
LABEL_INJECT = "sidelight.dev/inject"
"""Set to `"false"` on a pod by its owner: this pod is never injected."""
LABEL_VERSION = "sidelight.dev/version"
"""The model version a pod serves, in its owner's words; first choice of `spec.version.labels`."""
ANNOTATION_INJECTION = "sidelight.dev/injection"
"""On injected pods: what was decided and why (JSON, see `InjectionRecord` in `injection.py`)."""
ANNOTATION_RESTARTED = "sidelight.dev/restarted-for"
"""On pod templates that `rollout.policy: WhenOutdated` restarts: a word for what it was done for,
so that it is done once."""
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "sidelight"

# --- names inside an injected pod ----------------------------------------------------------------
SIDECAR_CONTAINER = "sidelight"
INIT_CONTAINER = "sidelight-init"
TAP_CONTAINER = "sidelight-tap"
"""The ephemeral container that observes a pod which was running already."""
CONFIG_VOLUME = "sidelight-config"
CONFIG_DIRECTORY = "/etc/sidelight/config"
CONFIG_FILE = "/etc/sidelight/config/config.json"
CONFIG_KEY = "config.json"
ADMIN_PORT_NAME = "sidelight"
POD_IP_VARIABLE = "SIDELIGHT_POD_IP"
"""Tells a tap its pod's address, and so which interface it is to read."""
TAP_CONFIG_VARIABLE = "SIDELIGHT_CONFIG"
"""An attached tap's configuration: an ephemeral container can mount no ConfigMap."""
TAP_RECORD_VARIABLE = "SIDELIGHT_INJECTION"
"""An attached tap's `InjectionRecord`: the annotation of a pod that runs is left alone."""
WEIGHTS_VARIABLE = "SIDELIGHT_WEIGHTS"
"""Tells the sidecar where the model's files are (JSON, see `WeightsPlan` in `weights.py`)."""
GPU_CLAIM_VARIABLE = "SIDELIGHT_GPU_CLAIM"
"""The sidecar sees its pod's devices alone, by a claim, whatever the configuration (which all pods
of a model share) allows others to see. `shared`: the claim is the pod's own."""
CLAIM_OF_MANY = "of-many"
"""Of `GPU_CLAIM_VARIABLE`: it is a claim by name, which other pods may have, too."""
GPU_UUIDS_VARIABLE = "SIDELIGHT_GPU_UUIDS"
"""Tells the sidecar which devices are its pod's, where it may see all of the node's and the pod's
spec has their UUIDs; with commas between."""
WEIGHTS_DIRECTORY = "/sidelight/weights"
"""Where the sidecar has the engine's mount that holds them."""

# --- ports in an injected pod --------------------------------------------------------------------
RELAY_PORT = 15001
"""Where redirected connections arrive."""
LIVENESS_PORT = 15008
"""Redirected in the kernel to the engine's port, around the relay (mode Redirect)."""
ADMIN_PORT = 15020
"""/metrics, /healthz, /readyz, /summary of the sidecar."""
TAKEOVER_PORT = 15080
"""Where the engine listens after PortTakeover moved it."""
ENGINE_SPANS_PORT = 15418
"""Where the sidecar takes the engine's own spans: on loopback alone, and where a sink asks for them
(beside a mesh, too)."""
ENGINE_SPANS_VARIABLE = "SIDELIGHT_ENGINE_SPANS_PORT"
"""Tells the sidecar of a pod that has this port in use itself to leave it alone (`0`)."""
RESERVED_PORTS = frozenset(
    {RELAY_PORT, LIVENESS_PORT, ADMIN_PORT, TAKEOVER_PORT, ENGINE_SPANS_PORT}
)
MAX_ENGINE_PORTS = 8
"""Ports of one engine; their ways around the relay are LIVENESS_PORT and the seven after it."""


class OwnPorts(NamedTuple):
    """The ports that Sidelight uses in one pod."""

    relay: int
    liveness: int
    admin: int
    takeover: int


OWN_PORTS = OwnPorts(RELAY_PORT, LIVENESS_PORT, ADMIN_PORT, TAKEOVER_PORT)
OWN_PORTS_BESIDE_MESH = OwnPorts(15401, 15408, 15420, 15480)
"""Istio and its like listen on 15001, 15008 and 15020 in the same network namespace."""


def config_name(model: str) -> str:
    """Name of the ConfigMap that the controller keeps for an ObservedModel."""
    return f"sidelight-{model}"


class ConditionType(StrEnum):
    """Conditions in an ObservedModel's status."""

    READY = "Ready"
    """All of the below that apply are true."""
    INJECTED = "Injected"
    """Every selected pod carries a sidecar."""
    TRAFFIC_OBSERVED = "TrafficObserved"
    """At least one request was seen by a sidecar of a pod that now exists."""
    BREAKER_OPEN = "BreakerOpen"
    """Sidelight stays out of a workload whose pods did not start because of it."""
    UP_TO_DATE = "UpToDate"
    """Every selected pod carries the sidecar that it would be given today."""
    METRICS_AGREE = "MetricsAgree"
    """The sidecars' figures and the engines' own metrics say the same."""
    SLO_MET = "SLOMet"
    """Over the last 24 hours no more requests were bad than `spec.slo` allows."""
    VERSION_CONSISTENT = "VersionConsistent"
    """The pods of each version are alike in all that is known of their engines."""
    VERDICT = "Verdict"
    """The candidate version is as good as the baseline: True to promote, False to roll back."""
    CAPTURED = "Captured"
    """Requests become records as `spec.capture` asks, with the payloads that it asks for."""
    EXPORTED = "Exported"
    """Every record reaches every sink of `spec.export`."""
    GPU_VISIBLE = "GPUVisible"
    """What the GPUs of the observed pods do is known."""
    GPU_HEALTHY = "GPUHealthy"
    """No GPU of the observed pods has an error, or is throttled by heat."""


class Reason(StrEnum):
    """Why something is as it is: one word, the same in logs, Events, metrics and status.

    `docs/reasons.md` has a row for each; a test says so.
    """

    # the webhook's and `sidelight inject`'s answers
    INJECTED = "Injected"
    NO_MODEL_MATCHES = "NoModelMatches"
    SEVERAL_MODELS_MATCH = "SeveralModelsMatch"
    OPTED_OUT = "OptedOut"
    HOST_NETWORK = "HostNetwork"
    ENGINE_UNKNOWN = "EngineUnknown"
    ENGINE_CONTAINER_NOT_FOUND = "EngineContainerNotFound"
    PORT_UNKNOWN = "PortUnknown"
    PORT_NOT_FOUND = "PortNotFound"
    PORT_RESERVED = "PortReserved"
    NAME_TAKEN = "NameTaken"
    PRIVILEGE_NOT_ALLOWED = "PrivilegeNotAllowed"
    PORT_NOT_MOVABLE = "PortNotMovable"
    PROBE_NOT_SUPPORTED = "ProbeNotSupported"
    UNSUPPORTED_POD = "UnsupportedPod"
    POD_FILTERED = "PodFiltered"
    NO_INFERENCE_API = "NoInferenceAPI"
    PORT_NOT_NAMED = "PortNotNamed"
    ENGINE_ON_LOOPBACK = "EngineOnLoopback"
    ENGINE_BEHIND_PROXY = "EngineBehindProxy"
    MESH_IN_POD = "MeshInPod"
    JOB_WOULD_NOT_END = "JobWouldNotEnd"
    LIMITS_TOO_LOW = "LimitsTooLow"
    POD_LEVEL_RESOURCES = "PodLevelResources"
    INJECTION_FAILED = "InjectionFailed"
    BREAKER_OPEN = "BreakerOpen"

    # why a mode was chosen
    MODE_REQUESTED = "ModeRequested"
    REDIRECT_ALLOWED = "RedirectAllowed"
    POD_SECURITY_FORBIDS_REDIRECT = "PodSecurityForbidsRedirect"
    MESH_FORBIDS_REDIRECT = "MeshForbidsRedirect"
    PROXY_FORBIDS_REDIRECT = "ProxyForbidsRedirect"
    LOOPBACK_FORBIDS_REDIRECT = "LoopbackForbidsRedirect"
    ONLY_NAMED_PORT_POSSIBLE = "OnlyNamedPortPossible"

    # why a selected pod is not observed
    CREATED_BEFORE_MODEL = "CreatedBeforeModel"
    WEBHOOK_MISSED = "WebhookMissed"
    BELONGS_TO_OTHER_MODEL = "BelongsToOtherModel"
    POD_NOT_RUNNING = "PodNotRunning"
    SIDECAR_NOT_READY = "SidecarNotReady"
    SIDECAR_UNREACHABLE = "SidecarUnreachable"
    SIDECAR_REFUSED_TOKEN = "SidecarRefusedToken"  # noqa: S105 - a reason
    SUMMARY_NOT_UNDERSTOOD = "SummaryNotUnderstood"

    # live attach: why a tap is there, and why a running pod has none (yet)
    ATTACHED_TO_RUNNING_POD = "AttachedToRunningPod"
    ATTACH_PENDING = "AttachPending"
    ATTACH_REFUSED = "AttachRefused"
    ATTACH_HALTED = "AttachHalted"
    TAP_STARTING = "TapStarting"
    TAP_ENDED = "TapEnded"

    # conditions
    ALL_PODS_OBSERVED = "AllPodsObserved"
    CONFIG_REFUSED = "ConfigRefused"
    SOME_PODS_NOT_OBSERVED = "SomePodsNotObserved"
    NO_PODS_SELECTED = "NoPodsSelected"
    ALL_PODS_INJECTED = "AllPodsInjected"
    SOME_PODS_NOT_INJECTED = "SomePodsNotInjected"
    REQUESTS_SEEN = "RequestsSeen"
    NO_REQUESTS_YET = "NoRequestsYet"
    NO_SIDECAR_ANSWERED = "NoSidecarAnswered"
    SPEC_NOT_UNDERSTOOD = "SpecNotUnderstood"
    CONFIG_NOT_WRITTEN = "ConfigNotWritten"
    BREAKER_CLOSED = "BreakerClosed"

    # pods that are not as they would be made today
    ALL_PODS_UP_TO_DATE = "AllPodsUpToDate"
    PODS_OUTDATED = "PodsOutdated"
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"
    ROLLOUT_WAITS = "RolloutWaits"
    ROLLOUT_NOT_SUPPORTED = "RolloutNotSupported"
    ROLLOUT_DID_NOT_HELP = "RolloutDidNotHelp"
    ROLLOUT_FORBIDDEN = "RolloutForbidden"
    WORKLOAD_RESTARTED = "WorkloadRestarted"
    SIDECAR_IMAGE_CHANGED = "SidecarImageChanged"
    SIDECAR_IMAGE_RESTORED = "SidecarImageRestored"

    # whether the sidecars' figures and the engines' own agree
    FIGURES_AGREE = "FiguresAgree"
    NOTHING_COMPARED = "NothingCompared"
    ENGINE_TELLS_NOTHING = "EngineTellsNothing"
    NOT_THROUGH_SIDECAR = "NotThroughSidecar"
    NOT_OBSERVED = "NotObserved"
    ENGINE_RAN_ON = "EngineRanOn"
    CACHED_NOT_COUNTED = "CachedNotCounted"
    ENGINE_COUNTS_LESS = "EngineCountsLess"
    TIMES_DIFFER = "TimesDiffer"

    # whether the pods of one version are one thing
    PODS_ALIKE = "PodsAlike"
    PODS_DIFFER = "PodsDiffer"

    # whether spec.slo is kept to
    SLO_MET = "SLOMet"
    ERROR_BUDGET_SPENT = "ErrorBudgetSpent"
    TOO_FEW_JUDGED = "TooFewJudged"
    NOTHING_JUDGED = "NothingJudged"

    # what a comparison of two versions has come to
    PROMOTE = "Promote"
    HOLD = "Hold"
    ROLLBACK = "Rollback"
    NEED_MORE_DATA = "NeedMoreData"

    # what becomes of records
    METADATA_ONLY = "MetadataOnly"
    PAYLOADS_REDACTED = "PayloadsRedacted"
    PAYLOADS_FULL = "PayloadsFull"
    FULL_NOT_ALLOWED = "FullNotAllowed"
    REDACTION_REFUSED = "RedactionRefused"
    RECORDS_DELIVERED = "RecordsDelivered"
    METRICS_NOT_DELIVERED = "MetricsNotDelivered"
    ENGINE_SPANS_NOT_TAKEN = "EngineSpansNotTaken"
    RECORDS_LOST = "RecordsLost"
    SINK_DOWN = "SinkDown"
    SPOOL_NOT_ON_DISK = "SpoolNotOnDisk"

    # whether the GPUs are seen, and well
    GPUS_SEEN = "GPUsSeen"
    GPU_NOT_ASKED = "GPUNotAsked"
    NO_GPU_REQUESTED = "NoGPURequested"
    NO_EXPORTER_FOUND = "NoExporterFound"
    EXPORTER_UNREACHABLE = "ExporterUnreachable"
    EXPORTER_NOT_UNDERSTOOD = "ExporterNotUnderstood"
    NO_ROWS_OF_POD = "NoRowsOfPod"
    DRIVER_NOT_FOUND = "DriverNotFound"
    DRIVER_FAILED = "DriverFailed"
    NO_DEVICE_CLAIM = "NoDeviceClaim"
    VISIBLE_ALL_NOT_ALLOWED = "VisibleAllNotAllowed"
    OWN_DEVICES_UNKNOWN = "OwnDevicesUnknown"
    GPU_STALE = "GPUStale"
    GPU_SOURCE_STARTING = "GPUSourceStarting"
    GPUS_HEALTHY = "GPUsHealthy"
    GPU_ERRORS = "GPUErrors"
    GPU_THROTTLED = "GPUThrottled"
    GPU_HEALTH_UNKNOWN = "GPUHealthUnknown"

    # why the circuit breaker opened
    PODS_REJECTED = "PodsRejected"
    SIDECAR_IMAGE_NOT_PULLED = "SidecarImageNotPulled"
    SIDECAR_NOT_CREATED = "SidecarNotCreated"
    SIDECAR_NOT_NATIVE = "SidecarNotNative"
    INIT_CONTAINER_FAILED = "InitContainerFailed"
    SIDECAR_CRASHED = "SidecarCrashed"

    # Events of the installation itself
    AUTHORITY_RENEWED = "AuthorityRenewed"
    CERTIFICATE_RENEWED = "CertificateRenewed"


class InterceptionMode(StrEnum):
    """How requests are led through the sidecar."""

    REDIRECT = "Redirect"
    PORT_TAKEOVER = "PortTakeover"
    NAMED_PORT = "NamedPort"
    TAP = "Tap"


class TokenSource(StrEnum):
    """Where a token count comes from; counts of different sources are never added up."""

    USAGE = "usage"
    TOKENIZED = "tokenized"
    ESTIMATED = "estimated"


class DifferenceCause(StrEnum):
    """Why the sidecar's figures and the engine's own are not the same (`docs/agreement.md`)."""

    # they disagree
    NOT_THROUGH_SIDECAR = "NotThroughSidecar"
    """The engine counted more than came through the sidecar, which observed all that did."""
    NOT_OBSERVED = "NotObserved"
    """The engine counted more, and not every connection was observed."""
    ENGINE_RAN_ON = "EngineRanOn"
    """The engine went on generating for clients that had left."""
    CACHED_NOT_COUNTED = "CachedNotCounted"
    """The engine counts prompts without what came from its cache."""
    ENGINE_COUNTS_LESS = "EngineCountsLess"
    """The engine counted less than it said in its answers."""
    TIMES_DIFFER = "TimesDiffer"
    """Counts agree and times do not: clients that read slowly, or a machine with too much to do."""

    # they differ within what the traffic explains
    IN_FLIGHT_AT_ENDS = "InFlightAtEnds"
    CLIENTS_LEFT = "ClientsLeft"
    REQUESTS_FAILED = "RequestsFailed"
    SEVERAL_CHOICES = "SeveralChoices"
    WITHOUT_USAGE = "WithoutUsage"
    OTHER_PATHS = "OtherPaths"
