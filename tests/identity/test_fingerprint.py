"""Digests that tell tokenizers and templates apart, and nothing else."""

from __future__ import annotations

import json

import pytest

from sidelight_sidecar.observer.engine.tokenizers import FORMS
from sidelight_sidecar.observer.identity import fingerprint


def tokenized(**answer: object) -> bytes:
    """An answer of `/tokenize`."""
    return json.dumps(answer).encode()


def test_other_tokens_are_another_tokenizer() -> None:
    """The order counts; how the answer is written does not."""
    first = fingerprint.tokenizer_digest(tokenized(tokens=[1, 23], count=2, max_model_len=8))
    assert first.startswith("sha256:")
    assert first == fingerprint.tokenizer_digest(b'{"tokens": [1,\n23]}')
    others = [tokenized(tokens=[23, 1]), tokenized(tokens=[12, 3]), tokenized(tokens=[1, 2, 3])]
    assert len({first, *map(fingerprint.tokenizer_digest, others)}) == 4


@pytest.mark.parametrize("tokens", [[], [1, "2"], [True], "12", None, [1] * 5000, [{"id": 1}]])
def test_what_are_no_tokens_make_no_digest(tokens: object) -> None:
    """Rather none than one that another engine would have by chance."""
    assert fingerprint.tokenizer_digest(tokenized(tokens=tokens)) == ""


def test_the_text_is_asked_for_as_it_is() -> None:
    """Without what a template or a prompt would put before it, in the form the engine knows."""
    asked = [json.loads(fingerprint.text_question(form)) for form in FORMS]
    assert asked == [
        {"prompt": fingerprint.TEXT, "add_special_tokens": False},
        {"content": fingerprint.TEXT, "add_special": False},
    ]
    assert len(fingerprint.TEXT.encode()) < fingerprint.MAX_TOKENS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"prompt": "Today: 26 Jul 2024\nHi"}, {"prompt": "Today: 3 August 2026\nHi"}),
        ({"prompt": "Current date: 2026-11-24"}, {"prompt": "Current date: 2026-11-25"}),
        (
            {"tokens": [1, 2], "token_strs": ["Date:", "Ġ24", "ĠNov", "Ġ2026"]},
            {"tokens": [1, 3], "token_strs": ["Date:", "Ġ25", "ĠNov", "Ġ2026"]},
        ),
    ],
)
def test_a_date_in_a_template_is_no_difference(one: object, other: object) -> None:
    """Siblings may have been asked on different days."""
    digests = {fingerprint.template_digest(json.dumps(said).encode()) for said in (one, other)}
    assert len(digests) == 1
    assert digests != {""}


def test_another_template_is_a_difference() -> None:
    """By its text, or by its tokens where the engine tells only those."""
    said = [{"prompt": "<user> Hi"}, {"prompt": "<u> Hi"}, {"tokens": [1]}, {"tokens": [2]}]
    assert len({fingerprint.template_digest(json.dumps(one).encode()) for one in said}) == 4
    assert fingerprint.template_digest(b'{"detail":"no"}') == ""
