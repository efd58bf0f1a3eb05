"""Which exchanges become records, why, and what their weights say of all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.capture import KeepSettings, KeptFor
from sidelight_sidecar.observer.keep.decide import Keeper, Outcome, place_of
from sidelight_sidecar.observer.keep.quota import MINUTE_NS

WELL = Outcome("request-1", "llama", "chat", 1.0, 0)
SALT = b"salt"


@pytest.mark.parametrize(
    ("settings", "outcome", "reason"),
    [
        (KeepSettings(share=0), replace(WELL, error="server_error"), KeptFor.ERROR),
        (
            KeepSettings(share=0),
            replace(WELL, error="client_disconnect", abandoned=True),
            KeptFor.ABANDONED,
        ),
        (KeepSettings(share=0, truncated=True), replace(WELL, truncated=True), KeptFor.TRUNCATED),
        (KeepSettings(share=0, slower_than=0.5), WELL, KeptFor.SLOW),
        (KeepSettings(), WELL, KeptFor.SAMPLED),
    ],
)
def test_each_rule_keeps_what_it_says_and_names_itself(
    settings: KeepSettings, outcome: Outcome, reason: KeptFor
):
    """With certainty, while there is room."""
    decision = Keeper(settings, SALT).decide(outcome)
    assert decision.keep
    assert decision.probability == 1
    assert decision.reasons == (reason,)


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        (KeepSettings(share=0), WELL),
        (KeepSettings(share=0, errors=False), replace(WELL, error="server_error")),
        (KeepSettings(share=0, abandoned=False), replace(WELL, abandoned=True)),
        (KeepSettings(share=0), replace(WELL, truncated=True)),
        (KeepSettings(share=0, slower_than=1.0), WELL),
    ],
)
def test_what_no_rule_wants_is_not_kept(settings: KeepSettings, outcome: Outcome):
    """And has no probability."""
    decision = Keeper(settings, SALT).decide(outcome)
    assert not decision.keep
    assert decision.probability == 0


def test_the_slowest_hundredth_of_a_kind_is_kept_once_it_is_known():
    """After 200 of 1.0 s, one of 1.5 s stands out; of another operation it does not."""
    keeper = Keeper(KeepSettings(share=0), SALT)
    slow = replace(WELL, seconds=1.5)
    assert not keeper.decide(slow).keep, "nothing is known yet"
    for number in range(250):
        keeper.decide(replace(WELL, request_id=str(number)))
    assert keeper.decide(slow).reasons == (KeptFor.SLOWEST,)
    assert not keeper.decide(replace(slow, operation="embeddings")).keep


def test_a_storm_of_errors_leaves_the_sample_its_quota():
    """A thousand errors in a minute, then one that went well."""
    keeper = Keeper(KeepSettings(per_minute=20), SALT)
    for number in range(1000):
        keeper.decide(replace(WELL, request_id=f"e{number}", error="overloaded"))
    calm = Keeper(KeepSettings(per_minute=20), SALT)
    assert keeper.decide(replace(WELL, stop_ns=MINUTE_NS)).probability > 0
    assert calm.decide(WELL).probability == 1


@given(st.text(max_size=20), st.binary(max_size=16))
def test_a_place_is_stable_by_id_and_below_one(request_id: str, salt: bytes):
    """Any id there may be."""
    place = place_of(request_id, salt)
    assert place == place_of(request_id, salt)
    assert 0 <= place < 1


def test_totals_are_estimated_without_bias():
    """Errors and all, under quotas that thin both: a mean over 300 salts is near the truth."""
    runs, errors, count = 300, 60, 300
    sums, error_sums = [], []
    for run in range(runs):
        keeper = Keeper(KeepSettings(per_minute=64, slowest=False), str(run).encode())
        weight = error_weight = 0.0
        for number in range(count):
            error = "overloaded" if number % 5 == 0 else ""
            decision = keeper.decide(replace(WELL, request_id=str(number), error=error))
            if decision.keep:
                weight += 1 / decision.probability
                error_weight += bool(error) / decision.probability
        sums.append(weight)
        error_sums.append(error_weight)
    for found, truth in ((sums, count), (error_sums, errors)):
        mean = sum(found) / runs
        spread = (sum((one - mean) ** 2 for one in found) / (runs - 1)) ** 0.5
        assert spread > 0, "they were thinned"
        assert abs(mean - truth) < 4 * spread / runs**0.5
