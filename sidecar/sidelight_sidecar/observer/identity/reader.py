"""When the engine is asked who it is, and what came of it.

Rules:
1. Not before it has answered somebody else well; one question a step, of which there are four a
   second.
2. A round of questions at first; again every `AGAIN_SECONDS` if there was inference since; and
   `NEWS_SECONDS` after the last one at the earliest when the engine was seen to have begun anew, or
   an answer names a model that was not told.
3. Most questions are answered from memory by whoever speaks HTTP there, like the metrics that are
   read every few seconds, so they need no idle engine. Those that are `quiet`, and the tokenizer's,
   wait until a reading of the queue says that nobody waits: an engine that tells nothing of its
   queue is not asked those.
   After `PATIENCE_SECONDS` they are left to the next round.
4. What it says of itself is put in force when it has said all; until then the old stands. An engine
   that cannot answer now is asked again after `RETRY_SECONDS`, then later and later, up to
   `AGAIN_SECONDS`; one that wants a key (401, 403) after `REFUSED_SECONDS`.
5. Tokenizer and template are asked for once, and again when anything else has changed or the engine
   began anew; never with `spec.engine.tokenizer: Never`.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from sidelight_contract.engines import EngineType
from sidelight_contract.identity import RuntimeIdentity, WeightsFrom
from sidelight_sidecar.observer.engine.client import Answer, EngineClient
from sidelight_sidecar.observer.engine.tokenizer import NOT_HERE, EngineUnavailableError
from sidelight_sidecar.observer.engine.tokenizers import PATH, TEMPLATE_PATH
from sidelight_sidecar.observer.engine.worker import EngineWorker
from sidelight_sidecar.observer.identity import fingerprint
from sidelight_sidecar.observer.identity.questions import Question
from sidelight_sidecar.observer.identity.table import engine_of, first_questions
from sidelight_sidecar.observer.identity.told import Told, parsed
from sidelight_sidecar.observer.identity.watch import EngineWatch

AGAIN_SECONDS = 300.0
NEWS_SECONDS = 30.0
RETRY_SECONDS = 30.0
REFUSED_SECONDS = 3600.0
PATIENCE_SECONDS = 60.0
QUIET_SECONDS = 5.0
"""Between two looks whether somebody waits."""
MAX_QUESTIONS = 16
"""Of a round."""
MAX_BODY_BYTES = 1 << 20
"""Of an answer that is read; SGLang's longest has some ten kilobytes."""
_REFUSED = frozenset({401, 403})
_NONE = "none"
"""The tokenizer gave no tokens that could be read."""


class WeightsFiles(NamedTuple):
    """What came of reading the weights' files."""

    digest: str = ""
    """Empty: there is none."""
    state: str = ""
    """A `WeightsState`; empty: nobody asked for it."""


class IdentityReader:
    """Asks one engine; `step` is called again and again.

    Args:
        client: asks the engine where it serves.
        worker: knows of its queue and its tokenizer.
        watch: what the traffic says.
        now_ns: the frames' clock.
        unix: seconds of the day.
        files: what came of reading the weights' files; their digest counts more than the engine's
            own word. Called at every step, so it must return at once.

    Attributes:
        engine: the type by which it was asked last.
        questions: how often it was asked.
    """

    def __init__(
        self,
        client: EngineClient,
        worker: EngineWorker,
        watch: EngineWatch,
        *,
        now_ns: Callable[[], int],
        unix: Callable[[], float],
        files: Callable[[], WeightsFiles] = WeightsFiles,
    ) -> None:
        self._client = client
        self._worker = worker
        self._watch = watch
        self._now_ns = now_ns
        self._unix = unix
        self._files = files
        self._newest = RuntimeIdentity()
        self._open: deque[Question] = deque()
        self._told = Told()
        self._round = False
        self._asked = 0
        self._refused = False
        self._began_ns = -(1 << 62)
        self._not_before_ns = 0
        self._look_ns = 0
        self._patience = RETRY_SECONDS
        self._restarts = 0
        self._inferences = 0
        self._names: set[str] = set()
        self._fingerprinted = False
        self._tokens = ""
        self.engine = EngineType.AUTO
        self.questions = 0

    def identity(self) -> RuntimeIdentity:
        """What is known now."""
        digest, state = self._files()
        identity = self._newest
        if state:
            identity = msgspec.structs.replace(identity, weights_state=state)
        if digest:
            files = WeightsFrom.FILES.value
            identity = msgspec.structs.replace(identity, weights=digest, weights_from=files)
        return identity

    async def step(self, address: str, *, engine: str, restarts: int) -> None:
        """Ask one question, if one is due.

        Args:
            address: `host:port` of the engine; empty while no connection was seen.
            engine: its type as it was configured or recognised.
            restarts: grows when the engine is seen to have begun anew.
        """
        if not address or not self._watch.answers or self._now_ns() < self._not_before_ns:
            return
        try:
            if self._round:
                await self._go_on(address)
            elif self._due(restarts):
                self._begin(engine, restarts)
                await self._go_on(address)
            elif self._newest.read_at and not self._fingerprinted:
                await self._fingerprint(address)
        except EngineUnavailableError:
            self._leave_alone()

    def _leave_alone(self) -> None:
        """The engine cannot answer now; ask it all again, later and later."""
        if self._round:
            self._round = False
            self._began_ns, self._inferences = -(1 << 62), -1
            self._not_before_ns = self._after(self._patience)
        else:
            self._look_ns = self._after(self._patience)
        self._patience = min(2 * self._patience, AGAIN_SECONDS)

    def _after(self, seconds: float) -> int:
        return self._now_ns() + int(seconds * 1e9)

    def _due(self, restarts: int) -> bool:
        since = (self._now_ns() - self._began_ns) / 1e9
        unknown = self._watch.names - self._names
        if restarts != self._restarts or unknown:
            return since >= NEWS_SECONDS
        if self._watch.inferences == self._inferences and self._newest.read_at:
            return False
        return since >= (REFUSED_SECONDS if self._refused else AGAIN_SECONDS)

    # --- a round ----------------------------------------------------------------------------
    def _begin(self, engine: str, restarts: int) -> None:
        sample = self._worker.sampler.newest
        self.engine = engine_of(engine, sample.engine if sample is not None else "", "")
        self._told = Told()
        self._open = deque(first_questions(self.engine))
        self._round = True
        self._asked = 0
        self._refused = False
        self._began_ns = self._now_ns()
        self._inferences = self._watch.inferences
        self._names |= self._watch.names
        if restarts != self._restarts:
            self._fingerprinted, self._tokens = False, ""
        self._restarts = restarts

    async def _go_on(self, address: str) -> None:
        while self._open and not self._may_ask(self._open[0]):
            self._open.popleft()
        if not self._open or self._told.asleep:
            self._end()
            return
        question = self._open[0]
        if question.quiet and not await self._nobody_waits(address):
            if self._now_ns() - self._began_ns > PATIENCE_SECONDS * 1e9:
                self._open.popleft()
            return
        self._open.popleft()
        body = await self._answer(address, question)
        if body is not None:
            question.read(parsed(body[:MAX_BODY_BYTES]), self._told)
            if question.then is not None:
                self._open.extend(question.then(self._told))

    def _may_ask(self, question: Question) -> bool:
        """A quiet question has to wait for ever where nothing tells of a queue."""
        return self._asked < MAX_QUESTIONS and not (question.quiet and self._worker.sampler.silent)

    async def _answer(self, address: str, question: Question) -> bytes | None:
        for path in filter(None, (question.path, question.older)):
            self.questions += 1
            self._asked += 1
            if question.body is None:
                answer = await self._client.get(address, path)
            else:
                answer = await self._client.post(address, path, question.body)
            if answer.status == 200:
                return answer.body
            self._refused |= answer.status in _REFUSED
            _available(answer)
        return None

    def _end(self) -> None:
        self._round = False
        sample = self._worker.sampler.newest
        for name, value in (sample.settings if sample is not None else {}).items():
            self._told.setting(name, value)
        if self.engine is EngineType.AUTO:
            self.engine = engine_of("", "", self._told.owner)
        said, before = self._told.identity(), self._newest
        said.read_at = self._unix()
        said.tokenizer = before.tokenizer
        said.template = said.template or before.template
        if _changed(before, said):
            self._fingerprinted, self._tokens = False, ""
        self._names |= {model.name for model in said.models}
        self._newest = said
        if self._fingerprinted:
            self._patience = RETRY_SECONDS

    # --- tokenizer and template -------------------------------------------------------------
    async def _fingerprint(self, address: str) -> None:
        """How the tokenizer wants to be asked, then its tokens, then the chat: one of them."""
        worker = self._worker
        if worker.hopeless or self._told.asleep or not await self._nobody_waits(address):
            return
        form = worker.tokenizer.form
        if form is None:
            await worker.form(address)
        elif not self._tokens:
            answer = await self._post(address, PATH, fingerprint.text_question(form))
            self._tokens = fingerprint.tokenizer_digest(answer.body) or _NONE
        else:
            template = self._newest.template
            if not self._told.has_template:
                path = PATH if form.name == "prompt" else TEMPLATE_PATH
                answer = await self._post(address, path, fingerprint.chat_question())
                template = fingerprint.template_digest(answer.body)
            self._newest = msgspec.structs.replace(
                self._newest,
                tokenizer=self._tokens.removeprefix(_NONE),
                template=template,
                read_at=self._unix(),
            )
            self._tokens, self._fingerprinted = "", True
            self._patience = RETRY_SECONDS

    async def _post(self, address: str, path: str, body: bytes) -> Answer:
        self.questions += 1
        answer = await self._client.post(address, path, body)
        _available(answer)
        return answer if answer.status == 200 else Answer(answer.status)

    async def _nobody_waits(self, address: str) -> bool:
        """Looked at seldom: each look reads the engine's metrics, which may be at a place of their
        own, and away when the engine is not.
        """
        if self._now_ns() < self._look_ns:
            return False
        seconds = QUIET_SECONDS
        try:
            if await self._worker.nobody_waits(address):
                return True
        except EngineUnavailableError:
            seconds = RETRY_SECONDS
        self._look_ns = self._after(seconds)
        return False


def _available(answer: Answer) -> None:
    """Raises EngineUnavailableError when the engine cannot answer now."""
    if answer.status != 200 and answer.status not in NOT_HERE:
        raise EngineUnavailableError


def _changed(before: RuntimeIdentity, now: RuntimeIdentity) -> bool:
    """Whether something else than the fingerprints differs."""
    return (before.engine_version, before.models, before.settings, before.weights) != (
        now.engine_version, now.models, now.settings, now.weights,
    )  # fmt: skip
