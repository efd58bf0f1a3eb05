"""What the status says of GPUs: figures of a version, and whether they are seen and well."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from controller_world import AFTER, model_body, pod_body, summary
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.config import decode_config, encode_config
from sidelight_contract.gpu import (
    Activity,
    Energy,
    Fault,
    FaultKind,
    GpuReport,
    GpuSettings,
    Mean,
    Phase,
)
from sidelight_contract.names import ConditionType, Reason
from sidelight_contract.status import GPUStatus
from sidelight_contract.summary import Summary
from sidelight_operator.controller.evaluate import Evaluation, evaluate
from sidelight_operator.controller.facts import Member
from sidelight_operator.controller.gpu_health import XIDS, health_condition
from sidelight_operator.controller.gpus import gpu_status
from sidelight_operator.controller.models import Model, parse_model, parse_time
from sidelight_operator.controller.objects import sidecar_config
from sidelight_operator.controller.pods import PodView, view_pod

NOW = parse_time(AFTER) + timedelta(minutes=10)
LABELS = ["sidelight.dev/version"]
H100 = "NVIDIA H100 80GB HBM3"
DEVICE = "0 (GPU-5ba1e000)"
GIB = 1 << 30
GPU = {"limits": {"nvidia.com/gpu": "4"}}


def view(name: str, resources: Any = GPU, *, gpu: tuple[str, str] = ("", "")) -> PodView:
    """A pod, by default with four GPUs."""
    body = pod_body(name, labels={"sidelight.dev/version": "one"})
    body["spec"]["nodeName"] = "node-7"
    body["spec"]["containers"][0]["resources"] = resources
    record = json.loads(body["metadata"]["annotations"]["sidelight.dev/injection"])
    record |= {"gpu": gpu[0], "gpuMessage": gpu[1]}
    body["metadata"]["annotations"]["sidelight.dev/injection"] = json.dumps(record)
    return view_pod(body, LABELS)


def mean(value: float, span_ms: int = 300_000) -> Mean:
    made = Mean()
    made.add(value, span_ms)
    return made


def seen(*faults: Fault, **more: Any) -> GpuReport:
    """What a sidecar tells of four devices."""
    made = GpuReport(
        sidecars=1, seen=1, sources={"DCGM": 1}, devices={H100: 4}, utilization=mean(0.8721),
        tensor_active=mean(0.312), dram_active=mean(0.644), power_watts=mean(512.3),
        memory_used_bytes=245 * GIB, memory_total_bytes=320 * GIB, throttled=mean(0.0231),
        throttled_ms={"sw_power_cap": 6930}, states_ms={"memory_bound": 200_000, "idle": 100_000},
        by_phase={Phase.DECODE: Activity(1000, mean(0.95), dram_active=mean(0.71))},
        energy=Energy(
            device_mj=12_000_000, idle_mj=3_000_000, requests_mj=9_000_000, output_tokens=30_000
        ),
        energy_level="version", residual=mean(0.041), faults=list(faults),
    )  # fmt: skip
    for name, value in more.items():
        setattr(made, name, value)
    return made


def unseen(reason: str, why: str = "it is so") -> GpuReport:
    return GpuReport(sidecars=1, whys={reason: 1}, why=why)


def told(report: GpuReport) -> Summary:
    made = summary()
    made.gpu = report
    return made


def member(name: str, report: GpuReport, **pod: Any) -> Member:
    return view(name, **pod), told(report)


def judge(*members: Member, model: Model | None = None, **more: Any) -> Evaluation:
    answers = {pod.uid: answer for pod, answer in members}
    of = model or parse_model(model_body(gpu=more.pop("gpu", {})))
    return evaluate(of, [pod for pod, _ in members], answers, more.pop("now", NOW), **more)


def condition(result: Evaluation, kind: ConditionType) -> tuple[str, str, str]:
    (found,) = [c for c in result.status.conditions if c.type == kind] or [None]
    return (found.status, found.reason, found.message) if found else ("", "", "")


def visible(*members: Member, **more: Any) -> tuple[str, str, str]:
    return condition(judge(*members, **more), ConditionType.GPU_VISIBLE)


def healthy(*members: Member, **more: Any) -> tuple[str, str, str]:
    return condition(judge(*members, **more), ConditionType.GPU_HEALTHY)


@pytest.mark.parametrize(
    ("spec", "allow", "settings"),
    [
        ({}, False, GpuSettings()),
        ({"source": "DCGM"}, False, GpuSettings("DCGM")),
        ({"source": "AMD"}, False, GpuSettings("AMD")),
        ({"source": "None"}, False, GpuSettings("None")),
        ({"source": "NVML"}, True, GpuSettings("NVML")),
        ({"source": "NVML", "nvml": {"unsafeVisibleAll": True}}, False, GpuSettings("NVML")),
        ({"source": "NVML", "nvml": {"unsafeVisibleAll": True}}, True, GpuSettings("NVML", True)),
    ],
)
def test_sidecars_are_told_what_the_spec_says(
    spec: dict[str, Any], allow: bool, settings: GpuSettings
) -> None:
    """All devices of a node take the installation's consent, too."""
    model = parse_model(model_body(gpu=spec))
    config = encode_config(sidecar_config(model, allow_visible_all=allow))
    assert decode_config(config).gpu == settings
    assert (b'"gpu"' in config) == (settings != GpuSettings())


def test_a_versions_figures_have_units_and_three_digits() -> None:
    """All of them, of two pods with four devices each."""
    (version,) = judge(member("a", seen()), member("b", seen())).status.versions
    assert version.gpu == GPUStatus(
        pods="2/2", devices=[f"8 x {H100}"], sources=["DCGM"], utilization="87.2%",
        tensor_active="31.2%", dram_active="64.4%", memory="490GiB of 640GiB", power="512W",
        throttled="2.31%", throttled_by={"sw_power_cap": "2.31%"},
        states={"idle": "33.3%", "memory_bound": "66.7%"},
        phases={"decode": {"utilization": "95.0%", "dram_active": "71.0%"}},
        energy="24.0kJ", tokens_per_joule="2.50", joules_per_token="0.400", idle_energy="25.0%",
        energy_from="counter", level="version", residual="4.10%",
    )  # fmt: skip


def test_tokens_are_held_against_the_joules_of_their_own_time() -> None:
    """What is not shared out yet has tokens that are not counted yet, and while a source is silent
    none are: a version would seem hungrier than it is.
    """
    energy = Energy(device_mj=16_000, idle_mj=5_000, requests_mj=3_000, unowned_mj=2_000,
                    open_mj=6_000, unseen_mj=4_000, output_tokens=12)  # fmt: skip
    found = gpu_status([member("a", seen(energy=energy))])
    assert found is not None
    assert (found.energy, found.idle_energy) == ("16.0J", "50.0%")
    assert (found.tokens_per_joule, found.joules_per_token) == ("2.00", "0.500")
    nothing = gpu_status([member("a", seen(energy=Energy(device_mj=9, open_mj=9)))])
    assert nothing is not None
    assert (nothing.energy, nothing.tokens_per_joule, nothing.idle_energy) == ("0.00900J", "", "")


def test_figures_that_have_hardly_moved_are_not_written_again() -> None:
    """Idle devices take 71.2 W, then 70.9: no status is rewritten for that, nor for what they add
    to their counters, and drift is seen all the same.
    """
    first = judge(member("a", seen(power_watts=mean(71.2)))).status
    body = model_body()
    body["status"] = first.model_dump(mode="json", by_alias=True)
    shown = []
    for round_ in range(60):
        report = seen(
            power_watts=mean(70.9 + round_ % 2), utilization=mean(0.8763),
            energy=Energy(device_mj=12_000_000 + 10_000 * round_, idle_mj=3_000_000),
        )  # fmt: skip
        status = judge(member("a", report), model=parse_model(body)).status
        body["status"] = status.model_dump(mode="json", by_alias=True)
        shown.append(status.versions[0].gpu)
    assert {gpu.power for gpu in shown} == {"71.2W"}
    assert {gpu.utilization for gpu in shown} == {"87.2%"}
    assert [gpu.energy for gpu in shown[-1:]] == ["12.6kJ"]
    assert len({gpu.energy for gpu in shown}) == 3
    last = judge(member("a", seen(utilization=mean(0.95))), model=parse_model(body)).status
    assert last.versions[0].gpu is not None
    assert last.versions[0].gpu.utilization == "95.0%"


def test_a_pod_that_tells_nothing_is_counted_and_changes_no_figure() -> None:
    """Half a version's GPUs may be unseen."""
    (version,) = judge(member("a", seen()), member("b", unseen("GPUStale"))).status.versions
    assert version.gpu is not None
    assert (version.gpu.pods, version.gpu.devices) == ("1/2", [f"4 x {H100}"])
    assert version.gpu.tokens_per_joule == "2.50"


def test_nothing_is_shown_of_pods_without_gpus_or_where_nobody_is_asked() -> None:
    """A version of CPU pods has no such part, and neither has one that nobody asks."""
    cpu = member("a", unseen("NoExporterFound"), resources={})
    assert judge(cpu).status.versions[0].gpu is None
    assert judge(member("a", GpuReport()), gpu={"source": "None"}).status.versions[0].gpu is None


def test_devices_of_others_and_where_energy_comes_from_are_said() -> None:
    """What is shared is labelled; without a counter power was integrated."""
    report = seen(shared=2, energy_integrated=1)
    found = gpu_status([member("a", report)])
    assert found is not None
    assert found.shared == "2 of 4 devices are other pods', too"
    assert found.energy_from == "power"
    mixed = gpu_status([member("a", report), member("b", seen())])
    assert mixed is not None
    assert mixed.energy_from == "mixed"


def test_an_adapter_has_no_figures_of_its_pods_devices() -> None:
    """They are whole devices': the pods' version has them."""
    report = told(seen())
    report.sidecar.adapters = {"smollm2": "base"}
    for part in report.total:
        part.tokens.output += 1
    pod = view("a")
    result = evaluate(parse_model(model_body()), [pod], {pod.uid: report}, NOW)
    found = {version.name: version.gpu is not None for version in result.status.versions}
    assert found == {"one": True, "one/smollm2": False}


def test_an_ended_version_keeps_its_last_figures() -> None:
    """As it keeps its others."""
    first = judge(member("a", seen()))
    body = model_body()
    body["status"] = first.status.model_dump(by_alias=True, exclude_none=True, mode="json")
    after = evaluate(parse_model(body), [], {}, NOW)
    (version,) = after.status.versions
    assert version.state == "Ended"
    assert version.gpu == first.status.versions[0].gpu


def test_all_gpus_are_seen() -> None:
    """With how many and by whom; CPU pods beside are no matter."""
    cpu = member("c", unseen("NoExporterFound"), resources={})
    assert visible(member("a", seen()), member("b", seen()), cpu) == (
        "True", Reason.GPUS_SEEN, "8 GPUs of 2 pods are seen, by DCGM",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("devices", "said"), [(1, "1 GPU of 1 pod is"), (2, "2 GPUs of 1 pod are")]
)
def test_one_is_not_several(devices: int, said: str) -> None:
    """In words."""
    report = seen(devices={H100: devices})
    assert visible(member("a", report))[2] == f"{said} seen, by DCGM"


def test_pods_without_gpus_are_left_in_peace() -> None:
    """False with a reason, no Event, and Ready stays True; of health nothing is said."""
    result = judge(member("a", unseen("NoExporterFound"), resources={}))
    status, reason, _ = condition(result, ConditionType.GPU_VISIBLE)
    assert (status, reason) == ("False", Reason.NO_GPU_REQUESTED)
    assert condition(result, ConditionType.GPU_HEALTHY) == ("", "", "")
    assert condition(result, ConditionType.READY)[0] == "True"
    assert [event.reason for event in result.events] == [Reason.ALL_PODS_OBSERVED]


def test_a_sidecar_that_sees_devices_has_some_whatever_its_pod_asks_for() -> None:
    """Past the scheduler."""
    assert visible(member("a", seen(), resources={}))[:2] == ("True", Reason.GPUS_SEEN)


def test_nobody_is_asked_and_nobody_has_answered() -> None:
    """Two different things."""
    assert visible(member("a", seen()), gpu={"source": "None"})[:2] == (
        "False", Reason.GPU_NOT_ASKED,
    )  # fmt: skip
    assert visible()[:2] == ("Unknown", Reason.NO_SIDECAR_ANSWERED)


def test_the_most_frequent_reason_is_the_conditions_and_names_a_few_pods() -> None:
    """With the counts of all, and what one of them says."""
    members = [member(f"p{i}", unseen("NoRowsOfPod", "no row names it")) for i in range(5)]
    members += [member("q", unseen("GPUStale")), member("r", seen())]
    assert visible(*members) == (
        "False", Reason.NO_ROWS_OF_POD,
        "6 of 7 pods with GPUs tell nothing of them (1 GPUStale, 5 NoRowsOfPod); p0, p1, p2 and 2 "
        "more: no row names it",
    )  # fmt: skip


def test_a_missing_exporter_is_said_with_the_node_and_what_kept_from_looking() -> None:
    """The API server refused the list, for one."""
    _, reason, message = visible(member("a", unseen("NoExporterFound")))
    assert reason == Reason.NO_EXPORTER_FOUND
    assert "node node-7 runs no exporter that the chart's gpu.exporters select" in message
    hidden = member("a", unseen("NoExporterFound"))
    _, _, message = visible(hidden, exporters_problem="GET /api/v1/pods: 403 forbidden")
    assert message.endswith("pods could not be listed (GET /api/v1/pods: 403 forbidden)")


def test_what_injection_left_undone_is_why_the_driver_is_not_found() -> None:
    """The sidecar can only say that there is no library."""
    without = member("a", unseen("DriverNotFound"), gpu=("NoDeviceClaim", "no claim to share"))
    status, reason, message = visible(without, gpu={"source": "NVML"})
    assert (status, reason) == ("False", Reason.NO_DEVICE_CLAIM)
    assert message.endswith("a: no claim to share")


@pytest.mark.parametrize(("allow", "reason"), [(False, "VisibleAllNotAllowed"), (True, "GPUsSeen")])
def test_the_missing_consent_is_said_as_long_as_it_is_asked_for(allow: bool, reason: str) -> None:
    """Also where a claim shows devices all the same."""
    asked = {"source": "NVML", "nvml": {"unsafeVisibleAll": True}}
    assert visible(member("a", seen()), gpu=asked, allow_visible_all=allow)[1] == reason


def test_a_source_that_starts_is_waited_for() -> None:
    """Unknown while no pod tells; and a pod that starts hides nothing of those that tell."""
    starting = member("a", unseen("GPUSourceStarting", "not read yet"))
    assert visible(starting) == ("Unknown", Reason.GPU_SOURCE_STARTING, "not read yet")
    assert visible(starting, member("b", seen()))[:2] == ("True", Reason.GPUS_SEEN)
    stale = member("c", unseen("GPUStale"))
    assert visible(starting, member("b", seen()), stale)[:2] == ("False", Reason.GPU_STALE)
    old = member("a", GpuReport())
    assert visible(old)[:2] == ("Unknown", Reason.GPU_SOURCE_STARTING)


def test_a_reason_that_this_release_does_not_know_is_still_a_reason() -> None:
    """Of a newer sidecar; its own sentence tells more."""
    status, reason, message = visible(member("a", unseen("Eclipse", "the moon is before it")))
    assert (status, reason) == ("False", Reason.GPU_STALE)
    assert message.endswith("a: the moon is before it")


def fault(kind: str = "xid", code: int = 79, age: timedelta = timedelta(0), **more: Any) -> Fault:
    return Fault(kind, more.pop("device", DEVICE), code, at=(NOW - age).timestamp(), **more)


def test_an_xid_names_pod_device_and_what_to_do() -> None:
    """And is no part of Ready."""
    result = judge(member("a", seen()), member("b", seen(fault())))
    assert condition(result, ConditionType.GPU_HEALTHY) == (
        "False", Reason.GPU_ERRORS,
        "pod b, device 0 (GPU-5ba1e000): XID 79, the device has fallen off the bus (drain the "
        "node; if a reset does not help, have the device replaced)",
    )  # fmt: skip
    assert condition(result, ConditionType.READY)[0] == "True"


@pytest.mark.parametrize("code", [13, 31, 43, 45, 48, 63, 64, 74, 79, 92, 94, 95, 119, 120])
def test_well_known_xids_have_words(code: int) -> None:
    """Others have their number."""
    _, _, message = healthy(member("a", seen(fault(code=code))))
    assert f"XID {code}, {XIDS[code].words} (" in message
    assert "XID 999 (look it up" in healthy(member("a", seen(fault(code=999))))[2]


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.XID])
def test_every_kind_of_fault_is_unhealthy_in_words(kind: FaultKind) -> None:
    """Heat has a reason of its own."""
    status, reason, message = healthy(member("a", seen(fault(kind.value, 0))))
    assert status == "False"
    heat = kind is FaultKind.THERMAL
    assert reason == (Reason.GPU_THROTTLED if heat else Reason.GPU_ERRORS)
    assert kind.value not in message


@pytest.mark.parametrize(
    ("kind", "code", "age", "status"),
    [
        ("xid", 79, timedelta(hours=23), "False"), ("xid", 79, timedelta(hours=25), "True"),
        ("xid", 31, timedelta(minutes=59), "False"), ("xid", 31, timedelta(minutes=61), "True"),
        ("ecc_uncorrected", 0, timedelta(hours=25), "True"),
        ("lost", 0, timedelta(days=3), "False"), ("row_remap_failed", 0, timedelta(9), "False"),
        ("xid", 79, -timedelta(days=900), "False"),
    ],
)  # fmt: skip
def test_what_has_happened_is_forgotten_and_what_holds_is_not(
    kind: str, code: int, age: timedelta, status: str
) -> None:
    """An engine's own error sooner than a device's; a clock that is ahead forgets nothing."""
    assert healthy(member("a", seen(fault(kind, code, age))))[0] == status


def test_the_worst_is_named_first_and_the_rest_is_counted() -> None:
    """Errors of devices before those of engines, heat not beside them; each once."""
    faults = [
        fault(code=31), fault(code=79), fault("thermal", 0), fault("lost", 0, device="1 (GPU-1)"),
        fault("ecc_uncorrected", 0), fault(code=48), fault(code=48, count=7),
    ]  # fmt: skip
    _, reason, message = healthy(member("a", seen(*faults)))
    assert reason == Reason.GPU_ERRORS
    first, second, third, rest = message.split("; pod ")[0], *message.split("; pod ")[1:], ""
    assert "1 (GPU-1): it is gone" in first
    assert "ECC" in second
    assert "XID 48" in third
    assert message.endswith("; and 2 more")
    assert rest == ""
    assert "heat" not in message


def test_a_message_stays_when_the_same_happens_again() -> None:
    """A status is not rewritten for each."""
    first = healthy(member("a", seen(fault(count=1, age=timedelta(hours=1)))))
    assert healthy(member("a", seen(fault(count=9)))) == first


def test_health_is_unknown_while_nothing_is_seen() -> None:
    """And is not spoken of where nobody asks; what was told before still counts."""
    assert healthy(member("a", unseen("GPUStale")))[:2] == ("Unknown", Reason.GPU_HEALTH_UNKNOWN)
    assert healthy(member("a", seen()))[:2] == ("True", Reason.GPUS_HEALTHY)
    gone = unseen("GPUStale")
    gone.faults = [fault("lost", 0)]
    assert healthy(member("a", gone))[:2] == ("False", Reason.GPU_ERRORS)


def test_an_event_is_told_when_gpus_turn_and_not_in_between() -> None:
    """Once each: well, unwell by heat, by errors, well again; not known is no news."""
    body, told_of = model_body(), []
    for report in (
        seen(), seen(fault("thermal", 0)), seen(fault("thermal", 0)), seen(fault()), seen(fault()),
        unseen("GPUStale"), seen(fault()), seen(), seen(),
    ):  # fmt: skip
        result = judge(member("a", report), model=parse_model(body))
        body["status"] = result.status.model_dump(by_alias=True, exclude_none=True, mode="json")
        told_of += [(e.type, e.reason) for e in result.events if e.reason.startswith("GPU")]
    assert told_of == [
        ("Warning", "GPUThrottled"), ("Warning", "GPUErrors"), ("Warning", "GPUErrors"),
        ("Normal", "GPUsHealthy"),
    ]  # fmt: skip


_reports = st.sampled_from(
    [seen(), seen(fault()), unseen("GPUStale"), unseen("NoRowsOfPod"), seen(shared=3)]
)


@given(st.lists(_reports, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_pods_changes_nothing(reports: list[GpuReport], dice: Any) -> None:
    """And no report is changed by being merged."""
    before = [json.dumps(str(report)) for report in reports]
    members = [member(f"p{i}", report) for i, report in enumerate(reports)]
    turned = list(members)
    dice.shuffle(turned)
    assert gpu_status(members) == gpu_status(turned)
    assert health_condition(members, NOW) == health_condition(turned, NOW)
    assert visible(*members) == visible(*turned)
    assert [json.dumps(str(report)) for report in reports] == before
