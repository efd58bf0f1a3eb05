"""LoRA adapters: which labels are told of as such, and what is counted of requests lost."""

from __future__ import annotations

import json

import pytest
from observed import Kept, Script, answer, pipeline_of, request

from sidelight_contract.identity import MAX_ADAPTERS, RuntimeIdentity, ServedModel
from sidelight_contract.slo import SLOS, SloCount, SloHistory, SloSettings
from sidelight_contract.summary import MAX_SUMMARY_BYTES, decode_summary, encode_summary
from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.metrics.labels import OTHER_MODEL, Labels


def serves(*adapters: str, parent: str = "base") -> RuntimeIdentity:
    """What an engine with these adapters lists."""
    models = [ServedModel(parent), *(ServedModel(name, parent) for name in adapters)]
    return RuntimeIdentity(read_at=1.0, models=models)


def answered(model: str, code: int = 200) -> Exchange:
    made = Exchange(1, 0)
    made.model, made.code = model, code
    return made


def label(labels: Labels, model: str) -> str:
    return labels.model(answered(model))


def test_adapter_is_one_by_the_engines_list_and_once_it_had_a_request() -> None:
    """Requests from before the list was read count as well; what was never asked is not told."""
    labels = Labels(8)
    label(labels, "sql")
    label(labels, "base")
    assert labels.adapters == {}
    labels.engine_serves(serves("sql", "poems", "idle"), "VLLM")
    assert labels.adapters == {"sql": "base"}
    label(labels, "poems")
    assert labels.adapters == {"sql": "base", "poems": "base"}


def test_unloaded_adapter_stays_one() -> None:
    """What it did must not become the model's when the engine lists it no more."""
    labels = Labels(8)
    labels.engine_serves(serves("sql"), "VLLM")
    label(labels, "sql")
    labels.engine_serves(serves(), "VLLM")
    assert labels.adapters == {"sql": "base"}


def test_refused_request_for_an_adapter_is_nobodys() -> None:
    """An engine answers 404 for one that it has not loaded."""
    labels = Labels(8)
    labels.engine_serves(serves("sql"), "VLLM")
    assert labels.model(answered("sql", 404)) == "_unknown"
    assert labels.adapters == {}


def test_sglang_repeats_what_was_asked_for() -> None:
    """The adapter answers to `model:adapter`; to its bare name the model does."""
    labels = Labels(8)
    labels.engine_serves(serves("sql"), "SGLang")
    label(labels, "base:sql")
    label(labels, "sql")
    assert labels.adapters == {"base:sql": "base"}


def test_made_up_names_cannot_take_an_adapters_place() -> None:
    """Nor can adapters take the models'."""
    labels = Labels(4)
    labels.engine_serves(serves("a", "b", "c", "d", "e"), "VLLM")
    assert [label(labels, name) for name in ("x", "y", "z")] == ["x", "y", OTHER_MODEL]
    assert [label(labels, name) for name in ("e", "a", "b")] == ["e", "a", OTHER_MODEL]


def test_no_more_adapters_than_the_bound_are_told() -> None:
    """The first that had requests; further ones are models like others."""
    labels = Labels(100)
    names = [f"a{number}" for number in range(2 * MAX_ADAPTERS)]
    labels.engine_serves(serves(*names), "VLLM")
    assert [label(labels, name) for name in reversed(names)] == names[::-1]
    assert list(labels.adapters) == names[: -MAX_ADAPTERS - 1 : -1]


@pytest.mark.parametrize(
    ("path", "lost"), [("/v1/chat/completions", 1), ("/health", 0)], ids=["inference", "other"]
)
def test_request_whose_end_was_not_seen_is_lost_and_in_no_other_figure(
    path: str, lost: int
) -> None:
    """A gap in the midst of its answer; the next request on the connection is seen again."""
    whole = answer({"model": "m", "choices": [], "usage": {"completion_tokens": 1}})
    script = Script().client(request(path=path)).engine(whole[:30]).add(codec.GAP)
    script.client(request()).engine(whole)
    pipeline = pipeline_of(Kept())
    pipeline.feed(script.frames)
    told = decode_summary(encode_summary(pipeline.summary(script.frames[-1][2])))
    assert told.sidecar.requests_lost == lost
    assert [part.requests for part in told.total] == [1]
    operation = "chat" if lost else "other"
    expected = f'sidelight_requests_lost_total{{operation="{operation}"}} 1.0'
    assert expected in pipeline.exposition().decode()


def chats(*models: str, flow: int = 7, at_ms: float = 0) -> Script:
    """A chat answered by each of these, one after another."""
    script = Script(flow, at_ms)
    for model in models:
        body = {"model": model, "choices": [], "usage": {"completion_tokens": 1}}
        script.client(request(b"{}")).engine(answer(body))
    return script


def judged(rings: SloHistory) -> int:
    """Requests of the last five minutes; the pipelines of these tests begin at this time."""
    counts = rings.over(10, 1_700_000_000)
    return counts["all"].requests if counts else 0


def test_adapters_have_rings_of_their_own_and_all_are_in_the_whole() -> None:
    """Also of what ended before the engine said who is one, or that it has one more; the model's
    are the difference.
    """
    pipeline = pipeline_of(Kept(), slo=SloSettings(e2e=10.0))
    pipeline.feed(chats("base", "sql").frames)
    pipeline.identity = serves("sql")
    pipeline.feed(chats("poems", flow=9, at_ms=50).frames)
    pipeline.identity = serves("sql", "poems")
    pipeline.feed(chats("sql", "poems", "base", flow=8, at_ms=100).frames)
    told = decode_summary(encode_summary(pipeline.summary(10**9, slo_history=True))).slo
    assert judged(told.history) == 6
    assert {name: judged(rings) for name, rings in told.adapters.items()} == {"sql": 2, "poems": 2}
    assert judged(told.history.without(told.adapters.values())) == 2
    assert not pipeline.summary(10**9).slo.adapters


def test_rings_are_few_and_small_whatever_answers() -> None:
    """Before and after the engine has said who is an adapter; the whole misses none."""
    pipeline = pipeline_of(Kept(), slo=SloSettings(e2e=10.0), max_model_labels=1000)
    names = [f"m{number}" for number in range(3 * MAX_ADAPTERS)]
    pipeline.feed(chats(*names).frames)
    assert pipeline.summary(10**9, slo_history=True).slo.adapters == {}
    late = [f"a{number}" for number in range(2 * MAX_ADAPTERS)]
    pipeline.identity = serves(*late)
    pipeline.feed(chats(*late, flow=8, at_ms=2000).frames)
    told = pipeline.summary(4 * 10**9, slo_history=True)
    assert list(told.slo.adapters) == list(told.sidecar.adapters) == late[:MAX_ADAPTERS]
    assert judged(told.slo.history) == len(names) + len(late)
    full = SloHistory()
    every = {name: SloCount(999_999, 999_999) for name in SLOS}
    for second in range(0, 2 * 86_400, 5):
        full.take(second, every)
    told.slo.adapters = dict.fromkeys(told.slo.adapters, full)
    assert len(encode_summary(told)) < MAX_SUMMARY_BYTES / 4


def test_summary_tells_identity_and_adapters() -> None:
    """As they were set from outside."""
    pipeline = pipeline_of(Kept())
    body = json.dumps({"model": "sql", "messages": []}).encode()
    done = answer({"model": "sql", "choices": [], "usage": {"completion_tokens": 1}})
    pipeline.feed(Script().client(request(body)).engine(done).frames)
    pipeline.identity = serves("sql")
    told = decode_summary(encode_summary(pipeline.summary(1))).sidecar
    assert told.identity == pipeline.identity == serves("sql")
    assert told.adapters == {"sql": "base"}
