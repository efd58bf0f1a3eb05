"""The fuzzer for a fixed number of inputs, and that it would find something."""

from __future__ import annotations

from random import Random

import pytest
from fuzzing import Fuzzer, fails, shrink
from hypothesis import given
from hypothesis import strategies as st
from inputs import MAX_RECORDS, decode, encode, frames_of, records_of
from mutate import mutate_bytes
from talks import records, seeds
from target import one_input

from sidelight_sidecar.observer.dialects.openai import OpenAI

_PLAIN = {"/health", "/nobody", "/predict"}  # of no dialect that has a name
INPUTS = 2000
"""About ten seconds; `make fuzz` goes on for longer."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [20261124])
def test_nothing_that_is_made_up_breaks_the_observer(seed: int) -> None:
    """A fixed seed, so that what passes today passes tomorrow; others are for `make fuzz`."""
    fuzzer = Fuzzer(seed)
    for _ in range(INPUTS):
        data = fuzzer.step()
        assert data is None, f"{fails(data)}: find it with hack/fuzz.py --seed {seed}"
    assert len(fuzzer.kept) > 500


@given(st.binary(max_size=2000))
def test_any_bytes_are_an_input(data: bytes) -> None:
    """Whatever they are, they are frames, and all holds."""
    one_input(data, thorough=False)


@given(st.binary(max_size=500), st.integers(0, 2**32))
def test_bytes_and_records_are_the_same_thing(data: bytes, seed: int) -> None:
    """Records that were read from bytes are written and read again unchanged."""
    settings, made = decode(data)
    assert decode(encode(settings, made)) == (settings, made)
    assert len(made) <= MAX_RECORDS
    assert mutate_bytes(Random(seed), data) == mutate_bytes(Random(seed), data)


@pytest.mark.parametrize("http2", [False, True])
def test_each_api_is_reached(http2: bool) -> None:
    """Every talk that the fuzzer begins with is an exchange that its dialect reads."""
    for talk in seeds():
        seen = one_input(encode(1, records([talk], 1, http2=http2 or talk.http2)))
        outcomes = seen[0]
        assert isinstance(outcomes, frozenset)
        assert seen[1] == frozenset(), f"{talk.path}: opaque"
        dialects = {what[0] for what, _ in outcomes}
        assert len(dialects - {""}) == 1 or talk.path in _PLAIN, talk.path


def test_a_planted_fault_is_found_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that only a certain event brings, in a dialect."""
    read = OpenAI.event

    def faulty(self: OpenAI, name: bytes, data: bytes, at_ns: int) -> int:
        if self.exchange.protocol == "http/1.1" and b'"tool_calls"' in data:
            raise KeyError("planted")
        return read(self, name, data, at_ns)

    monkeypatch.setattr(OpenAI, "event", faulty)
    fuzzer = Fuzzer(2)
    found = next(data for data in (fuzzer.step() for _ in range(500)) if data is not None)
    assert "planted" in fails(found)
    smaller = shrink(found, lambda data: "" if "planted" not in fails(data) else "planted")
    assert "planted" in fails(smaller)
    assert len(smaller) < 500
    assert records_of(frames_of(decode(smaller)[1])) == decode(smaller)[1]
