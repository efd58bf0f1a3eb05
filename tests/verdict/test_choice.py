"""Which versions are compared."""

from datetime import UTC, datetime

import pytest

from sidelight_contract.spec import Compare
from sidelight_operator.verdict.choice import Pair, choose

NOTHING = Pair("", "")


def at(**hours: int) -> dict[str, datetime]:
    """Versions and the hour in which each one's oldest pod was created."""
    return {name: datetime(2026, 11, 24, hour, tzinfo=UTC) for name, hour in hours.items()}


@pytest.mark.parametrize(
    ("asked", "versions", "pair"),
    [
        ({}, at(v1=1, v2=2), Pair("v1", "v2")),
        ({}, at(v1=1, v2=2, v3=3), Pair("v2", "v3")),
        ({"baseline": "v1"}, at(v1=1, v2=2, v3=3), Pair("v1", "v3")),
        ({"candidate": "v2"}, at(v1=1, v2=2, v3=3), Pair("v1", "v2")),
        ({"candidate": "v1"}, at(v1=1, v2=2), Pair("v2", "v1")),
        ({"baseline": "v3", "candidate": "v1"}, at(v1=1, v2=2, v3=3), Pair("v3", "v1")),
    ],
)
def test_the_newest_is_compared_with_the_one_before_unless_they_are_named(asked, versions, pair):
    """`previous` of a named candidate is the newest of those before it."""
    assert choose(Compare(**asked), versions, NOTHING) == pair


@pytest.mark.parametrize(
    ("asked", "versions", "pair"),
    [
        ({"candidate": "v2/sql"}, at(v1=1, v2=2), Pair("v1/sql", "v2/sql")),
        ({"candidate": "v1/sql"}, at(v1=1, v2=2), Pair("v2/sql", "v1/sql")),
        ({"baseline": "v1/a/b"}, at(v1=1, v2=2), Pair("v1/a/b", "v2/a/b")),
        ({"baseline": "v1", "candidate": "v1/sql"}, at(v1=1, v2=2), Pair("v1", "v1/sql")),
        ({"baseline": "v1/sql", "candidate": "v1/poems"}, at(v1=1), Pair("v1/sql", "v1/poems")),
    ],
)
def test_an_adapter_is_held_against_itself_unless_both_are_named(asked, versions, pair):
    """Of another version; against its own model only where that is asked for."""
    assert choose(Compare(**asked), versions, NOTHING) == pair


def test_a_pair_of_adapters_stays_while_its_pods_are_replaced():
    """As that of their pods does."""
    before = Pair("v1/sql", "v2/sql")
    assert choose(Compare(baseline="v1/sql"), at(v1=5, v2=2), before) == before
    assert choose(Compare(candidate="v2/sql"), at(v1=5, v2=2), before) == before


def test_a_pair_stays_while_its_pods_are_replaced():
    """All of the old version's pods were evicted and made anew: it is still the baseline."""
    before = Pair("v1", "v2")
    assert choose(Compare(), at(v1=5, v2=2), before) == before


def test_a_newer_version_begins_a_comparison_with_the_candidate_of_before():
    """What was judged is what is compared with now."""
    assert choose(Compare(), at(v1=1, v2=2, v3=3), Pair("v1", "v2")) == Pair("v2", "v3")


@pytest.mark.parametrize(
    ("asked", "versions", "missing"),
    [
        ({}, {}, "no version has an observed pod"),
        ({}, at(v1=1), "v1 is the only version with observed pods"),
        ({"candidate": "v9"}, at(v1=1), "v9 has no observed pod"),
        ({"baseline": "v9"}, at(v1=1, v2=2), "v9 has no observed pod"),
        ({"baseline": "v1"}, at(v1=1), "v1 is the only version with observed pods"),
        ({"candidate": "v9/sql"}, at(v1=1), "v9/sql has no observed pod"),
        (
            {"candidate": "v1/sql"},
            at(v1=1),
            "v1 is the only version with observed pods; to hold v1/sql against its own model, name "
            "v1 as the baseline",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(asked, versions, missing):
    """By name where there is one."""
    assert choose(Compare(**asked), versions, NOTHING).missing == missing


def test_a_baseline_that_has_gone_is_named_and_not_replaced():
    """The rollout is over: nothing else takes its place."""
    found = choose(Compare(), at(v2=2), Pair("v1", "v2"))
    assert found == Pair("v1", "v2", "v1 has no observed pod")
