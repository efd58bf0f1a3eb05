"""When an engine is asked who it is: by the whole observer, with the test's own clock."""

from __future__ import annotations

from engine_answers import LLAMA_CPP, OLLAMA, SGLANG, VLLM, Engine
from observed import Kept, Script, answer, pipeline_of, request

from sidelight_contract.config import SidecarConfig
from sidelight_contract.identity import RuntimeIdentity
from sidelight_contract.summary import decode_summary, encode_summary
from sidelight_sidecar.observer.asking import Asking
from sidelight_sidecar.observer.engine.known import known_of
from sidelight_sidecar.observer.engine.worker import STEP_SECONDS
from sidelight_sidecar.observer.identity.metrics import BackendCollector
from sidelight_sidecar.observer.identity.reader import (
    AGAIN_SECONDS,
    NEWS_SECONDS,
    PATIENCE_SECONDS,
    REFUSED_SECONDS,
    RETRY_SECONDS,
    WeightsFiles,
)

SECOND = 1_000_000_000
NO_FILES = WeightsFiles()
DAY = 1_700_000_000.0


class World:
    """An observer, its engine, and the time."""

    def __init__(self, engine: Engine, kind: str, files: WeightsFiles = NO_FILES) -> None:
        self.engine = engine
        self.pipeline = pipeline_of(Kept())
        self.pipeline.found_engine(kind)
        self.now_ns = SECOND
        self.asking = Asking(
            self.pipeline,
            engine,
            known_of(kind),
            now_ns=lambda: self.now_ns,
            unix=lambda: DAY + self.now_ns / SECOND,
            files=lambda: files,
        )
        self.pipeline.metrics.registry.register(BackendCollector(self.asking.reader))
        self.flow = 0

    def exchange(
        self, path: str = "/v1/chat/completions", model: str = "chat", status: int = 200
    ) -> None:
        """One request passes, and its answer."""
        self.flow += 1
        script = Script(self.flow, self.now_ns / 1e6)
        body = {
            "model": model,
            "choices": [],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }
        script.client(request(b"{}", path)).engine(answer(body, status))
        self.pipeline.feed(script.close().frames)

    async def run(self, seconds: float) -> list[str]:
        """Let time pass; what the engine was asked but for its metrics."""
        before = len(self.engine.asked)
        until = self.now_ns + int(seconds * SECOND)
        while self.now_ns < until:
            self.now_ns += int(STEP_SECONDS * SECOND)
            asked = len(self.engine.asked)
            await self.asking.step()
            assert len(self.engine.asked) - asked <= 4
        return [path for path in self.engine.asked[before:] if path not in {"/metrics", "/slots"}]

    @property
    def identity(self) -> RuntimeIdentity:
        """As the operator reads it."""
        return decode_summary(encode_summary(self.pipeline.summary(self.now_ns))).sidecar.identity

    @property
    def backend(self) -> list[str]:
        """The metric's lines."""
        lines = self.pipeline.exposition().decode().splitlines()
        return [line for line in lines if line.startswith("sidelight_backend_info")]


async def test_nothing_is_asked_before_the_engine_has_answered_somebody_else() -> None:
    """A connection alone is none, nor is an engine that is still loading."""
    world = World(Engine(VLLM), "VLLM")
    assert await world.run(60) == []
    world.exchange("/health", status=503)
    assert await world.run(60) == []
    assert world.identity == RuntimeIdentity()
    world.exchange("/health")
    assert await world.run(5) == ["/version", "/v1/models", "/tokenize", "/tokenize"]
    assert world.identity.engine_version == "0.33.0"
    assert world.backend == ['sidelight_backend_info{backend="VLLM",backend_version="0.33.0"} 1.0']


async def test_it_is_asked_again_while_there_is_inference_and_else_not() -> None:
    """Every five minutes; health checks are none. Its tokenizer is asked once."""
    world = World(Engine(VLLM, form="prompt"), "VLLM")
    world.exchange()
    first = await world.run(AGAIN_SECONDS - 1)
    assert first == ["/version", "/v1/models", "/tokenize", "/tokenize", "/tokenize"]
    read_at = world.identity.read_at
    world.exchange("/health")
    assert await world.run(3 * AGAIN_SECONDS) == []
    world.exchange()
    assert await world.run(10) == ["/version", "/v1/models"]
    assert world.identity.read_at > read_at > DAY
    world.exchange()
    assert await world.run(AGAIN_SECONDS - 12) == []
    assert await world.run(4) == ["/version", "/v1/models"]


async def test_identity_has_what_metrics_tokenizer_and_template_tell() -> None:
    """The cache's numbers are in vLLM's metrics alone."""
    world = World(Engine(VLLM, form="prompt"), "VLLM")
    world.exchange()
    await world.run(10)
    identity = world.identity
    assert identity.settings == {
        "max_model_len": "8192", "kv_cache_dtype": "fp8_e4m3", "kv_scales": "False",
    }  # fmt: skip
    assert identity.tokenizer.startswith("sha256:")
    assert identity.template.startswith("sha256:")
    assert identity.tokenizer != identity.template
    assert identity.adapters() == {"sql": "chat"}


async def test_a_template_that_is_told_is_not_asked_for() -> None:
    """llama.cpp's properties hold its text."""
    world = World(Engine(LLAMA_CPP, form="content"), "LlamaCpp")
    world.exchange()
    asked = await world.run(10)
    assert asked == ["/props", "/v1/models", "/lora-adapters", *["/tokenize"] * 3]
    assert world.identity.template
    assert world.identity.tokenizer


async def test_a_new_model_is_asked_for_soon_and_once() -> None:
    """An adapter was loaded; a name that the engine does not list even then is let be."""
    world = World(Engine(VLLM), "VLLM")
    world.exchange()
    await world.run(NEWS_SECONDS + 1)
    world.exchange(model="sql")
    assert await world.run(10) == []  # it was told of
    models = VLLM["/v1/models"]
    world.engine.answers["/v1/models"] = {
        "data": [*models["data"], {"id": "new", "parent": "chat"}]  # type: ignore[index]
    }
    world.exchange(model="new")
    assert await world.run(2) == ["/version", "/v1/models"]
    assert world.identity.adapters() == {"sql": "chat", "new": "chat"}
    world.exchange(model="made-up")
    assert await world.run(NEWS_SECONDS - 4) == []
    assert await world.run(4) == ["/version", "/v1/models"]
    world.exchange(model="made-up")
    assert await world.run(2 * NEWS_SECONDS) == []


async def test_names_that_a_client_makes_up_do_not_have_it_asked_for_ever() -> None:
    """SGLang repeats what was asked for: a round every half minute, for 64 names."""
    world = World(Engine(SGLANG, waiting=None), "SGLang")
    for number in range(100):
        world.exchange(model=f"made-up-{number}")
        await world.run(NEWS_SECONDS + 1)
    assert world.engine.asked_for("/v1/models") <= 64 + 100 * (NEWS_SECONDS + 1) / AGAIN_SECONDS


async def test_an_engine_that_begins_anew_is_asked_again() -> None:
    """Another version in the same pod: with its tokenizer, half a minute after the last round."""
    world = World(Engine(VLLM, form="prompt"), "VLLM")
    world.exchange()
    await world.run(NEWS_SECONDS + 1)
    before = world.identity
    world.engine.answers["/version"] = {"version": "0.34.0"}
    world.pipeline.flows.relay.connect_errors += 3
    asked = await world.run(5)
    assert asked == ["/version", "/v1/models", "/tokenize", "/tokenize"]
    assert world.identity.engine_version == "0.34.0"
    assert world.identity.tokenizer == before.tokenizer


async def test_an_engine_that_is_away_is_left_alone_for_a_while() -> None:
    """What it said stands until it says something else."""
    world = World(Engine(VLLM), "VLLM")
    world.exchange()
    await world.run(40)
    before = world.identity
    world.engine.up = False
    world.pipeline.flows.relay.connect_errors += 1
    asked = await world.run(3 * RETRY_SECONDS)
    assert 1 <= len(asked) <= 4
    assert world.identity == before
    world.engine.up = True
    world.engine.answers["/version"] = {"version": "1.0"}
    await world.run(AGAIN_SECONDS)
    assert world.identity.engine_version == "1.0"


async def test_an_engine_that_never_answers_is_asked_more_and_more_seldom() -> None:
    """Such as one that speaks HTTP/2 alone: in an hour some fifteen times."""
    world = World(Engine(VLLM), "VLLM")
    world.engine.up = False
    for _ in range(60):
        world.exchange()
        await world.run(60)
    assert 10 <= world.engine.asked_for("/version") <= 16
    assert world.identity == RuntimeIdentity()


async def test_a_tokenizer_that_fails_keeps_nothing_else_from_being_told() -> None:
    """It is tried more and more seldom, and the rest as it should be."""
    world = World(Engine({**VLLM, "/tokenize": 500}), "VLLM")
    for _ in range(60):
        world.exchange()
        await world.run(60)
    assert 10 <= world.engine.asked_for("/tokenize") <= 16
    assert world.engine.asked_for("/version") <= 13
    assert world.identity.engine_version == "0.33.0"


async def test_an_engine_that_wants_a_key_is_not_asked_again_and_again() -> None:
    """Its identity stays empty; once an hour it is tried."""
    world = World(Engine({"/version": 401, "/v1/models": 401, "/tokenize": 401}), "VLLM")
    for _ in range(30):
        world.exchange()
        await world.run(60)
    assert world.engine.asked_for("/version", "/v1/models") == 2
    assert world.engine.asked_for("/tokenize") == 2
    identity = world.identity
    assert (identity.engine_version, identity.models, identity.settings) == ("", [], {
        "kv_cache_dtype": "fp8_e4m3", "kv_scales": "False",
    })  # fmt: skip
    for _ in range(int(REFUSED_SECONDS / 60)):
        world.exchange()
        await world.run(60)
    assert world.engine.asked_for("/version", "/v1/models") == 4


async def test_quiet_questions_and_the_tokenizer_wait_while_somebody_waits() -> None:
    """SGLang's arguments are asked of its schedulers. After a minute the rest is told alone."""
    world = World(Engine(SGLANG, waiting=3, form="prompt"), "SGLang")
    world.exchange()
    assert await world.run(PATIENCE_SECONDS - 2) == ["/v1/models"]
    assert world.identity == RuntimeIdentity()
    await world.run(10)
    assert world.identity.settings["max_model_len"] == "32768"
    assert world.identity.engine_version == ""
    assert world.engine.asked_for("/metrics") < 40
    world.engine.waiting = 0
    world.exchange()
    asked = await world.run(AGAIN_SECONDS)
    assert "/get_server_info" in asked
    assert "/tokenize" in asked
    assert world.identity.engine_version == "0.5.9"
    assert world.identity.tokenizer


async def test_an_engine_that_tells_nothing_of_its_queue_is_asked_nothing_that_takes_time() -> None:
    """Ollama: its documents, and no tokenizer."""
    world = World(Engine(OLLAMA, waiting=None), "Ollama")
    world.exchange("/api/chat", model="llama3.2:3b")
    assert [path for path in await world.run(60) if path != "/get_load"] == [
        "/api/version", "/api/tags",
    ]  # fmt: skip
    assert world.identity.weights
    assert world.identity.tokenizer == ""


async def test_metrics_that_are_away_keep_nothing_else_from_being_told() -> None:
    """They may be on another port, or in another process; they are tried twice a minute."""
    world = World(Engine(SGLANG, waiting=-1, form="prompt"), "SGLang")
    world.exchange()
    assert await world.run(AGAIN_SECONDS - 5) == ["/v1/models"]
    assert world.identity.settings == {"max_model_len": "32768"}
    assert world.engine.asked_for("/metrics") <= 4 * AGAIN_SECONDS / RETRY_SECONDS


async def test_the_tokenizer_is_left_alone_where_the_spec_says_so() -> None:
    """`spec.engine.tokenizer: Never`."""
    world = World(Engine(VLLM, form="prompt"), "VLLM")
    world.pipeline.reconfigure(SidecarConfig(version=1, tokenizer="Never"))
    world.exchange()
    assert await world.run(60) == ["/version", "/v1/models"]
    assert (world.identity.tokenizer, world.identity.template) == ("", "")


async def test_an_engine_that_sleeps_is_not_woken() -> None:
    """llama.cpp says so in the answer that does not wake it."""
    props = dict(LLAMA_CPP["/props"]) | {"is_sleeping": True}  # type: ignore[call-overload]
    world = World(Engine({**LLAMA_CPP, "/props": props}, form="content"), "LlamaCpp")
    world.exchange("/health")
    assert await world.run(60) == ["/props"]
    assert world.identity.engine_version == "b11549-abcdef"


async def test_a_digest_of_the_files_counts_before_the_engines_word() -> None:
    """The operator is told where it comes from."""
    world = World(Engine(LLAMA_CPP), "LlamaCpp", WeightsFiles("sha256:files", "read"))
    world.exchange()
    await world.run(5)
    told = world.identity
    assert (told.weights, told.weights_from, told.weights_state) == (
        "sha256:files",
        "files",
        "read",
    )


async def test_files_that_could_not_be_read_leave_the_engines_word() -> None:
    """And say why."""
    world = World(Engine(LLAMA_CPP), "LlamaCpp", WeightsFiles(state="not_permitted"))
    assert await world.run(1) == []
    assert world.identity == RuntimeIdentity(weights_state="not_permitted")
    world.exchange()
    await world.run(5)
    assert world.identity.weights.startswith("n_params=")
    assert (world.identity.weights_from, world.identity.weights_state) == (
        "engine",
        "not_permitted",
    )


async def test_an_unknown_engine_tells_its_type() -> None:
    """As it was never recognised at injection: by whose names its metrics speak."""
    world = World(Engine(VLLM), "Auto")
    world.exchange()
    await world.run(5)
    assert world.backend[0].startswith('sidelight_backend_info{backend="VLLM"')


async def test_a_version_that_is_no_version_is_no_label() -> None:
    """At most one series, and no value that breaks a page or comes from a prompt."""
    world = World(Engine({**VLLM, "/version": {"version": 'a b"c'}}), "VLLM")
    world.exchange()
    await world.run(5)
    assert world.identity.engine_version == 'a b"c'
    assert world.backend == ['sidelight_backend_info{backend="VLLM",backend_version=""} 1.0']


async def test_a_fault_of_ours_ends_these_questions_alone() -> None:
    """Queue and tokenizer go on."""
    world = World(Engine(VLLM), "VLLM")

    async def fault(*_: object, **__: object) -> None:
        raise RuntimeError

    world.asking.reader.step = fault  # type: ignore[method-assign]
    world.exchange()
    assert await world.run(5) == []
    assert world.engine.asked_for("/metrics") > 0
