"""The reader of exporters' text: which rows it keeps, and that no answer upsets it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from sidelight_sidecar.observer.accelerators.exporter_text import (
    MAX_LABEL_BYTES,
    MAX_LABEL_SETS,
    MAX_LINE_BYTES,
    MAX_OTHERS,
    MAX_ROWS,
    MAX_TEXT_BYTES,
    ExporterText,
    Scrape,
)

MINE = b'namespace="llm",pod="llama-0"'
SPLITS = st.lists(st.integers(0, 400), max_size=12)
LINES = st.lists(
    st.one_of(
        st.sampled_from([
            b'DCGM_A{UUID="GPU-1",%s} 1' % MINE,
            b'DCGM_A{UUID="GPU-1",%s} +Inf' % MINE,
            b'DCGM_A{UUID="GPU-1",note="a\\"b\\\\c\\nd",%s} 2.5e3 1700000000000' % MINE,
            b'DCGM_A{UUID="GPU-1",note="} # {",%s} 3 # {trace="}"} 1.0' % MINE,
            b'DCGM_A{UUID="GPU-1",note="un"escaped",%s} 4' % MINE,
            b'DCGM_A{UUID="GPU-2",namespace="llm",pod="llama-1"} 5',
            b'DCGM_A{UUID="GPU-3",pod_namespace="llm",pod_name="llama-0"} 6',
            b"# HELP DCGM_A pod llama-0",
            b"up 1",
            b"",
            b'DCGM_A{%s} \xff\xfe' % MINE,
            b'DCGM_\xff{%s} 1' % MINE,
            b'DCGM_A{UUID="\xff\xfe",%s} 7' % MINE,
        ]),
        st.binary(max_size=80),
    ),
    max_size=30,
)  # fmt: skip


def uuid_of(labels: Mapping[str, str]) -> str:
    return labels.get("UUID", "")


def reader() -> ExporterText:
    return ExporterText("llm", "llama-0", uuid_of, "DCGM_")


def read(*pieces: bytes) -> Scrape:
    text = reader()
    for piece in pieces:
        text.feed(piece)
    return text.finish()


def row(value: bytes = b"1", labels: bytes = MINE) -> bytes:
    return b'DCGM_A{UUID="GPU-1",%s} %s\n' % (labels, value)


def values(scrape: Scrape) -> list[float]:
    return [found.value for found in scrape.rows]


@given(LINES, SPLITS, st.booleans())
def test_where_an_answer_is_split_changes_nothing(
    lines: list[bytes], sizes: list[int], ended: bool
) -> None:
    """Any text in any pieces comes to what it comes to at once."""
    text = b"\n".join(lines) + (b"\n" if ended else b"")
    pieces, rest = [], text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert read(*pieces, rest) == read(text)


@given(st.binary(max_size=3000))
def test_no_bytes_raise(text: bytes) -> None:
    """Whatever comes, the rows that are kept are finite numbers of this pod."""
    scrape = read(text, text.replace(b"a", MINE))
    assert all(math.isfinite(found.value) for found in scrape.rows)


NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: "pod" not in name and "namespace" not in name and not name.startswith("__")
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    st.dictionaries(NAMES, TEXTS, max_size=5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", " 1700000000000"]),
)
def test_rows_are_read_as_the_official_parser_reads_them(
    labels: dict[str, str], value: float, time: str
) -> None:
    """Escapes, any Unicode and any number come out as prometheus_client has them."""
    everything = {**labels, "namespace": "llm", "pod": "llama-0"}
    inside = ",".join(f'{name}="{escaped(text)}"' for name, text in everything.items())
    line = f"DCGM_A{{{inside}}} {value!r}{time}\n"
    (family,) = text_string_to_metric_families(line)
    (sample,) = family.samples
    (found,) = read(line.encode()).rows
    assert (found.name, found.labels, found.value) == (sample.name, sample.labels, sample.value)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@pytest.mark.parametrize("value", [b"NaN", b"+Inf", b"-Inf", b"1e999", b"1_0", b"0x10", b"", b"x",
                                   b"1 x", b"ERROR - FAILED TO CONVERT TO STRING"])  # fmt: skip
def test_a_row_without_a_finite_number_is_counted_and_left_out(value: bytes) -> None:
    """It could be added to nothing."""
    scrape = read(row(value) + row(b"7"))
    assert (values(scrape), scrape.refused) == ([7.0], 1)


def test_a_last_line_that_no_newline_ends_is_left_out() -> None:
    """`12` may have been the beginning of `123456`."""
    scrape = read(row(b"1") + row(b"12345").rstrip(b"\n"))
    assert (values(scrape), scrape.refused) == ([1.0], 1)


def test_a_line_longer_than_the_bound_is_left_out_and_the_next_is_read() -> None:
    """In one piece or many, and however long it goes on."""
    long = row(labels=MINE + b',note="%s"' % (b"x" * MAX_LINE_BYTES))
    whole = read(row(b"1") + long + row(b"2"))
    text = row(b"1") + long * 3 + row(b"2")
    split = read(*(text[i : i + 1000] for i in range(0, len(text), 1000)))
    assert (values(whole), whole.refused) == ([1.0, 2.0], 1)
    assert (values(split), split.refused) == ([1.0, 2.0], 3)


def test_the_end_of_a_line_that_is_too_long_is_no_row_of_its_own() -> None:
    """It may look like one."""
    text = b"# " + b"x" * MAX_LINE_BYTES + row(b"9") + row(b"1")
    assert values(read(text)) == [1.0]
    for size in (7, 100, MAX_LINE_BYTES + 2):
        assert values(read(*(text[i : i + size] for i in range(0, len(text), size)))) == [1.0]


def test_a_line_that_never_ends_is_not_kept() -> None:
    """A hundred times the bound, and what is kept of it stays below it."""
    text = reader()
    for _ in range(100):
        text.feed(b"x" * MAX_LINE_BYTES)
        assert len(text._rest) <= MAX_LINE_BYTES
    text.feed(b"\n" + row(b"3"))
    assert values(text.finish()) == [3.0]


def test_an_answer_past_the_bound_is_known_as_such() -> None:
    """The rest is not looked at."""
    text = reader()
    piece = b"# a comment that says nothing at all\n" * 1000
    for _ in range(MAX_TEXT_BYTES // len(piece) + 1):
        text.feed(piece)
    text.feed(row())
    scrape = text.finish()
    assert (scrape.truncated, scrape.rows) == (True, [])


def test_rows_past_their_number_are_dropped_and_counted() -> None:
    """An exporter that repeats itself without end costs a bounded list."""
    scrape = read(row() * (MAX_ROWS + 5))
    assert (len(scrape.rows), scrape.dropped) == (MAX_ROWS, 5)


def test_the_pod_of_the_same_name_in_another_namespace_is_another() -> None:
    """A name is one only within its namespace."""
    scrape = read(row(labels=b'namespace="research",pod="llama-0"'))
    assert (scrape.rows, scrape.others) == ([], {"GPU-1"})


def test_a_pod_without_a_namespace_is_not_this_one() -> None:
    """Whose it is cannot be known."""
    assert read(row(labels=b'pod="llama-0"')).rows == []


def test_empty_labels_of_a_pod_name_nobody() -> None:
    """AMD's exporter has them on every row."""
    scrape = read(row(labels=b'namespace="",pod=""'))
    assert (scrape.rows, scrape.others, scrape.known) == ([], set(), True)


@pytest.mark.parametrize("labels", [
    b'namespace="llm",pod="llama-0"',
    b'pod_namespace="llm",pod_name="llama-0"',
    b'namespace="gpu-operator",pod="exporter",exported_namespace="llm",exported_pod="llama-0"',
])  # fmt: skip
def test_each_spelling_of_the_pod_is_known(labels: bytes) -> None:
    """The exporter's, its old one, and that of a scraper in between."""
    assert values(read(row(labels=labels))) == [1.0]


def test_what_another_pod_calls_itself_is_not_believed_beside_the_exporters_own_word() -> None:
    """Labels of pods are copied into rows: one could claim to be this pod's."""
    liar = b'exported_namespace="llm",exported_pod="llama-0",namespace="llm",pod="llama-1"'
    assert values(read(row(b"9", liar) + row(b"1"))) == [1.0]


def test_of_a_label_that_comes_twice_the_last_counts() -> None:
    """The exporter writes its own after those it copied."""
    copied = b'namespace="llm",pod="llama-0",namespace="llm",pod="llama-1"'
    scrape = read(row(labels=copied))
    assert (scrape.rows, scrape.others) == ([], {"GPU-1"})


def test_devices_of_other_pods_are_remembered_up_to_a_number() -> None:
    """Past it any device may be shared, and none passes for this pod's alone."""
    lines = b"".join(
        b'DCGM_A{UUID="GPU-%d",namespace="llm",pod="p"} 1\n' % n for n in range(MAX_OTHERS + 1)
    )
    scrape = read(lines)
    assert len(scrape.others) == MAX_OTHERS
    assert (scrape.crowded, scrape.shared("GPU-never-seen")) == (True, True)


def test_sets_of_labels_are_remembered_up_to_a_number_and_this_pods_rows_kept_beyond() -> None:
    """A node whose rows all differ costs no more memory, and hides nothing."""
    lines = b"".join(
        b'DCGM_A{UUID="GPU-1",namespace="llm",pod="p",n="%d"} 1\n' % n
        for n in range(MAX_LABEL_SETS + 10)
    )
    text = reader()
    text.feed(lines + row(b"8"))
    assert len(text._seen) == MAX_LABEL_SETS
    scrape = text.finish()
    assert (values(scrape), scrape.crowded) == ([8.0], True)


def test_labels_of_this_pods_rows_are_kept_up_to_their_size() -> None:
    """Each row with other, long labels: 32 MB of them are not 100 MB in memory."""
    long = b"x" * 8000
    lines = [row(labels=MINE + b',n="%d%s"' % (n, long)) for n in range(2000)]
    scrape = read(*lines)
    assert sum(len(found.labels["n"]) for found in scrape.rows) <= 2 * MAX_LABEL_BYTES + len(long)
    assert scrape.dropped == len(lines) - len(scrape.rows) > 0


def test_an_answer_of_something_else_is_known_as_such() -> None:
    """A web page or another exporter has none of the metrics."""
    assert not read(b"<html><p>pod</p></html>\n").known
    assert not read(b'node_load{pod="llama-0",namespace="llm"} 1\n').known
    assert read(row(labels=b'n="1"')).known
