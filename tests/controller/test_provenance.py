"""Where a count of tokens comes from can be told everywhere: metric, summary, status."""

from controller_world import pod_body
from observed import CHAT_STREAM, MS, Kept, Script, delta, pipeline_of, request
from prometheus_client.parser import text_string_to_metric_families

from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.summary import Summary, decode_summary, encode_summary
from sidelight_operator.controller.pods import view_pod
from sidelight_operator.controller.versions import versions_of
from sidelight_sidecar.observer.pipeline import Pipeline

SPEC = ObservedModelSpec.model_validate({"selector": {"matchLabels": {"app": "chat"}}})
WITHOUT_USAGE = (*CHAT_STREAM[:5], delta("stop"), CHAT_STREAM[-1])


def three_sources() -> Pipeline:
    """Three streams: the engine says its usage, its tokenizer counts 5 and 7, nobody counts."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.context.keep_text = True
    for number, stream in enumerate((CHAT_STREAM, WITHOUT_USAGE, WITHOUT_USAGE)):
        script = Script(number, at_ms=1000 * number).client(request()).engine(*stream)
        pipeline.feed(script.close().frames)
        waiting = pipeline.counter.next()
        if waiting is not None and number == 1:
            pipeline.counter.settle(waiting, prompt=5, output=7)
        elif waiting is not None:
            pipeline.counter.settle(waiting)
    return pipeline


def metrics(pipeline: Pipeline) -> dict[str, float]:
    """Each series of tokens, by name, direction and source."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(pipeline.exposition().decode()):
        for sample in family.samples:
            if sample.name.endswith(("_tokens_total", "_tokenized_total", "_estimated_total")):
                what = " ".join(
                    sample.labels[key] for key in ("direction", "source") if key in sample.labels
                )
                found[f"{sample.name} {what}".strip()] = sample.value
    return {name: value for name, value in found.items() if not name.startswith("sidelight_engine")}


def test_no_count_is_in_two_series_and_none_is_of_two_sources() -> None:
    """Usage 11 and 3, tokenized 5 and 7, three events estimated: apart in the metrics."""
    assert metrics(three_sources()) == {
        "sidelight_prompt_tokens_total": 11, "sidelight_output_tokens_total": 3,
        "sidelight_cached_prompt_tokens_total": 4, "sidelight_reasoning_tokens_total": 0,
        "sidelight_tokens_tokenized_total prompt": 5, "sidelight_tokens_tokenized_total output": 7,
        "sidelight_tokens_estimated_total output": 3,
    }  # fmt: skip


def summary() -> Summary:
    """What the controller gets of it."""
    return decode_summary(encode_summary(three_sources().summary(10_000 * MS)))


def test_the_summary_has_them_apart() -> None:
    """And rates and distributions that need a count are of usage alone."""
    told = summary()
    (traffic,) = told.total
    tokens = traffic.tokens
    assert (tokens.prompt, tokens.output, tokens.cached_prompt) == (11, 3, 4)
    assert (tokens.tokenized_prompt, tokens.tokenized_output) == (5, 7)
    assert tokens.estimated_output == 3
    assert traffic.usage_missing == 2
    assert (traffic.time_to_first_token.count, traffic.time_per_output_token.count) == (3, 1)


def test_the_status_has_them_apart() -> None:
    """Tokens a second are of usage alone, and each quantile says on how many it rests."""
    pod = view_pod(pod_body("a"), SPEC.version.labels)
    (version,) = versions_of([(pod, summary())]).shown
    tokens = version.tokens
    assert (tokens.prompt, tokens.output) == (11, 3)
    assert (tokens.tokenized_prompt, tokens.tokenized_output, tokens.estimated_output) == (5, 7, 3)
    window = version.window
    assert float(window.tokens_per_second) * summary().window_seconds == 3
    assert window.time_to_first_token is not None
    assert window.time_per_output_token is not None
    assert window.time_to_first_token.count == 3
    assert window.time_per_output_token.count == 1
