"""Streams of what single engines have of their own: Ollama, TGI, llama.cpp, SGLang, Triton."""

from sidelight_sidecar.capture.content.assemble.generic import Generic
from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.merge import Merger, Object, Other, Policy
from sidelight_sidecar.capture.content.read_json import Json

_FACTS = frozenset({
    "id", "type", "role", "model", "name", "created_at", "done_reason", "finish_reason",
    "stop_type", "stopping_word", "model_name", "model_version", "remote_model", "remote_host",
})  # fmt: skip
_LOGPROBS = Policy(last=frozenset({"logprobs"}), other=Other.JOIN, extend_all=True)
_OLLAMA = Policy(
    last=_FACTS,
    join=frozenset({"response", "content", "thinking"}),
    extend=frozenset({"tool_calls", "images", "context"}),
    under={"logprobs": _LOGPROBS},
)
_TGI = Policy(last=_FACTS, skip=frozenset({"token", "top_tokens", "index", "generated_text"}))
_LLAMACPP = Policy(
    last=_FACTS,
    join=frozenset({"content", "reasoning_content"}),
    extend=frozenset({"tokens", "completion_probabilities", "probs"}),
)
_SGLANG = Policy(last=_FACTS, so_far=frozenset({"text"}))
_TRITON = Policy(
    last=_FACTS,
    so_far=frozenset({"text_output"}),
    total=frozenset({"num_output_tokens"}),
    skip=frozenset({"token"}),
)


class Ollama:
    """Lines up to `done`."""

    def __init__(self, budget: Budget) -> None:
        self._merger = Merger(_OLLAMA, budget)
        self._done = False

    def add(self, event: Object) -> None:
        """A line."""
        self._merger.add(event)
        self._done |= event.get("done") is True

    def merges(self, event: Object) -> tuple[Merger, Object]:
        """All of it is; `done` is no text, so it is the same in events that are alike."""
        return self._merger, event

    def whole(self) -> Json:
        """The last line, with all of the text."""
        return self._merger.whole()

    def ended(self) -> bool:
        """The line with `done` came."""
        return self._done


class Tgi:
    """Tokens up to `generated_text`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._merger = Merger(_TGI, budget)
        self._tokens: list[str] = []
        self._text: str | None = None

    def add(self, event: Object) -> None:
        """A token, or an error."""
        self._merger.add(event)
        token, text = event.get("token"), event.get("generated_text")
        if isinstance(token, dict) and not token.get("special"):
            piece = token.get("text")
            self._budget.spend()
            self._tokens.append(piece if isinstance(piece, str) else "")
        if isinstance(text, str):
            self._text = text

    def merges(self, _event: Object) -> None:
        """Tokens are taken by themselves."""

    def whole(self) -> Json:
        """The text as it was said in the end, else that of the tokens so far."""
        answer = self._merger.whole()
        if self._text is None and not self._tokens:
            return answer
        text = "".join(self._tokens) if self._text is None else self._text
        return {"generated_text": text, **answer}

    def ended(self) -> bool:
        """`generated_text` came."""
        return self._text is not None


class ByIndex:
    """Streams of which each event is of one choice."""

    _policy: Policy
    _last: str

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._choices: dict[int, Merger] = {}
        self._error: Merger | None = None

    def add(self, event: Object) -> None:
        """A piece of a choice, or an error."""
        index = event.get("index")
        place = index if isinstance(index, int) else 0
        if place not in self._choices:
            self._budget.spend()
            self._choices[place] = Merger(self._policy, self._budget)
        self._choices[place].add(event)

    def merges(self, event: Object) -> tuple[Merger, Object] | None:
        """All of it is, into its choice."""
        index = event.get("index")
        choice = self._choices.get(index if isinstance(index, int) else 0)
        return (choice, event) if choice is not None else None

    def whole(self) -> Json:
        """The answer; a list of them where there are several."""
        answers: list[Json] = [self._choices[place].whole() for place in sorted(self._choices)]
        return answers[0] if len(answers) == 1 else answers

    def ended(self) -> bool:
        """Each choice says that it is the end."""
        choices = [one.whole() for one in self._choices.values()]
        return bool(choices) and all(map(self._is_last, choices))

    def _is_last(self, answer: Object) -> bool:
        return bool(answer.get(self._last))


class LlamaCpp(ByIndex):
    """Pieces up to `stop`."""

    _policy = _LLAMACPP
    _last = "stop"


class SGLang(ByIndex):
    """All of the text so far, or pieces of it."""

    _policy = _SGLANG

    def _is_last(self, answer: Object) -> bool:
        meta = answer.get("meta_info")
        return isinstance(meta, dict) and bool(meta.get("finish_reason"))


class Triton(Generic):
    """Responses of a decoupled model, up to the end of the connection, in one."""

    _policy = _TRITON
