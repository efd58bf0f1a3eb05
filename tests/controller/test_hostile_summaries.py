"""Whatever a pod answers on a sidecar's port: it is refused, or a round goes on with it.

One pod that is damaged, or not ours, must not keep the figures of all others of its model back.
"""

import random
import types
import typing
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from controller_world import model_body, pod_body, summary

from sidelight_contract.gpu import Energy, GpuReport, Mean
from sidelight_contract.sketch import Sketch
from sidelight_contract.slo import SLOS
from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.summary import (
    SUMMARY_VERSION,
    Summary,
    SummaryError,
    decode_counted,
    encode_summary,
)
from sidelight_operator.controller.adapters import rings_by_version
from sidelight_operator.controller.agreement import metrics_agree
from sidelight_operator.controller.autopsies import autopsy_statuses
from sidelight_operator.controller.figures import traffic_status
from sidelight_operator.controller.gpu_health import gpu_conditions
from sidelight_operator.controller.gpus import gpu_status
from sidelight_operator.controller.models import parse_model
from sidelight_operator.controller.objectives import _by_this_clock
from sidelight_operator.controller.pods import view_pod
from sidelight_operator.controller.slo_history import SloLedger, SloReading
from sidelight_operator.controller.slo_status import (
    slo_condition,
    slo_status,
    together,
    windows_of,
)
from sidelight_operator.controller.versions import versions_of
from sidelight_operator.verdict.evidence import Evidence
from sidelight_operator.verdict.matched import blocks

SPEC = ObservedModelSpec.model_validate({"selector": {"matchLabels": {"app": "chat"}}})
NOW = datetime(2026, 11, 24, tzinfo=UTC)
MODEL = parse_model(model_body())
POD_WITH_GPU = pod_body("a", labels={"app.kubernetes.io/version": "one"})
POD_WITH_GPU["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
NUMBERS = (0, 1, 2, 10, 60, 900, -1, -900, 1 << 40, (1 << 63) - 1, -(1 << 63))
TIMES = (0.0, 1e-300, 1.0, 300.0, 1.7e9, -1.0, 1e300, -1e300, 2e12)
WORDS = ("", "x", "m", "chat", "other", "_unknown", "\u2028", "y" * 300, *SLOS)


def any_value(of: Any, dice: random.Random) -> Any:
    """A value of a type; where the type has bounds, seldom beyond them."""
    kind, parts = typing.get_origin(of), typing.get_args(of)
    if kind is typing.Annotated:
        for _ in range(40):
            value = any_value(parts[0], dice)
            if all(_within(value, part) for part in parts[1:]) or dice.random() < 0.01:
                return value
        return 1
    if kind in (typing.Union, types.UnionType, typing.Literal):
        part = dice.choice(parts)
        return part if kind is typing.Literal else any_value(part, dice)
    if kind is list:
        return [any_value(parts[0], dice) for _ in range(dice.randint(0, 2))]
    if kind is tuple:
        return tuple(any_value(part, dice) for part in parts)
    if kind is dict:
        return {
            any_value(parts[0], dice): any_value(parts[1], dice) for _ in range(dice.randint(0, 2))
        }
    if of is float:
        return dice.choice(TIMES)
    if of in (int, bool):
        return dice.choice(NUMBERS) if of is int else dice.random() < 0.5
    if of is str:
        return dice.choice(WORDS)
    if isinstance(of, type) and issubclass(of, msgspec.Struct):
        hints = typing.get_type_hints(of, include_extras=True)
        return of(**{name: any_value(hints[name], dice) for name in of.__struct_fields__})
    return None


def _within(value: Any, bounds: Any) -> bool:
    if not isinstance(bounds, msgspec.Meta) or isinstance(value, str | list | dict):
        return True
    return all(
        limit is None or holds
        for limit, holds in (
            (bounds.ge, bounds.ge is not None and value >= bounds.ge),
            (bounds.le, bounds.le is not None and value <= bounds.le),
            (bounds.gt, bounds.gt is not None and value > bounds.gt),
            (bounds.lt, bounds.lt is not None and value < bounds.lt),
        )
    )


def use(told: Summary) -> None:
    """All that a round does with it."""
    pod = view_pod(pod_body("a", labels={"app.kubernetes.io/version": "one"}), SPEC.version.labels)
    traffic_status(versions_of([(pod, told)]).whole)
    metrics_agree([told])
    autopsy_statuses([(pod, told)])
    for body in (POD_WITH_GPU, pod_body("a")):
        member = (view_pod(body, SPEC.version.labels), told)
        gpu_status([member, member])
        gpu_conditions(MODEL, [member, member], NOW, allow_visible_all=False)
    rings = _by_this_clock(rings_by_version("one", told), told.slo.at, NOW)
    ledger = SloLedger()
    ledger.take("r", [SloReading("u", "b", "r", rings)], ["u"], NOW)
    whole = together(windows_of(some, NOW) for some in ledger.histories().values())
    slo_status(whole, 0.99, NOW)
    slo_condition(whole, 0.99)
    ledger.take("r", [], [], NOW)
    for block in blocks(told.strata.rows, told.strata.rows).values():
        Evidence().add(block)


def test_a_summary_is_refused_or_used_whatever_it_says() -> None:
    """Seeded, of every type that is in it."""
    dice, used, refused = random.Random(6), 0, 0
    for _ in range(600):
        made = any_value(Summary, dice)
        made.version = SUMMARY_VERSION
        try:
            told = decode_counted(encode_summary(made))
        except SummaryError:
            refused += 1
            continue
        use(told)
        used += 1
    assert used > 100
    assert refused > 10


@pytest.mark.parametrize(
    "damage",
    [
        {"generated_at": 1e300}, {"window_seconds": -1.0}, {"sidecar": {"started_at": -5.0}},
        {"sidecar": {"started_at": 2e12}}, {"window": [{"duration": {"count": -1}}]},
        {"window": [{"duration": {"count": 1, "buckets": {"99999": 1}}}]},
        {"strata": {"rows": [["m", 0, 0, 0, 0, -1]]}},
        {"slo": {"history": {"rings": {"60": [[1, {"all": [-1, 0]}]]}}}},
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_not_read(damage: dict[str, Any]) -> None:
    """The pod is then named as one whose summary was not understood."""
    body = msgspec.json.decode(encode_summary(summary(10)))
    for key, value in damage.items():
        if isinstance(value, dict):
            body[key] = {**body.get(key, {}), **value}
        elif isinstance(value, list):
            body[key] = [{**body[key][0], **value[0]}]
        else:
            body[key] = value
    decode_counted(msgspec.json.encode(msgspec.json.decode(encode_summary(summary(10)))))
    with pytest.raises(SummaryError):
        decode_counted(msgspec.json.encode(body))


@pytest.mark.parametrize("number", [10**79, -(10**400)])
def test_numbers_beyond_every_float_are_not_read(number: int) -> None:
    """Wherever they are: a round divides by them, of all pods together."""
    for gpu in (GpuReport(sidecars=1, energy=Energy(device_mj=number)),
                GpuReport(sidecars=1, utilization=Mean(number, 1))):  # fmt: skip
        told = summary(10)
        told.gpu = gpu
        with pytest.raises(SummaryError):
            decode_counted(encode_summary(told))
    told = summary(10)
    told.window[0].requests = number
    with pytest.raises(SummaryError):
        decode_counted(encode_summary(told))
    told.window[0].requests = 10**78
    use(decode_counted(encode_summary(told)))


def test_a_sketch_that_says_more_than_it_holds_has_no_quantile() -> None:
    """A count without buckets."""
    assert Sketch(count=3).quantile(0.5) is None
