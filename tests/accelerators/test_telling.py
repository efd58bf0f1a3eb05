"""Where exporters are: what is taken for an address, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.accelerators.telling import KEPT_SECONDS, Told, parse

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dcgm=198.51.100.7:9400", {"dcgm": "198.51.100.7:9400"}),
        ("amd=[2001:db8::7]:5000", {"amd": "[2001:db8::7]:5000"}),
        ("amd=[2001:DB8:0::7]:5000, dcgm=198.51.100.7:1",
         {"amd": "[2001:db8::7]:5000", "dcgm": "198.51.100.7:1"}),
        ("none", {}),
    ],
)  # fmt: skip
def test_addresses_are_taken(text: str, found: dict[str, str]) -> None:
    """As numbers, in the form that a URL has."""
    assert parse(text) == (found, 0)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "dcgm", "dcgm=", "dcgm=exporter:9400", "dcgm=localhost:9400",
        "dcgm=198.51.100.7", "dcgm=198.51.100.7:0", "dcgm=198.51.100.7:65536",
        "dcgm=198.51.100.7:09400", "dcgm=198.51.100.7:9400/x", "dcgm=198.51.100.7:9400,",
        "dcgm=198.51.100.07:9400", "dcgm=1.2.3:9400", "dcgm=3325256711:9400",
        "dcgm=2001:db8::7:9400", "dcgm=[198.51.100.7]:9400", "dcgm=[fe80::1%25eth0]:9400",
        "dcgm=169.254.169.254:80", "dcgm=0.0.0.0:9400", "dcgm=[::]:9400", "dcgm=224.0.0.1:9400",
        "nvml=198.51.100.7:9400", "DCGM=198.51.100.7:9400", "dcgm=198.51.100.7:9400\n",
        "dcgm=a@198.51.100.7:9400", "dcgm=\u0661.2.3.4:9400", "x" * 10_000,
    ],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    """No name, no path, no user, no other kind, nothing that every machine calls its own."""
    assert parse(text) == ({}, 1)


def test_of_several_the_good_ones_are_taken() -> None:
    """The first of a kind; the others are counted."""
    text = "dcgm=198.51.100.7:1, dcgm=198.51.100.8:1, amd=host:1, amd=198.51.100.9:2"
    assert parse(text) == ({"dcgm": "198.51.100.7:1", "amd": "198.51.100.9:2"}, 2)


@given(st.text(max_size=600))
def test_no_text_makes_it_raise(text: str) -> None:
    """And what is found can be asked."""
    found, _ = parse(text)
    assert parse(", ".join(f"{kind}={address}" for kind, address in found.items()))[0] == found


class Clock:
    """Stands still."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_what_is_told_is_known_for_a_while() -> None:
    """Then nobody knows, which is not the same as none."""
    clock = Clock()
    told = Told(clock)
    assert told.now() is None
    told.tell("dcgm=198.51.100.7:9400")
    assert told.now() == {"dcgm": "198.51.100.7:9400"}
    clock.now = int(KEPT_SECONDS * SECOND) - 1
    told.tell("none")
    assert told.now() == {}
    clock.now += int(KEPT_SECONDS * SECOND)
    assert told.now() is None


def test_a_wrong_word_changes_nothing_and_is_counted() -> None:
    """Whoever told well before is not forgotten, nor known for longer."""
    clock = Clock()
    told = Told(clock)
    told.tell("dcgm=198.51.100.7:9400")
    clock.now = 30 * SECOND
    told.tell("dcgm=exporter.example:9400")
    assert told.now() == {"dcgm": "198.51.100.7:9400"}
    assert told.refused == 1
    clock.now = 46 * SECOND
    assert told.now() is None


def test_what_is_given_at_the_start_holds_where_nothing_is_told() -> None:
    """Outside Kubernetes nobody tells."""
    clock = Clock()
    told = Told(clock, {"dcgm": "198.51.100.1:9400"})
    assert told.now() == {"dcgm": "198.51.100.1:9400"}
    told.tell("none")
    assert told.now() == {}
    clock.now = int(KEPT_SECONDS * SECOND)
    assert told.now() == {"dcgm": "198.51.100.1:9400"}
