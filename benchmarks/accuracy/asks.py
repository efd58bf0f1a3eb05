"""The mix of requests: what is asked, and at which point the client leaves."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

CONTEXT_TOKENS = 1024
"""Of one request; the stand starts the engine so."""
LEAVE_AFTER_NS = 60_000_000
"""For clients that leave before the first output; a long prompt takes ten times as long."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        kind: its row in the report.
        leave_after_ns: leave so long after sending; 0: do not.
        leave_after_events: leave when so many events have come; 0: do not.
        resets: leave with a reset (RST), not an end (FIN).
        keep: use the connection again, if it is as good as before.
        in_vain: nobody listens where the engine should be.
    """

    kind: str
    path: str
    body: bytes
    method: str = "POST"
    leave_after_ns: int = 0
    leave_after_events: int = 0
    resets: bool = False
    keep: bool = False
    in_vain: bool = False

    @property
    def leaves(self) -> bool:
        """Whether the client means to hang up."""
        return bool(self.leave_after_ns or self.leave_after_events)


CHAT = "/v1/chat/completions"
_SUBJECTS = ("rain", "ships", "bread", "a clock", "snow", "the sea", "a fox", "iron", "a road")
_CITIES = ("Paris", "Lima", "Bern", "Cairo", "Oslo", "Quito")
_USAGE = {"include_usage": True}
_TOOLS = [{
    "type": "function",
    "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "maxLength": 12}},
        "required": ["city"],
    }},
}]  # fmt: skip


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def chat(words: str, chance: random.Random, **settings: object) -> bytes:
    """The body of a chat; its answer is short unless `max_tokens` says otherwise."""
    return _json({
        "messages": [{"role": "user", "content": words}], "temperature": 0,
        "max_tokens": chance.randint(6, 32), **settings,
    })  # fmt: skip


def _words(chance: random.Random) -> str:
    return f"Say {chance.randint(2, 9)} things about {chance.choice(_SUBJECTS)}."


def _streamed(chance: random.Random) -> Ask:
    body = chat(_words(chance), chance, stream=True, stream_options=_USAGE)
    # The engine closes a connection after a stream without saying so: who asks on it once more gets
    # nothing.
    return Ask("chat, streamed", CHAT, body, keep=chance.random() < 0.1)


def _without_usage(chance: random.Random) -> Ask:
    body = chat(_words(chance), chance, stream=True)
    return Ask("chat, streamed, usage not asked for", CHAT, body)


def _plain(chance: random.Random) -> Ask:
    return Ask("chat", CHAT, chat(_words(chance), chance), keep=chance.random() < 0.5)


def _choices(chance: random.Random) -> Ask:
    body = chat(_words(chance), chance, stream=True, stream_options=_USAGE, n=2)
    return Ask("chat, streamed, two choices", CHAT, body)


def _long(chance: random.Random) -> Ask:
    words = " ".join(chance.choice(_SUBJECTS) for _ in range(CONTEXT_TOKENS * 3 // 7))
    body = chat(words, chance, stream=True, stream_options=_USAGE)
    return Ask("chat, streamed, long prompt", CHAT, body)


def _tool_body(chance: random.Random, **settings: object) -> bytes:
    """A forced call. Two turns before it, for a small model needs to be shown how it goes."""
    messages: list[dict[str, object]] = []
    for city in ("Rome", "Oslo"):
        call = {"name": "weather", "arguments": json.dumps({"city": city})}
        called = [{"type": "function", "id": city, "function": call}]
        messages.append({"role": "user", "content": f"Weather in {city}?"})
        messages.append({"role": "assistant", "content": "", "tool_calls": called})
    messages.append({"role": "user", "content": f"Weather in {chance.choice(_CITIES)}?"})
    return _json({
        "messages": messages, "tools": _TOOLS, "tool_choice": "required", "max_tokens": 60,
        "temperature": 0, **settings,
    })  # fmt: skip


def _tool(chance: random.Random) -> Ask:
    return Ask("tool call", CHAT, _tool_body(chance))


def _tool_streamed(chance: random.Random) -> Ask:
    body = _tool_body(chance, stream=True, stream_options=_USAGE)
    return Ask("tool call, streamed", CHAT, body)


def _completion(chance: random.Random) -> Ask:
    body = {"prompt": _words(chance), "max_tokens": 16, "stream": True, "stream_options": _USAGE}
    return Ask("completions, streamed", "/v1/completions", _json(body))


def _messages(chance: random.Random) -> Ask:
    asked = [{"role": "user", "content": _words(chance)}]
    body = {"model": "smollm2", "messages": asked, "max_tokens": 12, "stream": True}
    return Ask("Anthropic messages, streamed", "/v1/messages", _json(body))


def _native(chance: random.Random) -> Ask:
    body = {"prompt": _words(chance), "n_predict": 12, "stream": True}
    return Ask("llama.cpp's own, streamed", "/completion", _json(body))


def _refused(chance: random.Random) -> Ask:
    what, path, body = chance.choice((
        ("a body that is no JSON", CHAT, b'{"messages":'),
        ("a wrong type", CHAT, _json({"messages": "x"})),
        ("an unknown path", "/v1/nothing", b"{}"),
        ("not supported", "/v1/embeddings", b'{"input":"x"}'),
        ("a prompt too long", CHAT, chat("word " * (CONTEXT_TOKENS + 200), chance, stream=True)),
    ))  # fmt: skip
    return Ask(f"error: {what}", path, body)


def _leaves_early(chance: random.Random) -> Ask:
    """While the prompt is computed, or waits for that."""
    body = _long(chance).body
    resets = chance.random() < 0.5
    return Ask("hang-up before output", CHAT, body, leave_after_ns=LEAVE_AFTER_NS, resets=resets)


def _leaves_late(chance: random.Random) -> Ask:
    """In the middle of the answer."""
    body = chat(f"Count to fifty. {_words(chance)}", chance, stream=True, max_tokens=200)
    return Ask("hang-up in the answer", CHAT, body, leave_after_events=chance.randint(3, 9),
               resets=chance.random() < 0.5)  # fmt: skip


MAKERS: tuple[tuple[int, Callable[[random.Random], Ask]], ...] = (
    (8, _streamed), (2, _without_usage), (3, _plain), (1, _choices), (1, _long), (2, _tool),
    (2, _tool_streamed), (2, _completion), (2, _messages), (2, _native), (4, _refused),
    (1, _leaves_early), (2, _leaves_late),
)  # fmt: skip
"""How often each comes, in a round of 32."""


def mix(number: int, seed: int) -> list[Ask]:
    """So many requests, the same for the same seed: whole rounds, and a part of one, shuffled."""
    chance = random.Random(seed)
    asks: list[Ask] = []
    while len(asks) < number:
        round_ = [maker(chance) for often, maker in MAKERS for _ in range(often)]
        chance.shuffle(round_)
        asks += round_[: number - len(asks)]
    chance.shuffle(asks)
    return asks
