"""Digests of an engine's tokenizer and of its chat template, from what it makes of fixed words.

The same words always, so that engines can be held against each other; they are ours, never a
client's. A template may put today's date into a chat: where the tokens' own text is told, dates are
taken out of it, or siblings that were asked on different days would differ.
"""

import re
from typing import Any

import msgspec

from sidelight_sidecar.observer.engine.tokenizers import Form, output_question
from sidelight_sidecar.observer.identity.told import canonical, digest, fields, parsed

TEXT = (
    "Hello, world!  Two  spaces\tand a tab\n\n"
    "0 12 345 6789 3.14159 1e-9 2026-11-24 #42 50% $7\n"
    "naïve façade Ångström Straße Ελληνικά Привет мир שלום عربي हिन्दी ไทย\n"
    "한국어 日本語 漢字仮名 中文字符\n"
    "def f(x: int) -> int:\n    return x ** 2 if x >= 0 else -x  # x²\n"
    '{"a": [1, 2.5, null], "b": "\\u00e9"}\n'
    "don't can't we're it's THE Quick bRoWn 🙂👩‍🚀🇪🇺 e\u0301 ﬁ \u200b…\u2014«»"
)
"""What tokenizers take apart differently: scripts, digits, runs of spaces, code, contractions,
letters made of two, emoji.
"""
CHAT = (
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And 3 + 3?"},
)
"""Roles that every template takes (Gemma's refuses `system`); what it puts in by itself shows."""
MAX_TOKENS = 4096
"""`TEXT` has some 450 bytes, so no tokenizer makes more of it."""
_DATE = re.compile(
    r"\d{1,2} [A-Z][a-z]{2,8},? \d{4}|[A-Z][a-z]{2,8} \d{1,2},? \d{4}|\d{4}-\d{2}-\d{2}"
)


def text_question(form: Form) -> bytes:
    """The body that asks for the tokens of the text alone."""
    return output_question(form, TEXT, "")


def chat_question() -> bytes:
    """The body that asks what the engine makes of the chat; vLLM is to say the tokens' text too."""
    return msgspec.json.encode({"messages": CHAT, "return_token_strs": True})


def tokenizer_digest(body: bytes) -> str:
    """Of the tokens in an answer; empty: there are none."""
    ids = _ids(fields(parsed(body)).get("tokens"))
    return digest(",".join(map(str, ids)).encode()) if ids else ""


def template_digest(body: bytes) -> str:
    """Of the chat in an answer: its text (llama.cpp), its tokens' text, or its tokens (vLLM)."""
    answer = fields(parsed(body))
    prompt = answer.get("prompt")
    if isinstance(prompt, str) and prompt:
        return _dateless(prompt)
    pieces = answer.get("token_strs")
    if isinstance(pieces, list) and pieces and all(isinstance(piece, str) for piece in pieces):
        return _dateless("".join(pieces[:MAX_TOKENS]).replace("Ġ", " ").replace("▁", " "))
    ids = _ids(answer.get("tokens"))
    return canonical(ids) if ids else ""


def _dateless(words: str) -> str:
    return digest(_DATE.sub("DATE", words).encode(errors="replace"))


def _ids(tokens: Any) -> list[int]:
    if not isinstance(tokens, list) or not 0 < len(tokens) <= MAX_TOKENS:
        return []
    ids = [token for token in tokens if type(token) is int and abs(token) < 1 << 63]
    return ids if len(ids) == len(tokens) else []
