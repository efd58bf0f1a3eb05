"""Durations, the configuration file and the summary: good ones pass, bad ones are explained."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.config import ConfigError, SidecarConfig, decode_config, encode_config
from sidelight_contract.durations import format_duration, parse_duration, round_significant
from sidelight_contract.sketch import Sketch
from sidelight_contract.summary import (
    MAX_SUMMARY_BYTES,
    SidecarState,
    Summary,
    SummaryError,
    Traffic,
    decode_counted,
    decode_summary,
    encode_summary,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("1.5s", 1.5), ("1m30s", 90), ("2h", 7200), ("812us", 0.000812)],
)
def test_durations_are_read_as_kubernetes_writes_them(text, seconds):
    """Go-style durations in seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "ms", "-1s", "1 s", "1s ", "1d"])
def test_a_bad_duration_is_refused_with_an_example(text):
    """The message shows how to write one."""
    with pytest.raises(ValueError, match="write it like 500ms"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.000812, "812us"), (0.0413, "41.3ms"), (1.2449, "1.24s"), (0.9999, "1.00s"), (0, "0us")],
)
def test_durations_are_printed_with_three_digits(seconds, text):
    """Three significant digits and a unit."""
    assert format_duration(seconds) == text


@given(st.floats(min_value=1e-6, max_value=1e5))
def test_a_printed_duration_reads_back_within_three_digits(seconds):
    """Printing loses less than 1 %."""
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.0051)


@pytest.mark.parametrize(("value", "text"), [(0.012345, "0.0123"), (4567.8, "4570"), (0, "0")])
def test_numbers_are_rounded_to_significant_digits(value, text):
    """Plain decimals, no exponent."""
    assert round_significant(value) == text


def test_the_smallest_configuration_is_whole():
    """Every field but the version has a default."""
    assert decode_config(b'{"version": 1}') == SidecarConfig(version=1)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "truncated"),
        (b"{}", "version"),
        (b'{"version": 2}', r"\$.version"),
        (b'{"version": 1, "windowSeconds": 5}', "windowSeconds"),
        (b'{"version": 1, "window_seconds": 5}', r">= 10.*window_seconds"),
        (b" " * 70_000, "65536"),
    ],
)
def test_a_bad_configuration_says_where_it_is_wrong(body, says):
    """The error names the field or the limit."""
    with pytest.raises(ConfigError, match=says):
        decode_config(body)


def test_a_configuration_survives_the_wire():
    """What the controller writes is what the sidecar reads."""
    config = SidecarConfig(version=1, revision="r1", model="chat", max_model_labels=8)
    assert decode_config(encode_config(config)) == config


def test_a_configuration_names_only_what_is_not_as_by_default():
    """So that an older sidecar does not refuse it for a field that nobody uses."""
    config = SidecarConfig(version=1, model="chat", window_seconds=60)
    assert encode_config(config) == b'{"version":1,"model":"chat","window_seconds":60}'


def summary(**changes):
    fields = {
        "sidecar": SidecarState(release="0.1.0", started_at=1.0, boot_id="b"),
        "generated_at": 2.0,
        "window_seconds": 1.0,
        "window": [],
        "total": [],
    }
    return Summary(**{**fields, **changes})


def test_a_summary_survives_the_wire_with_its_sketches():
    """Bucket numbers are integers again after JSON."""
    traffic = Traffic(model="m", operation="chat", requests=3, codes={"200": 3})
    traffic.time_to_first_token.add(0.25)
    original = summary(total=[traffic])
    assert decode_summary(encode_summary(original)) == original


def test_a_counted_summary_is_whole_but_for_the_distributions_of_its_total():
    """The window keeps its own."""

    def traffic(**fields):
        made = Traffic(model="m", operation="chat", requests=3, codes={"200": 3}, **fields)
        made.abandoned.phases = {"decode": 1}
        return made

    timed = traffic()
    timed.duration.add(0.25)
    told = encode_summary(summary(window=[timed], total=[timed], window_seconds=7.0))
    assert decode_counted(told) == summary(window=[timed], total=[traffic()], window_seconds=7.0)


def test_a_field_of_a_newer_sidecar_is_ignored():
    """Adding a field does not break an older operator."""
    body = encode_summary(summary())[:-1] + b',"novelty":1}'
    assert decode_summary(body) == summary()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "not a summary"),
        (encode_summary(summary(version=99)), "upgrade the operator"),
        (b"[" + b" " * MAX_SUMMARY_BYTES, "at most"),
    ],
)
def test_a_bad_summary_is_explained(body, says):
    """Garbage, a newer version and an oversized body each get a sentence."""
    for decode in (decode_summary, decode_counted):
        with pytest.raises(SummaryError, match=says):
            decode(body)


counts = st.dictionaries(st.sampled_from(["200", "400", "499"]), st.integers(0, 5))


@st.composite
def traffics(draw):
    sketch = Sketch()
    for value in draw(st.lists(st.floats(0, 10), max_size=5)):
        sketch.add(value)
    return Traffic(
        model="m",
        operation="chat",
        requests=draw(st.integers(0, 9)),
        codes=draw(counts),
        errors=draw(counts),
        duration=sketch,
    )


@given(traffics(), traffics(), traffics())
def test_merging_traffic_is_associative_and_commutative(a, b, c):
    """The order in which the operator meets its pods does not matter."""

    def merge(*parts):
        result = Traffic(model="m", operation="chat")
        for part in parts:
            result.merge(part)
        return result

    assert merge(merge(a, b), c) == merge(c, merge(b, a))
    assert msgspec.json.decode(msgspec.json.encode(merge(a, b)), type=Traffic) == merge(a, b)
