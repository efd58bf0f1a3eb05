"""Base64 and hex: media, and text that hides in an encoding."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from captured import request_of
from fake_masker import SECRET, FakeMasker
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_sidecar.capture.content import Limits, Rules, encoded
from sidelight_sidecar.capture.content.text import Texts
from sidelight_sidecar.capture.content.walk import Walker

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
PNG_64 = base64.b64encode(PNG).decode()
MARKER = f"[IMAGE image/png 1032 bytes sha256:{hashlib.sha256(PNG).hexdigest()[:16]}]"


def finds(text: str) -> bool:
    """The masker finds something."""
    return FakeMasker().mask(text).text != text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}},
            {"type": "image_url", "image_url": {"url": MARKER}},
        ),
        (
            {"type": "input_image", "image_url": f"data:image/png;name=x;base64,{PNG_64}"},
            {"type": "input_image", "image_url": MARKER},
        ),
        (
            {"source": {"type": "base64", "media_type": "image/png", "data": PNG_64}},
            {"source": {"type": "base64", "media_type": "image/png", "data": MARKER}},
        ),
        ({"images": [PNG_64]}, {"images": [MARKER]}),
        ({"image_data": [{"data": PNG_64, "id": 1}]}, {"image_data": [{"data": MARKER, "id": 1}]}),
        ({"content": f"![x](data:image/png;base64,{PNG_64}) y"}, {"content": f"![x]({MARKER}) y"}),
        ({"anything": PNG_64}, {"anything": MARKER}),
    ],
    ids=["openai", "responses", "anthropic", "ollama", "llamacpp", "markdown", "nobody's"],
)
def test_inlined_media_become_a_marker(value: Any, expected: Any) -> None:
    """Type, size and the beginning of a hash, wherever an API has them."""
    assert request_of(value) == expected
    assert request_of(value, full=True) == value


def test_a_declared_type_is_believed_only_as_a_type() -> None:
    """A client may write anything there."""
    audio = base64.b64encode(bytes(range(200, 256)) * 10).decode()
    value = {
        "input_audio": {"data": audio, "format": "mp3"},
        "x": {"data": audio, "format": SECRET},
    }
    found = request_of(value)
    assert found["input_audio"]["data"].startswith("[AUDIO audio/mpeg 560 bytes sha256:")
    assert found["x"] == {"data": found["x"]["data"], "format": "[SECRET]"}
    assert found["x"]["data"].startswith("[BINARY 560 bytes sha256:")


class Words(FakeMasker):
    """Finds two words of its own."""

    def mask(self, text: str) -> Any:
        """Mask them, and what the other one does."""
        return super().mask(text.replace("x-acme", "a@b.com").replace("[ENCODED] tail", "a@b.com"))


def test_a_marker_that_is_a_finding_says_nothing() -> None:
    """A declared type may be the name of somebody."""
    texts = Texts(Words(), Rules())
    walker = Walker(texts, Limits())
    part = {"media_type": "image/x-acme", "data": base64.b64encode(b"\xff" * 300).decode()}
    assert walker.body(dict(part), answer=False) == {
        "media_type": "image/[EMAIL]",
        "data": "[ENCODED]",
    }


def test_what_is_left_after_decoding_is_masked_again() -> None:
    """Every string that is passed on is as the masker leaves it."""
    run = base64.b64encode(SECRET.encode()).decode()
    assert Texts(Words(), Rules()).leaf(f"{run} tail") == "[EMAIL]"


def test_of_something_small_there_is_no_hash() -> None:
    """It could be guessed: a number, a date, a name."""
    assert "sha256" not in request_of({"data": base64.b64encode(b"\xff" * 200).decode()})["data"]


def test_short_base64_and_base64_of_text_stay() -> None:
    """Ids and hashes look like it, and a note in base64 is text without a finding."""
    note = base64.b64encode(b"nothing to see here, " * 20).decode()
    value = {"id": "chatcmpl-DmfZu2BjJmBGSSHpj9hWtFQYBUxYn", "data": "c2hvcnQ=", "x": note}
    assert request_of(value) == value


SECRETS = st.tuples(
    st.text("abc é", max_size=12), st.sampled_from([SECRET, "someone@example.com"]),
    st.text("abc é", max_size=12),
).map("".join)  # fmt: skip


@settings(max_examples=200)
@given(
    SECRETS,
    st.sampled_from(["b64encode", "urlsafe_b64encode", "b16encode", "hex"]),
    st.booleans(),
    st.sampled_from(["", " ", "key: ", "see https://x.example/", "(", '"', "é"]),
    st.sampled_from(["", " ", ")", ".", "/tail/end", "é"]),
)
def test_a_secret_in_an_encoding_does_not_survive(
    text: str, coding: str, padded: bool, before: str, after: str
) -> None:
    """Base64 of both alphabets, with and without its end, and hex, within any text."""
    raw = text.encode()
    run = raw.hex() if coding == "hex" else getattr(base64, coding)(raw).decode()
    run = run if padded else run.rstrip("=")
    shown = encoded.hidden(before + run + after, finds)
    if after.startswith("/") and "/" in run:
        return  # nobody can tell where it ends
    assert run not in shown
    assert shown.startswith(before)


def test_a_text_that_is_base64_in_lines_is_looked_into() -> None:
    """Mail breaks it at 76 characters: a secret may be in two lines."""
    lines = base64.encodebytes(b"x" * 50 + SECRET.encode() + b"y" * 20).decode()
    assert "\n" in lines.strip()
    assert request_of({"a": lines}) == {"a": "[ENCODED]"}
    clean = base64.encodebytes(b"nothing " * 20).decode()
    assert request_of({"a": clean}) == {"a": clean}


@given(st.text(max_size=60))
def test_text_of_any_language_stays(text: str) -> None:
    """Nothing hides in it."""
    assert encoded.hidden(text, finds) == text
    assert encoded.data_urls(text) == text


@pytest.mark.parametrize(
    "text", ["A" * 500_000, "ab12" * 100_000, "A-" * 200_000, "AAAA=" * 90_000]
)
def test_long_runs_cost_their_length(text: str) -> None:
    """Each is decoded twice at most: the counted calls are few."""
    sizes: list[int] = []

    def counted(found: str) -> bool:
        sizes.append(len(found))
        return False

    assert encoded.hidden(text, counted) == text
    assert sum(sizes) <= 2 * len(text)
