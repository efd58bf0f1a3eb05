"""Sums by stratum: exact in any order, a span is a difference, and bounded."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.strata import (
    CONCURRENCY_BOUNDS,
    LOG_UNIT,
    MAX_STRATUM_BYTES,
    OUTPUT_BOUNDS,
    PROMPT_BOUNDS,
    LogSums,
    Strata,
    Stratum,
    add_since,
    bucket,
    key_of,
)

seconds = st.none() | st.floats(min_value=0, max_value=1e5)
requests = st.lists(
    st.tuples(st.sampled_from(["m", "n"]), st.integers(0, 2), st.booleans(), seconds, seconds),
    max_size=12,
)


def strata(what) -> Strata:
    """Of requests: model, prompt bucket, failed, time to first token and duration."""
    rows: dict = {}
    for model, prompt, failed, first, duration in what:
        row = rows.setdefault((model, prompt), Stratum(model, prompt, 0, 1, 0))
        row.requests += 1
        row.failed += failed
        row.time_to_first_token.take(first)
        row.duration.take(duration)
    return Strata(list(rows.values()))


def shown(what: Strata) -> dict:
    return {row.key: msgspec.to_builtins(row) for row in what.rows}


def added(*parts: Strata) -> Strata:
    whole = Strata()
    for part in parts:
        whole.merge(part)
    return whole


@given(requests, requests, requests)
def test_strata_add_up_in_any_order_and_grouping(a, b, c):
    """Integers alone: merging is associative and commutative to the bit, and loses nothing."""
    one = added(added(strata(a), strata(b)), strata(c))
    other = added(strata(c), added(strata(b), strata(a)))
    assert shown(one) == shown(other) == shown(strata(a + b + c))


@given(requests, requests)
def test_a_span_is_the_difference_of_two_readings(a, b):
    """What came after the first reading, and nothing of before; strata without news are absent."""
    sums: dict = {}
    add_since(sums, strata(a).rows, strata(a + b).rows)
    assert shown(Strata(list(sums.values()))) == shown(strata(b))


@given(st.lists(st.floats(min_value=1e-5, max_value=1e4), min_size=1, max_size=50))
def test_the_mean_of_logarithms_is_kept_to_a_hundredth_of_a_percent(durations):
    """Fixed point costs half a step at most."""
    sums = LogSums()
    for value in durations:
        sums.take(value)
    true = sum(map(math.log, durations)) / len(durations)
    assert sums.total / sums.count / LOG_UNIT == pytest.approx(true, abs=0.51 / LOG_UNIT)


def test_lengths_fall_into_buckets_and_unknown_is_one_of_its_own():
    """An upper bound belongs to its bucket; 0 tokens are known."""
    assert [bucket(n, PROMPT_BOUNDS) for n in (None, 0, 128, 129, 32768, 32769)] == [
        0,
        1,
        1,
        2,
        5,
        6,
    ]
    key = key_of("m", None, 17, streamed=True, concurrency=3)
    assert key == ("m", 0, 2, 1, 2)
    assert key_of("m", None, 17, streamed=True, concurrency=10_000)[4] == len(CONCURRENCY_BOUNDS)


def test_the_possible_strata_and_the_bytes_of_one_are_what_the_docs_say():
    """784 for a model; a row with the longest name and huge sums stays within its bound."""
    buckets = (
        (len(PROMPT_BOUNDS) + 2) * (len(OUTPUT_BOUNDS) + 2) * 2 * (len(CONCURRENCY_BOUNDS) + 1)
    )
    assert buckets == 784
    huge = [LogSums(10**9, -(10**14), 9 * 10**18) for _ in range(3)]
    row = Stratum("m" * 128, 6, 6, 1, 7, 10**9, 10**9, *huge)
    assert len(msgspec.json.encode(row)) <= MAX_STRATUM_BYTES


def test_rows_survive_the_wire_as_lists():
    """Names would be most of a summary's bytes."""
    told = Strata([Stratum("m", 1, 2, 1, 0, 3, 1, LogSums(3, -5, 25))], left_out=2)
    body = msgspec.json.encode(told)
    assert json.loads(body)["rows"] == [["m", 1, 2, 1, 0, 3, 1, [3, -5, 25], [0, 0, 0], [0, 0, 0]]]
    assert msgspec.json.decode(body, type=Strata) == told


def test_a_stratum_under_another_name_is_the_same_but_for_it():
    """And a copy: what is added to one is not in the other."""
    row = Stratum("sql", 1, 2, 1, 3, requests=5, failed=1)
    row.duration.take(0.25)
    called = row.called("base")
    assert called.key == ("base", *row.key[1:])
    assert called.called("sql") == row
    called.add(row)
    assert (row.requests, row.duration.count) == (5, 1)
