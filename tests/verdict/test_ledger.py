"""Blocks: what came within a minute, of observers that were there for all of it."""

from datetime import UTC, datetime, timedelta

from strata_world import some

from sidelight_contract.strata import Stratum
from sidelight_operator.verdict.ledger import BLOCK, LONGEST, Ledger, Reading

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def reading(pod: str, requests: int, *, boot: str = "b", version: str = "v1") -> Reading:
    return Reading(pod, boot, version, [some(requests)] if requests else [])


def counts(block: dict[str, list[Stratum]] | None) -> dict[str, int] | None:
    if block is None:
        return None
    return {version: sum(row.requests for row in rows) for version, rows in block.items()}


def test_a_block_holds_what_came_since_the_last_by_version():
    """The first reading only begins one."""
    ledger = Ledger()
    first = [reading("a", 5), reading("b", 7), reading("c", 1, version="v2")]
    assert ledger.due(NOW)
    assert ledger.close(first, NOW) is None
    assert not ledger.due(NOW + BLOCK / 2)
    assert ledger.due(NOW + BLOCK)
    then = [reading("a", 8), reading("b", 9), reading("c", 1, version="v2")]
    assert counts(ledger.close(then, NOW + BLOCK)) == {"v1": 5, "v2": 0}


def test_an_observer_that_was_restarted_begins_with_the_next_block():
    """It starts from zero; what it counts is not less than before, it is something else."""
    ledger = Ledger()
    ledger.close([reading("a", 100), reading("b", 1)], NOW)
    restarted = [reading("a", 3, boot="new"), reading("b", 2)]
    assert counts(ledger.close(restarted, NOW + BLOCK)) == {"v1": 1}
    then = [reading("a", 4, boot="new"), reading("b", 2)]
    assert counts(ledger.close(then, NOW + 2 * BLOCK)) == {"v1": 1}


def test_a_pod_that_goes_or_does_not_answer_takes_its_block_with_it():
    """What it had in two minutes is not put into one."""
    ledger = Ledger()
    ledger.close([reading("a", 1), reading("b", 1)], NOW)
    assert counts(ledger.close([reading("a", 2)], NOW + BLOCK)) == {"v1": 1}
    both = [reading("a", 3), reading("b", 99)]
    assert counts(ledger.close(both, NOW + 2 * BLOCK)) == {"v1": 1}


def test_a_block_in_which_the_controller_stood_still_is_not_used():
    """Its traffic is not simultaneous; the next block is as usual."""
    ledger = Ledger()
    ledger.close([reading("a", 1)], NOW)
    late = NOW + LONGEST + timedelta(seconds=1)
    assert ledger.close([reading("a", 50)], late) is None
    assert counts(ledger.close([reading("a", 51)], late + BLOCK)) == {"v1": 1}


def test_a_clock_that_is_set_back_costs_a_block_and_not_all_until_then():
    """Nobody knows how long that block was; the next one begins at once."""
    ledger = Ledger()
    ledger.close([reading("a", 1)], NOW)
    early = NOW - timedelta(hours=1)
    assert ledger.due(early)
    assert ledger.close([reading("a", 50)], early) is None
    assert not ledger.due(early + BLOCK / 2)
    assert counts(ledger.close([reading("a", 51)], early + BLOCK)) == {"v1": 1}


def test_an_adapters_requests_are_a_reading_of_their_own():
    """One observer tells of several versions; one that it begins to tell of waits a block."""
    ledger = Ledger()
    ledger.close([reading("a", 5)], NOW)
    ledger.close([reading("a", 6), reading("a", 100, version="v1/sql")], NOW + BLOCK)
    then = [reading("a", 8), reading("a", 103, version="v1/sql")]
    assert counts(ledger.close(then, NOW + 2 * BLOCK)) == {"v1": 2, "v1/sql": 3}
