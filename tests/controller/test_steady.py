"""Which figures of GPUs are near enough to stay as they are written."""

import pytest

from sidelight_contract.status import GPUActivity, GPUStatus, VersionStatus
from sidelight_operator.controller.steady import near, steady, steady_versions


@pytest.mark.parametrize(
    ("now", "before", "alike"),
    [
        ("71.2W", "70.9W", True), ("71.2W", "69.0W", False), ("1.01kJ", "999J", False),
        ("87.2%", "88.0%", True), ("87.2%", "88.4%", False), ("0.120%", "0.900%", True),
        ("0%", "0.200%", False), ("0%", "0%", True), ("", "", True), ("", "71.2W", False),
        ("61.2GiB of 79.6GiB", "61.0GiB of 79.6GiB", True),
        ("61.2GiB of 79.6GiB", "61.2GiB of 159GiB", False),
        ("0.400", "0.405", True), ("0.400", "0.410", False),
    ],
)  # fmt: skip
def test_what_is_near(now: str, before: str, alike: bool) -> None:
    """Two in a hundred, a point of a percent, and nothing that is no longer or newly told."""
    assert near(now, before) is alike
    assert near(before, now) is alike


def test_parts_of_a_whole_stay_or_go_together() -> None:
    """Shares that were written at two times would not add up."""
    before = GPUStatus(pods="1/1", states={"idle": "33.0%", "busy": "67.0%"})
    moved = {"idle": "33.5%", "busy": "66.5%"}
    assert steady(GPUStatus(pods="1/1", states=moved), before).states == before.states
    for states in ({"idle": "33.5%", "busy": "60.0%", "waiting": "6.50%"}, {"busy": "100%"}):
        assert steady(GPUStatus(pods="1/1", states=states), before).states == states


def test_what_is_no_figure_is_as_it_is_now() -> None:
    """Pods, devices and phases that come or go."""
    before = GPUStatus(pods="2/2", devices=["1 x A"], power="71.2W",
                       phases={"decode": GPUActivity(utilization="50.0%")})  # fmt: skip
    now = GPUStatus(pods="1/2", devices=["2 x A"], power="71.0W", phases={
        "decode": GPUActivity(utilization="50.3%", dram_active="9.00%"),
        "prefill": GPUActivity(utilization="50.3%"),
    })  # fmt: skip
    found = steady(now, before)
    assert (found.pods, found.devices, found.power) == ("1/2", ["2 x A"], "71.2W")
    assert found.phases["decode"] == GPUActivity(utilization="50.0%", dram_active="9.00%")
    assert found.phases["prefill"] == GPUActivity(utilization="50.3%")


def test_versions_are_told_apart_by_their_names() -> None:
    """One that is new, or had no GPUs before, has its own figures."""

    def version(name: str, power: str) -> VersionStatus:
        gpu = GPUStatus(pods="1/1", power=power) if power else None
        return VersionStatus.model_construct(name=name, gpu=gpu)

    before = [version("one", "71.2W"), version("two", "")]
    shown = [version(name, "71.0W") for name in ("one", "two", "three")] + [version("four", "")]
    powers = [found.gpu and found.gpu.power for found in steady_versions(shown, before)]
    assert powers == ["71.2W", "71.0W", "71.0W", None]
