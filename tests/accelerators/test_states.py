"""From an interval and the traffic in it to a state: each rule, and the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from devices import ONE, SECOND, interval
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.gpu import GpuState
from sidelight_sidecar.observer.accelerators.intervals import Interval
from sidelight_sidecar.observer.accelerators.states import RULES, state_of
from sidelight_sidecar.observer.accelerators.traffic import InFlight

PAGE = Path(__file__).parents[2] / "docs" / "gpu-states.md"
NOBODY = InFlight()
ASKED = InFlight(SECOND, 0, SECOND, SECOND)
SHORTLY = InFlight(SECOND // 10, 0, SECOND // 10, SECOND // 10)

CASES: list[tuple[str, GpuState, Interval, InFlight]] = [
    ("power cap", GpuState.THROTTLED,
     interval(utilization=1.0, held_ns={"sw_power_cap": SECOND}), ASKED),
    ("heat, unasked", GpuState.THROTTLED,
     interval(utilization=0.9, held_ns={"hw_thermal": SECOND}), NOBODY),
    ("held for less than half", GpuState.BUSY,
     interval(utilization=0.9, held_ns={"sw_thermal": SECOND // 3}), ASKED),
    ("a cap that is named without work", GpuState.IDLE,
     interval(utilization=0.0, held_ns={"sw_power_cap": SECOND}), NOBODY),
    ("nobody asks", GpuState.IDLE, interval(utilization=0.0), NOBODY),
    ("nobody asks, nothing is told", GpuState.IDLE, interval(), NOBODY),
    ("asked for a tenth of the time", GpuState.IDLE, interval(utilization=0.01), SHORTLY),
    ("work that nobody asked for", GpuState.BUSY, interval(utilization=0.8), NOBODY),
    ("asked, and it does nothing", GpuState.WAITING, interval(utilization=0.0), ASKED),
    ("an instance, by its multiprocessors", GpuState.WAITING, interval(sm_active=0.001), ASKED),
    ("by its power", GpuState.WAITING, interval(power_watts=90.0, power_limit_watts=700.0), ASKED),
    ("power that tells of work", GpuState.BUSY,
     interval(power_watts=400.0, power_limit_watts=700.0), ASKED),
    ("tensor pipes", GpuState.COMPUTE_BOUND,
     interval(utilization=1.0, tensor_active=0.5, dram_active=0.3), ASKED),
    ("tensor pipes alone are told", GpuState.COMPUTE_BOUND,
     interval(utilization=1.0, tensor_active=0.5), ASKED),
    ("memory", GpuState.MEMORY_BOUND,
     interval(utilization=1.0, tensor_active=0.1, dram_active=0.7), ASKED),
    ("both, memory more", GpuState.MEMORY_BOUND,
     interval(utilization=1.0, tensor_active=0.4, dram_active=0.8), ASKED),
    ("neither", GpuState.BUSY,
     interval(utilization=1.0, tensor_active=0.1, dram_active=0.2), ASKED),
    ("neither is told", GpuState.BUSY, interval(utilization=1.0), ASKED),
]  # fmt: skip


@pytest.mark.parametrize(("state", "told", "traffic"), [c[1:] for c in CASES],
                         ids=[c[0] for c in CASES])  # fmt: skip
def test_state_is_by_the_first_rule_that_holds(
    state: GpuState, told: Interval, traffic: InFlight
) -> None:
    """Each state, and what is nearly one."""
    assert state_of(told, traffic, idle_watts=80.0) is state


def test_power_of_a_shared_device_is_no_evidence() -> None:
    """It is other pods', too."""
    shared = interval(power_watts=90.0, power_limit_watts=700.0, device=ONE.__class__(
        "GPU-x", "0", shared=True
    ))  # fmt: skip
    assert state_of(shared, ASKED, idle_watts=80.0) is GpuState.BUSY


def test_every_state_has_a_case_and_a_row() -> None:
    """docs/gpu-states.md has the rules in their order."""
    assert {case[1] for case in CASES} == set(GpuState)
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert rows[: len(GpuState)] == [*(state.value for state, _ in RULES), GpuState.BUSY.value]


shares = st.one_of(st.none(), st.floats(0, 1))
amounts = st.integers(0, 10 * SECOND)


@given(
    st.builds(
        interval, utilization=shares, sm_active=shares, tensor_active=shares, dram_active=shares,
        power_watts=st.one_of(st.none(), st.floats(0, 1e4)),
        power_limit_watts=st.one_of(st.none(), st.floats(0, 1e4)),
        held_ns=st.one_of(st.none(), st.dictionaries(st.just("sw_thermal"), amounts)),
    ),
    st.builds(InFlight, amounts, amounts, amounts, amounts),
    st.one_of(st.none(), st.floats(0, 1e4)),
)  # fmt: skip
def test_everything_has_one_state(told: Interval, traffic: InFlight, idle: float | None) -> None:
    """Whatever is told or not."""
    assert state_of(told, traffic, idle) in GpuState
