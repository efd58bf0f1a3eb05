"""`ObservedModel.spec`: what a user asks for. The CRD's schema is generated from this module.

Every field has a meaning, a unit where it has one, and a default with its reason; `crd.py` turns
them into the descriptions that `kubectl explain om.spec` shows. A rule about several fields is a
CEL rule (`x-kubernetes-validations`), so that the API server refuses with a sentence.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from sidelight_contract.engines import EngineType
from sidelight_contract.names import LABEL_VERSION, MAX_ENGINE_PORTS, RESERVED_PORTS
from sidelight_contract.resource import Resource, cel
from sidelight_contract.slo import FAULTS
from sidelight_contract.spec_capture import Capture, Export
from sidelight_contract.spec_gpu import Gpu


class SelectorOperator(StrEnum):
    """Operators of Kubernetes label selectors."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class SelectorRequirement(Resource):
    """One expression of a label selector."""

    key: str = Field(min_length=1, max_length=317, description="Label key.")
    operator: SelectorOperator = Field(description="How the label is compared with `values`.")
    values: list[str] = Field(
        default_factory=list,
        max_length=64,
        description="Values for In and NotIn; empty for Exists and DoesNotExist.",
    )


class Selector(Resource):
    """Which pods of the namespace are observed; a standard Kubernetes label selector."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "(has(self.matchLabels) && size(self.matchLabels) > 0) || "
                "(has(self.matchExpressions) && size(self.matchExpressions) > 0)",
                "selector must name at least one label: an empty selector would select every pod "
                "of the namespace",
            )
        )
    )

    match_labels: dict[str, str] = Field(
        default_factory=dict,
        max_length=32,
        description="Labels that a pod must carry, all of them.",
    )
    match_expressions: list[SelectorRequirement] = Field(
        default_factory=list,
        max_length=32,
        description="Expressions that must hold for a pod's labels, all of them.",
    )


class TokenizerUse(StrEnum):
    """Whether the engine's tokenizer may be asked."""

    AUTO = "Auto"
    NEVER = "Never"


_RESERVED = ", ".join(f"'{port}'" for port in sorted(RESERVED_PORTS))


class EngineProfile(Resource):
    """A server that Sidelight does not know by name: the same facts as its own table has."""

    images: list[Annotated[str, Field(min_length=3, max_length=256)]] = Field(
        default_factory=list,
        max_length=16,
        description="Parts of image names that tell the server, where the container has no command "
        "of its own. Such an image is taken to start the server.",
    )
    programs: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(
        default_factory=list,
        max_length=16,
        description="Words of a command, without their folder, that tell the server where they "
        "start something, such as `my-server` or `my-server serve`.",
    )
    default_port: int = Field(
        default=0, ge=0, le=65535, description="Port on which it serves when told nothing; 0: none."
    )
    port_flag: str = Field(
        default="",
        max_length=64,
        pattern="^(-{1,2}[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        description="Argument that sets the port, such as `--port`. With it, or `portVariable`, "
        "PortTakeover can move the server.",
    )
    port_variable: str = Field(
        default="",
        max_length=128,
        pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="Environment variable that sets the port, such as `PORT`.",
    )
    host_flag: str = Field(
        default="",
        max_length=64,
        pattern="^(-{1,2}[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        description="Argument that sets the address it listens on, such as `--host`.",
    )
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of its own metrics; 0: the one it serves on."
    )
    metrics_path: str = Field(
        default="",
        max_length=256,
        pattern="^(/.*)?$",
        description="Path of its own metrics in Prometheus' format; empty: it has none.",
    )


class Engine(Resource):
    """The inference server in the pod."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "self.type != 'Generic' || self.port != '' || "
                "(has(self.profile) && self.profile.defaultPort > 0)",
                "engine.type Generic needs engine.port, or engine.profile.defaultPort: the port of "
                "an unknown server cannot be guessed",
            ),
            (
                "!has(self.profile) || self.type in ['Auto', 'Generic']",
                "engine.profile is for a server that is not known by name: engine.type must be "
                "Auto or Generic",
            ),
            (
                "!has(self.profile) || self.type != 'Auto' || size(self.profile.images) > 0 || "
                "size(self.profile.programs) > 0",
                "engine.profile needs images or programs where engine.type is Auto: nothing else "
                "would tell the server",
            ),
            (
                "self.port == '' || (self.port.matches('^[0-9]{1,5}$') ? "
                "int(self.port) >= 1 && int(self.port) <= 65535 : "
                "self.port.matches('^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$') && "
                "self.port.matches('[a-z]'))",
                "engine.port must be a number from 1 to 65535 or the name of a container port",
            ),
            (
                f"!(self.port in [{_RESERVED}])",
                f"engine.port must not be one of Sidelight's own ports ({_RESERVED})",
            ),
        )
    )

    type: EngineType = Field(
        default=EngineType.AUTO,
        description="Which server it is. Auto (default) looks at the container's image, command "
        "and arguments; a pod whose engine is not recognised is left alone and named in status.",
    )
    container: str = Field(
        default="",
        max_length=63,
        description="Name of the engine's container. Empty (default): the first container that is "
        "recognised as an engine, or the only one.",
    )
    port: str = Field(
        default="",
        max_length=15,
        description="Port on which the engine serves: a number, or the name of a container port. "
        "Empty (default): read from the engine's arguments and environment, else its usual port.",
    )

    more_ports: list[Annotated[str, Field(min_length=1, max_length=15)]] = Field(
        default_factory=list,
        max_length=MAX_ENGINE_PORTS - 1,
        description="Further ports on which the same engine serves inference, numbers or names, "
        "such as one for each data-parallel rank. Redirect alone leads several. Empty (default): "
        "those that the engine is known to have, as Triton's gRPC.",
    )
    pod_filter: Selector | None = Field(
        default=None,
        description="Of the selected pods, those that serve, where not all do: of a "
        'LeaderWorkerSet `matchLabels: {leaderworkerset.sigs.k8s.io/worker-index: "0"}`. Others '
        "are left alone and do not count as selected. Absent (default): all serve.",
    )
    profile: EngineProfile | None = Field(
        default=None,
        description="How to recognise, and to move, a server that Sidelight does not know by name.",
    )
    tokenizer: TokenizerUse = Field(
        default=TokenizerUse.AUTO,
        description="Whether output for which the engine reports no usage is counted by the "
        "engine's own tokenizer (vLLM, SGLang, llama.cpp). Auto (default): yes, off the path, at "
        "most five questions a second, and only while no request waits in the engine's queue. "
        "Never: such output is estimated from counted events.",
    )


class RequestedMode(StrEnum):
    """Ways into the path that can be asked for."""

    AUTO = "Auto"
    REDIRECT = "Redirect"
    PORT_TAKEOVER = "PortTakeover"
    NAMED_PORT = "NamedPort"
    TAP = "Tap"


class Interception(Resource):
    """How requests are led through the sidecar."""

    mode: RequestedMode = Field(
        default=RequestedMode.AUTO,
        description="Redirect: an init container with NET_ADMIN redirects the engine's port in "
        "the pod's own network namespace; nothing about the engine changes. PortTakeover: the "
        "engine is moved to another port by its own argument or environment variable and the "
        "sidecar takes its place; needs no privilege and a known engine. NamedPort: the name of "
        "the engine's port moves to the sidecar, so only what comes through Services that use the "
        "name is seen. Tap: nothing in the path; "
        "a container with NET_RAW reads the pod's packets, and counts what it loses rather than "
        "delay anything (docs/attach.md). Auto (default): Redirect "
        "where pod and namespace allow it, else PortTakeover, else NamedPort; status says which "
        "and why.",
    )


class Version(Resource):
    """Where the name of the served model's version comes from."""

    labels: list[str] = Field(
        default=[LABEL_VERSION, "app.kubernetes.io/version"],
        min_length=1,
        max_length=8,
        description="Pod labels to look at, in order; the first that is there names the version. "
        "A pod with none of them is known by the digest of its engine's image, such as "
        "sha256:0123456789ab.",
    )
    read_weights: bool = Field(
        default=False,
        description="Tell pods of one version apart by their model's files: the sidecar gets the "
        "engine's mount that holds them, read-only, and makes a digest of configuration, tokenizer "
        "and the headers of weight files; never of whole weights (docs/versions.md). New pods "
        "only. Default false: a volume that one more container mounts, before the engine does, can "
        "hold up a pod's start, as a FUSE volume whose daemon is another container of the pod.",
    )


class RolloutPolicy(StrEnum):
    """What happens to pods whose sidecar is not what it would be today."""

    MANUAL = "Manual"
    WHEN_OUTDATED = "WhenOutdated"


class Rollout(Resource):
    """What happens to pods that are there already."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!self.inPlace || self.policy == 'WhenOutdated'",
                "rollout.inPlace is one way of what rollout.policy WhenOutdated asks for: set both",
            )
        )
    )

    policy: RolloutPolicy = Field(
        default=RolloutPolicy.MANUAL,
        description="Pods without a sidecar that would have one, and pods whose sidecar would be "
        "another one. Manual (default): they are reported (conditions UpToDate and Injected). "
        "WhenOutdated: Deployments, StatefulSets and DaemonSets that nobody else keeps are "
        "restarted by an annotation of their pod template, as kubectl rollout restart does; never "
        "while a rollout of theirs goes on, a PodDisruptionBudget allows no disruption or the "
        "circuit breaker is open. Needs the chart's value rollout.enabled (docs/rollout.md).",
    )
    workloads_at_once: int = Field(
        default=1,
        ge=1,
        le=50,
        description="How many workloads may be in a restart at the same time. One (default): the "
        "next begins when all pods of the last are ready, so that a restart that goes wrong stays "
        "the only one.",
    )
    in_place: bool = Field(
        default=False,
        description="Where the sidecar's image alone is old, change it in the running pod, one pod "
        "at a time: the sidecar is restarted, the engine is not. Requests in flight have 25 s to "
        "end; connections that last longer are cut. Default false: not every admission policy "
        "allows it.",
    )
    attach_running: bool = Field(
        default=False,
        description="Observe pods that were there before the ObservedModel without a restart: an "
        "ephemeral container in mode Tap is added to them, one pod at a time, once; it cannot be "
        "removed but by a restart, and ends itself when the pod is no longer selected. Default "
        "false: it needs NET_RAW (not under Pod Security restricted) and the chart's value "
        "liveAttach.enabled (docs/attach.md).",
    )


_PERCENT = "^[0-9]{1,3}([.][0-9]{1,2})?%$"


class Tolerance(Resource):
    """How much worse the candidate may be and still be as good."""

    time_to_first_token: str = Field(
        default="10%",
        pattern=_PERCENT,
        description="Slower time to first token, in percent of the baseline's. Default 10%: it "
        "varies much, and people notice less.",
    )
    time_per_output_token: str = Field(
        default="5%",
        pattern=_PERCENT,
        description="Slower time per output token, in percent of the baseline's. Default 5%: it "
        "varies little, and is what capacity is made of.",
    )
    duration: str = Field(
        default="10%",
        pattern=_PERCENT,
        description="Longer duration of requests without errors, in percent of the baseline's. "
        "Default 10%, as for the time to first token.",
    )
    errors: str = Field(
        default="1%",
        pattern=_PERCENT,
        description="More requests that fail through the engine's fault, in percentage points: "
        "with 1% a share of 0.5 % may become 1.5 %. Default 1%: a usual error budget.",
    )


class Compare(Resource):
    """Which version is held against which, and what is tolerated."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "self.candidate == '' || self.candidate != self.baseline",
                "compare.candidate and compare.baseline must be two versions",
            ),
            (
                "self.falseAlarmRate.matches('[1-9]')",
                "compare.falseAlarmRate must be above 0%: a test that never errs never ends",
            ),
        )
    )

    baseline: str = Field(
        default="previous",
        min_length=1,
        max_length=253,
        description="Version to compare with, as in `status.versions`. `previous` (default): the "
        "newest other than the candidate; a version is as new as its oldest pod. Of an adapter "
        "(`<version>/<adapter>`): the same adapter of that version, never its own model.",
    )
    candidate: str = Field(
        default="",
        max_length=253,
        description="Version that is judged, as in `status.versions`. Empty (default): the newest; "
        "where `baseline` is an adapter's, the same adapter of it.",
    )
    tolerance: Tolerance = Field(
        default_factory=Tolerance,
        description="How much worse the candidate may be. Smaller needs more requests: half the "
        "tolerance, four times as many.",
    )
    false_alarm_rate: str = Field(
        default="1%",
        pattern="^[0-9]{1,2}([.][0-9]{1,4})?%$",
        description="With which probability a comparison ever says Rollback of a version that is "
        "within tolerance, or Promote of one that is not, however often it is looked at. Default "
        "1%: one needless rollback in a hundred releases at most.",
    )
    min_requests: int = Field(
        default=200,
        ge=1,
        le=10_000_000,
        description="Matched requests of the candidate before it may be promoted. Default 200: "
        "what a few requests cannot show (long prompts, tools, the hour's peak) is seldom seen in "
        "fewer.",
    )
    patience: str = Field(
        default="24h",
        pattern="^([0-9]+(h|m|s))+$",
        description="After how long an undecided comparison says Hold, for somebody to look at it. "
        "Default 24h: a whole day's traffic has been seen then.",
    )


_DURATION = "^(([0-9]{1,6}([.][0-9]{1,6})?)(us|ms|s|m|h)){0,3}$"
_THRESHOLDS = ("timeToFirstToken", "timePerOutputToken", "duration")


class ErrorClass(StrEnum):
    """Errors that may count as bad: those that are not the client's."""

    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    STREAM_ERROR = "stream_error"
    TIMEOUT = "timeout"
    UPSTREAM_CONNECT = "upstream_connect"
    UPSTREAM_RESET = "upstream_reset"


class ServiceLevel(Resource):
    """By what a request is good or bad, and how many are to be good."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                " || ".join(f"self.{name} != ''" for name in _THRESHOLDS)
                + " || size(self.errors) > 0",
                "slo must set at least one of timeToFirstToken, timePerOutputToken, duration and "
                "errors: else nothing could be judged",
            ),
            *(
                (
                    f"self.{name} == '' || self.{name}.matches('[1-9]')",
                    f"slo.{name} must be above zero",
                )
                for name in _THRESHOLDS
            ),
            (
                "self.objective.matches('[1-9]')",
                "slo.objective must be above 0",
            ),
        )
    )

    time_to_first_token: str = Field(
        default="",
        max_length=32,
        pattern=_DURATION,
        description="Longest good time to the first token, such as `500ms`; streams alone. A "
        "stream that failed before its first token is bad. Empty (default): not judged, for what "
        "is good is known to you alone.",
    )
    time_per_output_token: str = Field(
        default="",
        max_length=32,
        pattern=_DURATION,
        description="Longest good mean time for each token after the first, such as `40ms`; "
        "streams alone that ended well. Empty (default): not judged.",
    )
    duration: str = Field(
        default="",
        max_length=32,
        pattern=_DURATION,
        description="Longest good time from the first byte of the request to the last of the "
        "response, such as `30s`. A failed request is bad, however quick. Empty (default): not "
        "judged; it depends on how much was asked for.",
    )
    errors: list[ErrorClass] = Field(
        default=[ErrorClass(name) for name in FAULTS],
        max_length=len(FAULTS),
        description="Classes of error that make a request bad. Default: all that are the engine's "
        "fault, rate_limited included, for an engine without room has failed who asked. Requests "
        "with another error count nowhere, and neither do those of clients that left. Empty: no "
        "failed request counts.",
    )
    objective: str = Field(
        default="0.99",
        pattern="^0[.][0-9]{1,5}$",
        description="Share of requests that is to be good in all of this, such as `0.99`. Default "
        "0.99: one in a hundred may be bad; with 0.999 a thousand requests a day allow one.",
    )


class ObservedModelSpec(Resource):
    """What to observe, and how to get into its path."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "self.interception.mode != 'PortTakeover' || self.engine.type != 'Generic' || "
                "(has(self.engine.profile) && (self.engine.profile.portFlag != '' || "
                "self.engine.profile.portVariable != ''))",
                "interception.mode PortTakeover cannot move the port of a Generic engine; use "
                "Redirect or Auto, name the engine's type, or say in engine.profile how it is told "
                "its port",
            )
        )
    )

    selector: Selector = Field(description="Which pods of this namespace are observed.")
    engine: Engine = Field(default_factory=Engine, description="The inference server in the pods.")
    interception: Interception = Field(
        default_factory=Interception, description="How requests are led through the sidecar."
    )
    version: Version = Field(
        default_factory=Version, description="Where the model version's name comes from."
    )
    rollout: Rollout = Field(
        default_factory=Rollout, description="What happens to pods that are there already."
    )
    slo: ServiceLevel | None = Field(
        default=None,
        description="Service level objectives (docs/slo.md). Sidecars take a change at once, "
        "without a restart. Absent (default): nothing is judged.",
    )
    compare: Compare | None = Field(
        default=None,
        description="Hold one version against another on matched traffic (docs/verdict.md). "
        "Absent (default): nothing is compared.",
    )
    capture: Capture = Field(
        default_factory=Capture,
        description="Which requests become records, and what of their payload (docs/privacy.md). "
        "Sidecars take a change at once. Default: metadata alone, and only where `export` has "
        "sinks.",
    )
    export: Export = Field(
        default_factory=Export,
        description="Where records go (docs/sinks.md). Pods that run take a new sink at once, but "
        "its Secret and volumes only when they are made anew.",
    )
    gpu: Gpu = Field(
        default_factory=Gpu,
        description="What the GPUs did (docs/gpu.md). Sidecars take a change between exporters at "
        "once; NVML reaches pods when they are made anew. Default: an exporter, where there is "
        "one.",
    )
