"""JSON that was cut is JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_sidecar.capture.sinks.otlp.fit import CUT, fit

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(value=st.lists(values, max_size=12), limit=st.integers(2, 1500))
def test_it_stays_within_the_limit_and_is_json_whatever_it_held(value: Any, limit: int):
    """What fits is as it was."""
    text, cut = fit(value, limit)
    assert len(text.encode()) <= limit
    assert cut == (json.loads(text) != value)


def test_long_texts_are_cut_before_messages_are_lost():
    """All three are there, each with its beginning."""
    said = [{"role": "user", "content": f"{number}" + 'é"\n' * 5000} for number in range(3)]
    text, cut = fit(said, 4096)
    found = json.loads(text)
    assert cut
    assert [one["content"][0] for one in found] == ["0", "1", "2"]
    assert all(one["content"].endswith(CUT) for one in found)
    assert len(text.encode()) > 1000


def test_of_many_messages_the_last_stay():
    """They are what was asked."""
    said = [{"role": "user", "content": str(number)} for number in range(5000)]
    found = json.loads(fit(said, 1024).text)
    assert found[-1] == {"role": "user", "content": "4999"}
    assert len(found) > 5
