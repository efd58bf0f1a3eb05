"""`ObservedModel.status`: what the controller saw. The CRD's schema is generated from this module.

Rules:
1. Bounded whatever the fleet's size: `MAX_VERSIONS` versions, `MAX_NAMED_PODS` pods by name.
2. Numbers for people are strings with a unit and three significant digits: exact floats would
   rewrite the status with every request and claim more than a sketch knows.
3. Every latency says how many requests it rests on; every token count, that it is the engine's own.
"""

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from sidelight_contract.gpu import MAX_DEVICE_MODELS
from sidelight_contract.resource import Resource

MAX_VERSIONS = 10
MAX_NAMED_PODS = 20
MAX_BREAKERS = 50
MAX_SETTINGS_SHOWN = 20
MAX_SETTING_SHOWN = 100
"""Characters of a setting's value, and of its name."""
MAX_ADAPTERS_SHOWN = 16
MAX_AUTOPSIES = 5
MAX_AUTOPSY_TEXT = 400


class StatusPart(Resource):
    """Base of everything in the status; a newer controller's fields are ignored, not refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


class Condition(StatusPart):
    """A standard Kubernetes condition."""

    type: str = Field(
        description="What it is about, such as Ready, Injected, MetricsAgree or Verdict."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(description="Why, in one word; docs/reasons.md lists all.")
    message: str = Field(description="Why, in a sentence.")
    last_transition_time: str = Field(
        description="When `status` last changed.", json_schema_extra={"format": "date-time"}
    )
    observed_generation: int = Field(description="Generation of the spec that it speaks of.")


class NotObservedPod(StatusPart):
    """A pod that is selected and not observed."""

    name: str = Field(description="The pod's name.")
    reason: str = Field(description="Why it is not observed, in one word.")
    message: str = Field(description="Why it is not observed, and what to do.")


class Pods(StatusPart):
    """How many of the selected pods are observed."""

    selected: int = Field(description="Pods that the selector matches and that have not ended.")
    observed: int = Field(description="Of them, those whose sidecar answered in the last round.")
    ratio: str = Field(description="`observed/selected`, as kubectl prints it.")
    outdated: int = Field(
        default=0,
        description="Of the selected pods, those whose sidecar is not what injection would give "
        "them today; condition UpToDate says what happens to them.",
    )
    not_observed: list[NotObservedPod] = Field(
        default_factory=list,
        description=f"Selected pods without observation, by name; at most {MAX_NAMED_PODS}.",
    )
    not_observed_total: int = Field(
        default=0, description="How many there are, if more than are named."
    )


class BreakerEntry(StatusPart):
    """A workload that Sidelight stays out of, because its pods did not start because of it."""

    workload: str = Field(description="The workload, as in `kubectl get deployment/chat`.")
    reason: str = Field(description="What kept its pods from starting, in one word.")
    message: str = Field(description="What kept its pods from starting, as Kubernetes said it.")
    since: str = Field(
        description="When the breaker opened.", json_schema_extra={"format": "date-time"}
    )
    generation: int = Field(
        description="Generation of the spec under which it opened; another one closes it."
    )
    release: str = Field(
        description="Sidelight's release and sidecar image then; another one closes it."
    )


class Coverage(StatusPart):
    """What taps saw of what passed. A tap loses packets rather than delay them, and counts them."""

    captured: str = Field(
        description="Share of the port's packets that were captured, rounded down, such as `100%`."
    )
    packets_lost: int = Field(description="Packets that the kernel had no room for.")
    bytes_lost: int = Field(description="Bytes of connections that were not captured.")
    gaps: int = Field(
        description="Holes in connections; the requests that they may have touched are in no "
        "figure."
    )
    connections_not_followed: int = Field(
        description="Connections beyond the number that is followed at once."
    )


class ModeCount(StatusPart):
    """How many pods are observed in one way, and why in that way."""

    mode: str = Field(description="Redirect, PortTakeover or Tap.")
    reason: str = Field(description="Why this mode, in one word.")
    message: str = Field(description="Why this mode, in a sentence.")
    pods: int = Field(description="Pods injected in this mode, or attached to.")
    coverage: Coverage | None = Field(
        default=None, description="Mode Tap only: what was seen since the taps began."
    )


class Latency(StatusPart):
    """Quantiles of a duration over the window, within 1 %."""

    p50: str = Field(description="Median, such as `41.3ms`.")
    p95: str = Field(description="95th percentile.")
    p99: str = Field(description="99th percentile.")
    count: int = Field(description="How many measurements they rest on.")


class Traffic(StatusPart):
    """Figures over the last minutes (`windowSeconds`)."""

    requests: int = Field(description="Requests that ended in the window.")
    requests_per_second: str = Field(description="Mean rate over the window.")
    error_ratio: str = Field(
        description="Share of them that failed; clients that hung up and requests that the engine "
        "rightly refused (4xx) are not failures."
    )
    tokens_per_second: str = Field(
        description="Output tokens a second over the window, from the engine's own `usage` alone."
    )
    time_to_first_token: Latency | None = Field(
        default=None,
        description="First byte of the request to the first output at the sidecar; streamed only.",
    )
    time_per_output_token: Latency | None = Field(
        default=None, description="Mean time for each token after the first; streamed only."
    )
    duration: Latency | None = Field(
        default=None, description="First byte of the request to last byte of the response."
    )


class Tokens(StatusPart):
    """Token counts, apart by where they come from."""

    prompt: int = Field(description="Prompt tokens, from the engine's `usage`.")
    output: int = Field(description="Output tokens, from the engine's `usage`.")
    cached_prompt: int = Field(
        default=0, description="Of `prompt`, those that came from the engine's cache."
    )
    reasoning: int = Field(default=0, description="Of `output`, those that were reasoning.")
    tokenized_prompt: int = Field(
        default=0,
        description="Prompts of requests without `usage`, counted by the engine's own tokenizer; "
        "in none of the other figures.",
    )
    tokenized_output: int = Field(
        default=0,
        description="Output of requests without `usage`, counted by the engine's own tokenizer; "
        "in none of the other figures.",
    )
    estimated_output: int = Field(
        default=0,
        description="Counted output events of requests without either; an estimate, in none of the "
        "other figures.",
    )


class AbandonedStatus(StatusPart):
    """Requests whose client left before the answer had ended, and what they had cost by then."""

    requests: int = Field(description="How many there were.")
    phases: dict[str, int] = Field(
        default_factory=dict,
        description="By what was under way: upload, queued, prefill, decode, unknown.",
    )
    engine_stopped: int = Field(
        default=0, description="Of them, those where the engine was seen to stop."
    )
    tokens: Tokens = Field(
        description="Their prompts, and the output that had been sent: part of the version's "
        "`tokens`."
    )


class Identity(StatusPart):
    """What answered under this version name; where its pods differ, what most of them have."""

    served_models: list[str] = Field(
        default_factory=list, description="Model names in the engine's answers; at most 10."
    )
    parent: str = Field(
        default="",
        description="The model that it is an adapter (LoRA) of; empty: it is none.",
    )
    image: str = Field(default="", description="Image of the engine's container.")
    image_digest: str = Field(
        default="", description="Start of the digest of the image that runs, by the node's word."
    )
    engine: str = Field(default="", description="Type of the engine.")
    engine_version: str = Field(default="", description="Its version, by its own word.")
    weights: str = Field(
        default="",
        description="Start of a digest of the model's files, else the engine's own word for them, "
        "such as a revision; of an adapter where it is loaded from.",
    )
    weights_state: str = Field(
        default="",
        description="Where `spec.version.readWeights` asks, what came of reading the model's "
        "files: `read`, or of most pods where it was not, why (docs/versions.md).",
    )
    tokenizer: str = Field(
        default="",
        description="Start of a digest of the tokens that its tokenizer makes of a fixed text.",
    )
    template: str = Field(
        default="",
        description="Start of a digest of its chat template, or of what that makes of a fixed "
        "chat.",
    )
    settings: dict[str, str] = Field(
        default_factory=dict,
        description="What changes outputs (docs/versions.md), by the engine's own word, else as "
        "its arguments and environment have it; what is left to its default is not here, and "
        "`sampling` is one digest of all that requests get which do not say. At most "
        f"{MAX_SETTINGS_SHOWN}, of {MAX_SETTING_SHOWN} characters.",
    )
    adapters: list[str] = Field(
        default_factory=list,
        description=f"Adapters (LoRA) that its engines serve; at most {MAX_ADAPTERS_SHOWN}.",
    )


class SLOFigure(StatusPart):
    """How many requests kept to one objective. Shares are rounded down to 0.01 %; empty: there was
    nothing to judge.
    """

    name: str = Field(
        description="`all` (all of them together), timeToFirstToken, timePerOutputToken, duration "
        "or errors, as in `spec.slo`."
    )
    last5m: str = Field(
        alias="last5m", description="Share of good requests over 5 minutes, such as `99.31%`."
    )
    last1h: str = Field(alias="last1h", description="The same over 1 hour.")
    last24h: str = Field(alias="last24h", description="The same over 24 hours.")
    good: int = Field(description="Good requests of the last 24 hours.")
    bad: int = Field(description="Bad ones.")


class SLOStatus(StatusPart):
    """How requests do against `spec.slo`, all versions together; rewritten twice a minute at most.

    Counts begin anew when a threshold or the list of errors changes.
    """

    objective: str = Field(description="Share of requests that is to be good, such as `99%`.")
    attainment: str = Field(
        description="Share of requests of the last 24 hours that kept to all; empty: none yet."
    )
    error_budget_left: str = Field(
        description="Of the bad requests that the objective allows of the last 24 hours' requests, "
        "the share that is left, rounded down; below zero: overspent."
    )
    burn_rate: str = Field(
        description="Over the last hour, bad requests by those that the objective allows: at 1 the "
        "budget is just used up, at 14.4 a day's budget lasts 100 minutes."
    )
    figures: list[SLOFigure] = Field(
        default_factory=list, description="The whole, then each objective; at most five."
    )
    ended_pods_since: str = Field(
        description="Pods that ended before this are in no figure: since then the controller keeps "
        "count of them. Of pods that live, all of the last 24 hours is in.",
        json_schema_extra={"format": "date-time"},
    )


class GPUActivity(StatusPart):
    """How busy the devices were in some of the time; empty: not known."""

    utilization: str = Field(default="", description="Share of time with any kernel running.")
    tensor_active: str = Field(default="", description="Share of cycles in tensor cores.")
    dram_active: str = Field(default="", description="Share of cycles with memory traffic.")


class GPUStatus(StatusPart):
    """What the GPUs of a version's pods did over the last minutes (`windowSeconds`); energy is
    since `since`. Empty: it is not known.
    """

    pods: str = Field(description="Pods whose GPUs are seen, of those that have any: `3/4`.")
    devices: list[str] = Field(
        default_factory=list,
        description="Such as `4 x NVIDIA H100 80GB HBM3`, of all these pods; at most "
        f"{MAX_DEVICE_MODELS + 1}.",
    )
    shared: str = Field(
        default="",
        description="Where other pods use devices, too, how many: their figures are the whole "
        "device's, and their energy is in none of the sums.",
    )
    sources: list[str] = Field(default_factory=list, description="Who tells: DCGM, NVML or AMD.")
    utilization: str = Field(
        default="",
        description="Share of time with any kernel running, mean of the devices, such as `87.2%`; "
        "near 100% says nothing of what is left.",
    )
    sm_active: str = Field(default="", description="Share of cycles in which the SMs had work.")
    tensor_active: str = Field(default="", description="Share of cycles in tensor cores.")
    dram_active: str = Field(default="", description="Share of cycles with memory traffic.")
    memory: str = Field(
        default="", description="Used and there is, of all devices: `61.2GiB of 79.6GiB`."
    )
    power: str = Field(default="", description="Mean power of one device, such as `512W`.")
    throttled: str = Field(
        default="", description="Share of device time with clocks held down by anything."
    )
    throttled_by: dict[str, str] = Field(
        default_factory=dict,
        description="The same by what did, such as `sw_power_cap`; several can at once.",
    )
    states: dict[str, str] = Field(
        default_factory=dict,
        description="Shares of device time: throttled, idle (allocated, and nobody asked), "
        "waiting, compute_bound, memory_bound, busy (docs/gpu-states.md has the rules).",
    )
    phases: dict[str, GPUActivity] = Field(
        default_factory=dict,
        description="How busy they were while prefill or decode dominated, by phase.",
    )
    energy: str = Field(
        default="", description="What the devices took while it was told, such as `12.3MJ`."
    )
    tokens_per_joule: str = Field(
        default="",
        description="Output tokens of that time for each of these joules, idle ones included.",
    )
    joules_per_token: str = Field(
        default="",
        description="All of these joules, idle ones included, for each output token of that time.",
    )
    idle_energy: str = Field(
        default="",
        description="Share of these joules that the devices take without work, such as `31.4%`.",
    )
    energy_from: str = Field(
        default="",
        description="counter: the devices' own; power: integrated from samples of power; mixed.",
    )
    level: Literal["", "request", "version"] = Field(
        default="",
        description="request: joules are shared among requests, too. version: samples are too far "
        "apart for that.",
    )
    residual: str = Field(
        default="",
        description="How far the model by which joules are shared was off, as a share of an "
        "interval's (docs/energy.md).",
    )


class VersionStatus(StatusPart):
    """One version of the model: who it is and how it does. `<version>/<adapter>` is an adapter
    (LoRA) that pods of this version serve: its requests are not in the version's own figures.
    """

    name: str = Field(
        description="From `spec.version.labels`, else the start of the digest of the engine's "
        "image, such as sha256:0123456789ab; its tag where no digest is known."
    )
    state: Literal["Serving", "Silent", "Ended"] = Field(
        default="Serving",
        description="Serving: its pods answered in the last round. Silent: it has pods that did "
        "not. Ended: no pod has it any more. Of the last two everything here is as it was told "
        "last; what has ended is shown for 24 hours.",
    )
    last_seen: str | None = Field(
        default=None,
        description="Where it is not Serving: since when.",
        json_schema_extra={"format": "date-time"},
    )
    identity: Identity = Field(description="What answered under this name.")
    pods: int = Field(
        description="Pods of this version whose sidecar answered; of an adapter, those that had "
        "requests for it."
    )
    since: str = Field(
        description="Since when `requests`, `errors` and `tokens` count: the oldest start of a "
        "sidecar among them. A pod that ends takes its counts with it.",
        json_schema_extra={"format": "date-time"},
    )
    requests: int = Field(description="Requests since `since`.")
    streamed: int = Field(default=0, description="Of them, those answered as a stream.")
    errors: dict[str, int] = Field(
        default_factory=dict, description="Of them, those with an error, by class."
    )
    finish_reasons: dict[str, int] = Field(
        default_factory=dict,
        description="Why generation ended, by choice: stop, length, tool_calls, content_filter, "
        "abort, error, other.",
    )
    empty: int = Field(
        default=0, description="Of the requests, those that ended well with an empty answer."
    )
    without_usage: int = Field(
        default=0,
        description="Of the requests, those that ended well and of which the engine told no "
        "`usage`: what `tokens.prompt` and `tokens.output` lack.",
    )
    abandoned: AbandonedStatus | None = Field(
        default=None, description="Of the requests, those that their client left."
    )
    tokens: Tokens = Field(description="Tokens since `since`.")
    coverage: str = Field(
        default="",
        description="Of the requests that its pods' sidecars saw begin since `since`, the share "
        "that they saw end, rounded down: `100%` says all, and the figures rest on these. Empty: "
        "there were none.",
    )
    requests_lost: int = Field(
        default=0, description="Those that they did not see end; they are in no figure."
    )
    connections_not_observed: int = Field(
        default=0,
        description="Connections since `since` of which bytes were not observed, or that could "
        "not be read. What was asked on them is in no share.",
    )
    window: Traffic = Field(description="Figures over the last minutes.")
    gpu: GPUStatus | None = Field(
        default=None,
        description="What the GPUs of its pods did (docs/gpu.md); absent where they have none or "
        "nobody is asked, and of adapters, which share their pods' devices.",
    )
    slo: list[SLOFigure] = Field(
        default_factory=list, description="Its share in `status.slo`, where `spec.slo` is set."
    )


class FigureStatus(StatusPart):
    """One figure of the candidate beside the baseline's."""

    name: str = Field(
        description="timeToFirstToken, timePerOutputToken, duration or errors, as in "
        "`spec.compare.tolerance`."
    )
    effect: str = Field(
        description="How much more the candidate takes, such as `+11.2%`; of errors, how many more "
        "fail, in percentage points."
    )
    low: str = Field(default="", description="It is at least this; empty: not known yet.")
    high: str = Field(default="", description="It is at most this; empty: not known yet.")
    tolerance: str = Field(description="What is tolerated.")
    requests: int = Field(description="Matched requests of the candidate that this rests on.")
    baseline_requests: int = Field(description="Matched requests of the baseline.")
    evidence: str = Field(
        default="",
        description="Sums by which the comparison goes on after the controller's restart.",
    )


class AutopsyStatus(StatusPart):
    """One slow or failed request, and why it likely was; nothing of what was asked or said."""

    pod: str = Field(description="The pod that it went to.")
    at: str = Field(description="When it began.", json_schema_extra={"format": "date-time"})
    model: str = Field(description="The served model.")
    version: str = Field(default="", description="The version, as in `status.versions`.")
    duration: str = Field(description="How long it took, such as `12.3s`.")
    energy: str = Field(
        default="",
        description="Its share of what the devices took above idle, such as `105J`; empty: not "
        "known of a single request.",
    )
    cause: str = Field(description="In one word; docs/autopsy.md lists all.")
    message: str = Field(description="The cause with its evidence, in a sentence.")


class CompareStatus(StatusPart):
    """What the comparison of two versions has come to; rewritten once a minute at most."""

    baseline: str = Field(default="", description="The version that is compared with.")
    candidate: str = Field(default="", description="The version that is judged.")
    verdict: Literal["Promote", "Hold", "Rollback", "NeedMoreData"] = Field(
        description="Promote: within tolerance in all that can be measured. Rollback: beyond it in "
        "something. Hold: undecided, and more traffic is not what it lacks. NeedMoreData: "
        "undecided yet."
    )
    reasons: list[str] = Field(default_factory=list, description="Why; at most eight sentences.")
    figures: list[FigureStatus] = Field(
        default_factory=list, description="What was compared; at most four."
    )
    since: str = Field(
        description="When the first requests of this comparison came; before that, when it was "
        "asked for.",
        json_schema_extra={"format": "date-time"},
    )
    baseline_requests: int = Field(
        default=0, description="Requests of the baseline since then, matched or not."
    )
    candidate_requests: int = Field(
        default=0, description="Requests of the candidate since then, matched or not."
    )
    settings: str = Field(
        default="", description="Stands for `spec.compare`; another one begins anew."
    )


class ObservedModelStatus(StatusPart):
    """What the controller saw in its last round."""

    observed_generation: int = Field(description="Generation of the spec that was acted on.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Ready, Injected, TrafficObserved, BreakerOpen.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    pods: Pods | None = Field(default=None, description="Selected and observed pods.")
    interception: list[ModeCount] = Field(
        default_factory=list, description="Modes in force, and why."
    )
    window_seconds: int = Field(default=300, description="What `window` and `traffic` cover.")
    breaker: list[BreakerEntry] = Field(
        default_factory=list,
        description="Workloads whose circuit breaker is open: new pods of theirs are admitted "
        f"without a sidecar. At most {MAX_BREAKERS}.",
    )
    traffic: Traffic | None = Field(
        default=None, description="Figures over the last minutes, all versions together."
    )
    versions: list[VersionStatus] = Field(
        default_factory=list,
        description="Newest traffic first, then those that are silent, then those that ended; at "
        f"most {MAX_VERSIONS}, and adapters take what places pods' versions leave.",
    )
    slo: SLOStatus | None = Field(
        default=None, description="How requests do against `spec.slo`, where it is set."
    )
    autopsy: list[AutopsyStatus] = Field(
        default_factory=list,
        description="Of the slowest and the failed requests of the window, why they likely were: "
        f"the slowest first; at most {MAX_AUTOPSIES}.",
    )
    compare: CompareStatus | None = Field(
        default=None, description="One version held against another, where `spec.compare` asks."
    )
