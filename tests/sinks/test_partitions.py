"""Names of objects: by a record's origin and hour, and nothing climbs out of them."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipping import BEGAN, record

from sidelight_sidecar.capture.sinks.partitions import MAX_VALUE_CHARACTERS, escape, objects
from sidelight_sidecar.records.record import Origin

PARTS = ["namespace", "model", "version", "date", "hour"]


def test_a_record_lies_by_its_origin_and_the_hour_it_began_in():
    """In UTC; the name begins with the moment, so that names sort by it."""
    (name,) = objects([record(1, start=BEGAN + 61)])
    place, _, last = name.rpartition("/")
    assert place == "namespace=ml/model=chat/version=v1/date=2025-11-24/hour=16"
    assert last.startswith("20251124T160101Z-")
    assert last.endswith(".jsonl.zst")


def test_what_is_not_known_is_unknown():
    """A sidecar is not always told its version."""
    (name,) = objects([record(1, Origin(namespace="ml"))])
    assert name.startswith("namespace=ml/model=unknown/version=unknown/")


def test_the_same_records_are_the_same_object_and_others_another():
    """By their ids; what else is in a record does not count."""
    again = objects([record(1, text="a"), record(2)])
    assert list(again) == list(objects([record(1, text="b"), record(2)]))
    others = [[record(1)], [record(2)], [record(2), record(1)], [record(1), record(2), record(3)]]
    names = {name for records in others for name in objects(records)}
    assert len(names | set(again)) == 5


def test_a_batch_is_split_by_place_and_keeps_its_order():
    """Nothing is lost or doubled on the way."""
    other = Origin(namespace="ml", observed_model="chat", version="v2")
    batch = [record(n, *([other] if n % 3 == 0 else [])) for n in range(9)]
    found = objects(batch)
    assert [line for line in batch if line in found[min(found)]] == found[min(found)]
    assert sorted(line for lines in found.values() for line in lines) == sorted(batch)
    assert len(found) == 2


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b"no json", b'{"id": 1}', record(1)[:-9]])
def test_what_is_no_record_is_said(line: bytes):
    """Without a word of what it is."""
    with pytest.raises(ValueError, match=r"^not a record$"):
        objects([record(1), line])


@pytest.mark.parametrize("start", [-5.0, 0.0, 1e12, 9.2e9])
def test_a_clock_that_is_far_off_is_a_place_all_the_same(start: float):
    """Some date, and no error."""
    (name,) = objects([record(1, start=start)])
    assert len(name.split("/")) == 6


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("v1.2-rc_3", "v1.2-rc_3"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a/../b", "a%2F..%2Fb"),
        ("a=b", "a%3Db"),
        ("50%", "50%25"),
        ("é~", "%C3%A9%7E"),
        ("", "unknown"),
    ],
)
def test_values_are_escaped_as_in_urls(value: str, escaped: str):
    """And none begins with a dot."""
    assert escape(value) == escaped


def test_long_values_that_begin_alike_are_told_apart():
    """By a hash of the whole."""
    one, other = ("x" * 5000 + end for end in "ab")
    assert escape(one) != escape(other)
    assert len(escape(one)) == len(escape(other)) == MAX_VALUE_CHARACTERS


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_name_climbs_out_or_makes_a_place_of_its_own(namespace: str, version: str):
    """Six parts, each with its name, of characters that every store takes as they are."""
    (name,) = objects([record(1, Origin(namespace=namespace, version=version))])
    parts = name.split("/")
    assert [part.split("=")[0] for part in parts[:5]] == PARTS
    assert all(part.count("=") == 1 for part in parts[:5])
    values = [part.split("=")[1] for part in parts[:5]]
    assert all(value and len(value) <= MAX_VALUE_CHARACTERS for value in values)
    assert all(not value.startswith(".") for value in values)
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set(" \\?#:*\"<>|'&+,;")


@given(st.text(), st.text())
def test_different_values_are_different_places(one: str, other: str):
    """What was escaped can be read again; what was cut is told apart by its hash."""
    if one != other and all((one, other)):
        assert escape(one) != escape(other)
    if one and "~" not in escape(one):
        assert unquote(escape(one)) == one
