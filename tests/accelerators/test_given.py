"""What a sidecar is given of devices at its start: exporters, and which devices are its pod's."""

from __future__ import annotations

import pytest

from sidelight_sidecar.observer.app import exporters_told, own_devices


def test_exporters_are_those_of_the_option() -> None:
    """Without it nothing is known."""
    assert exporters_told("").now() is None
    assert exporters_told("dcgm=127.0.0.1:9400").now() == {"dcgm": "127.0.0.1:9400"}


def test_what_is_none_is_said_and_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """The variable is read where nobody can be told otherwise."""
    assert exporters_told("dcgm=exporter:9400").now() is None
    assert [record.msg for record in caplog.records] == ["accelerators_refused"]


def test_devices_are_those_of_the_variable() -> None:
    """Each once, in one order."""
    assert own_devices("") == ()
    assert own_devices("GPU-b, GPU-a,GPU-b,,") == ("GPU-a", "GPU-b")
