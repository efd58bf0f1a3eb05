"""An engine's own tokenizer: found out once, then asked for the tokens of prompts and outputs."""

from sidelight_sidecar.observer.engine.client import Answer, EngineClient
from sidelight_sidecar.observer.engine.tokenizers import (
    FORMS,
    PATH,
    PROBE,
    TEMPLATE_PATH,
    Form,
    chat_question,
    output_question,
    prompt_in,
    prompt_of,
    request_in,
    text_question,
    tokens_in,
)
from sidelight_sidecar.observer.exchange import Exchange

NOT_HERE = frozenset({400, 401, 403, 404, 405, 422, 501})
"""Statuses that say: not here, not so, or not for you."""
_CHAT_PATH = "/chat/completions"


class EngineUnavailableError(Exception):
    """The engine could not be asked, or says that it cannot answer now."""


class Tokenizer:
    """Asks one engine.

    Attributes:
        form: how it wants to be asked; None while that is not known.
        questions: how often it was asked.
    """

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._counts_chats = True
        self.form: Form | None = None
        self.questions = 0

    async def find(self, address: str) -> bool:
        """Find out how this engine wants to be asked; False: it has no tokenizer that is known.

        Raises:
            EngineUnavailableError: it could not be asked now.
        """
        for form in FORMS:
            answer = await self._post(address, PATH, output_question(form, PROBE, ""))
            if answer.status == 200 and tokens_in(answer.body):
                self.form = form
                return True
        return False

    async def output(self, address: str, exchange: Exchange) -> int | None:
        """The tokens of what an exchange brought; None: nothing was kept, or it was refused.

        Raises:
            EngineUnavailableError: the engine could not be asked now.
        """
        if exchange.text is None or not exchange.text.whole or self.form is None:
            return None
        body = output_question(self.form, exchange.text.content().decode(), exchange.model)
        return tokens_in((await self._post(address, PATH, body)).body)

    async def prompt(self, address: str, exchange: Exchange) -> int | None:
        """The tokens of what an exchange asked; None: nothing was kept, or it was refused.

        Raises:
            EngineUnavailableError: the engine could not be asked now.
        """
        if exchange.asked is None or not exchange.asked.whole or self.form is None:
            return None
        request = request_in(exchange.asked.content())
        text = prompt_of(request)
        if exchange.path.partition("?")[0].endswith(_CHAT_PATH):
            chat = chat_question(request, exchange.model)
            if chat is None or not self._counts_chats:
                return None
            if self.form.name == "prompt":
                answer = await self._post(address, PATH, chat)
                self._counts_chats = answer.status == 200  # SGLang does not
                return tokens_in(answer.body)
            text = prompt_in((await self._post(address, TEMPLATE_PATH, chat)).body)
        if text is None:
            return None
        body = text_question(self.form, text, exchange.model)
        return tokens_in((await self._post(address, PATH, body)).body)

    async def _post(self, address: str, path: str, body: bytes) -> Answer:
        self.questions += 1
        answer = await self._client.post(address, path, body)
        if answer.status != 200 and answer.status not in NOT_HERE:
            raise EngineUnavailableError
        return answer if answer.status == 200 else Answer(answer.status)
