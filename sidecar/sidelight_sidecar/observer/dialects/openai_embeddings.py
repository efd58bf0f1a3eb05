"""OpenAI embeddings: a model and a count of prompt tokens; the vectors are passed over unread."""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.dialects.base import Dialect, text_of
from sidelight_sidecar.observer.dialects.usage import read_openai


class _Answer(msgspec.Struct):
    """What is read of an answer; a field that is not here is skipped without being built."""

    id: Any = None
    model: Any = None
    usage: Any = None
    error: Any = None
    object: Any = None


_answer = msgspec.json.Decoder(_Answer)


class OpenAIEmbeddings(Dialect):
    """Embeddings. llama.cpp's own `/embeddings` answers with a list, of which nothing is read."""

    name: ClassVar[str] = "openai_embeddings"

    def document(self, body: bytes) -> None:
        """The answer, or an error."""
        if self.refused(body) or body.lstrip()[:1] == b"[":
            return
        answer = self.decode(_answer, body)
        if answer is None:
            return
        if answer.error or answer.object == "error":
            self.fail(errors.error_in({"error": answer.error, "object": answer.object}))
        exchange = self.exchange
        exchange.model = text_of(answer.model)
        exchange.response_id = text_of(answer.id)
        if isinstance(answer.usage, dict):
            read_openai(exchange, answer.usage)
