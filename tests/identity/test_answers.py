"""What each engine's answers say of it."""

from __future__ import annotations

import pytest
from engine_answers import ANSWERS, COMMIT, OLLAMA_DIGEST, PROFILE, SGLANG, TEMPLATE, VLLM, told_by

from sidelight_contract.engines import EngineType
from sidelight_contract.identity import RuntimeIdentity, ServedModel, Setting
from sidelight_sidecar.observer.identity.table import engine_of
from sidelight_sidecar.observer.identity.told import Told, digest

EXPECTED = {
    EngineType.VLLM: RuntimeIdentity(
        engine_version="0.33.0",
        models=[
            ServedModel("chat", root="/models/qwen"),
            ServedModel("sql", parent="chat", root="/adapters/sql"),
        ],
        settings={"max_model_len": "8192"},
    ),
    EngineType.SGLANG: RuntimeIdentity(
        engine_version="0.5.9",
        models=[
            ServedModel("chat", root="chat"),
            ServedModel("poems", parent="chat", root="/adapters/poems"),
        ],
        settings={
            "dtype": "bfloat16",
            "generation_config": "model",
            "kv_cache_dtype": "auto",
            "load_format": "auto",
            "max_model_len": "32768",
            "numerics": "enable_fp32_lm_head",
            "quantization": "fp8",
            "reasoning_parser": "deepseek-r1",
            "revision": COMMIT,
            "speculative": "speculative_accept_threshold_single=0.9",
            "tokenizer": "meta/llama",
            "tokenizer_mode": "auto",
        },
        weights=COMMIT,
        weights_from="engine",
    ),
    EngineType.TGI: RuntimeIdentity(
        engine_version="3.3.6",
        models=[
            ServedModel("HuggingFaceH4/zephyr-7b-beta", root="HuggingFaceH4/zephyr-7b-beta")
        ],
        settings={"max_input_len": "4095", "max_model_len": "4096"},
        weights=COMMIT,
        weights_from="engine",
    ),
    EngineType.TEI: RuntimeIdentity(
        engine_version="1.9.0",
        models=[ServedModel("thenlper/gte-base", root="thenlper/gte-base")],
        settings={
            "dtype": "float16", "max_input_len": "512", "pooling": "cls", "truncation": "false",
        },
    ),
    EngineType.LLAMA_CPP: RuntimeIdentity(
        engine_version="b11549-abcdef",
        models=[ServedModel("small"), ServedModel("smollm2", root="/models/smollm2.gguf")],
        settings={
            "lora": "/adapters/a.gguf=1;/adapters/b.gguf=0.5",
            "max_model_len": "2048",
            "quantization": "Q4_1",
            "sampling.ignore_eos": "false",
            "sampling.min_p": "0.05",
            "sampling.n_predict": "-1",
            "sampling.reasoning_format": "none",
            "sampling.repeat_last_n": "64",
            "sampling.samplers": "penalties;top_k;temperature",
            "sampling.temperature": "0.8",
            "sampling.top_k": "40",
            "sampling.top_p": "0.95",
        },
        weights="n_params=134515008 size=96576768 n_vocab=49152 n_embd=576 n_ctx_train=8192 "
        "ftype=Q4_1",
        weights_from="engine",
        template=digest(TEMPLATE.encode()),
    ),
    EngineType.OLLAMA: RuntimeIdentity(
        engine_version="0.19.0",
        models=[ServedModel("llama3.2:3b", root=OLLAMA_DIGEST)],
        settings={"quantization:llama3.2:3b": "Q4_K_M"},
        weights=OLLAMA_DIGEST,
        weights_from="engine",
    ),
    EngineType.KSERVE: RuntimeIdentity(
        engine_version="0.17.0", models=[ServedModel("bert"), ServedModel("chat")]
    ),
    EngineType.TENSORRT_LLM: RuntimeIdentity(
        engine_version="1.3.0", models=[ServedModel("llama")]
    ),
    EngineType.MAX: RuntimeIdentity(
        engine_version="26.5.0", models=[ServedModel("google/gemma-3-4b-it")]
    ),
    EngineType.NIM: RuntimeIdentity(
        engine_version="2.0.1",
        models=[
            ServedModel("meta/llama-3.1-8b-instruct", root="meta/llama-3.1-8b-instruct")
        ],
        settings={
            "max_model_len": "131072",
            "profile": PROFILE,
        },
        weights="llama-3.1-8b-instruct:hf-8c22764-nim1.3b",
        weights_from="engine",
    ),
}  # fmt: skip


@pytest.mark.parametrize("engine", EXPECTED, ids=lambda engine: str(engine.value))
def test_answers_become_an_identity(engine: EngineType) -> None:
    """Version, models, what changes outputs, weights, template: as far as it tells them."""
    identity, _ = told_by(engine, ANSWERS[engine])
    assert identity == EXPECTED[engine]


def test_triton_tells_models_versions_and_how_they_compute() -> None:
    """Of the models that are ready; on which GPU is no difference, another engine file is."""
    identity, asked = told_by(EngineType.TRITON, ANSWERS[EngineType.TRITON])
    assert identity.engine_version == "2.66.0"
    assert [model.name for model in identity.models] == ["broken", "ensemble", "llm"]
    assert identity.settings["model_versions:llm"] == "2"
    assert asked.asked_for("/v2/models/llm/config") == 1
    answers = dict(ANSWERS[EngineType.TRITON])
    config = dict(answers["/v2/models/llm/config"])  # type: ignore[call-overload]
    answers["/v2/models/llm/config"] = config | {"instance_group": [{"gpus": [7]}]}
    assert told_by(EngineType.TRITON, answers)[0] == identity
    answers["/v2/models/llm/config"] = config | {"parameters": {"gpt_model_path": "/other"}}
    other = told_by(EngineType.TRITON, answers)[0]
    differing = {
        name for name in identity.settings if identity.settings[name] != other.settings[name]
    }
    assert differing == {"model_config:llm"}


def test_no_key_of_the_engine_is_told() -> None:
    """SGLang's answer holds every argument, passwords among them."""
    identity, _ = told_by(EngineType.SGLANG, SGLANG)
    assert "do-not-tell" not in repr(identity)
    assert "812345" not in repr(identity)  # a seed that each pod draws for itself


def test_credentials_in_a_place_are_not_told() -> None:
    """Neither a password nor a signature of a URL."""
    told = Told()
    told.model("m", root="https://user:secret@models.example/m?X-Signature=secret#f")
    assert told.identity().models == [ServedModel("m", root="https://models.example/m")]


def test_settings_have_the_contracts_names() -> None:
    """So that what an engine tells can be held against what a pod's arguments say."""
    known = {member.value for member in Setting}
    for engine in ANSWERS:
        names = told_by(engine, ANSWERS[engine])[0].settings
        assert {name.partition(":")[0].partition(".")[0] for name in names} <= known


def test_an_unknown_engine_is_known_by_its_models_owner_or_its_metrics() -> None:
    """Such as by `owned_by`; a configured type counts before either."""
    identity, asked = told_by(EngineType.AUTO, VLLM)
    assert identity.engine_version == "0.33.0"
    assert asked.asked == ["/v1/models", "/version"]
    assert engine_of("Auto", "tgi", "") is EngineType.TGI
    assert engine_of("Auto", "", "llamacpp") is EngineType.LLAMA_CPP
    assert engine_of("Generic", "vllm", "vllm") is EngineType.GENERIC
    assert engine_of("what", "", "me") is EngineType.AUTO


def test_a_server_of_ones_own_is_asked_for_its_models_alone() -> None:
    """Nothing else is known of it."""
    identity, asked = told_by(EngineType.GENERIC, VLLM)
    assert (asked.asked, identity.engine_version) == (["/v1/models"], "")
