"""What a container declares of its engine: by which flags and variables, in which forms, and what
is not shown of it.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from any_pod import any_pod
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.engines import EngineType
from sidelight_contract.identity import MAX_SETTING, Setting
from sidelight_operator.controller.declared import Declared, declared_of
from sidelight_operator.controller.declared_names import MODEL_FIRST, NAMES, OF_FILES

IMAGES = {
    EngineType.VLLM: "vllm/vllm-openai:v1",
    EngineType.SGLANG: "lmsysorg/sglang:v1",
    EngineType.TGI: "ghcr.io/huggingface/text-generation-inference:3",
    EngineType.LLAMA_CPP: "ghcr.io/ggml-org/llama.cpp:server",
    EngineType.OLLAMA: "ollama/ollama:1",
    EngineType.TENSORRT_LLM: "nvcr.io/nvidia/tensorrt-llm/release:1",
    EngineType.TRITON: "nvcr.io/nvidia/tritonserver:1",
    EngineType.MAX: "modular/max-full:1",
    EngineType.KSERVE: "kserve/huggingfaceserver:1",
    EngineType.NIM: "nvcr.io/nim/meta/a:1",
    EngineType.TEI: "ghcr.io/huggingface/text-embeddings-inference:1",
}
COMMANDS = {
    EngineType.SGLANG: ["python3", "-m", "sglang.launch_server"],
    EngineType.TENSORRT_LLM: ["trtllm-serve"],
    EngineType.TRITON: ["tritonserver"],
}


def read(engine: EngineType, *args: str, env: dict[str, Any] | None = None) -> Declared:
    """What a container of this engine declares; a variable's value may be a `valueFrom`."""
    entries = [
        {"name": name, "value": value} if isinstance(value, str) else {"name": name} | value
        for name, value in (env or {}).items()
    ]
    container = {"name": "engine", "image": IMAGES[engine], "args": list(args), "env": entries}
    if engine in COMMANDS:
        container["command"] = COMMANDS[engine]
    return declared_of(container, engine)


def settings(engine: EngineType, *args: str, env: dict[str, Any] | None = None) -> dict[str, str]:
    return dict(read(engine, *args, env=env).settings)


@pytest.mark.parametrize("engine", list(IMAGES))
def test_every_spelling_of_every_setting_is_read(engine: EngineType) -> None:
    """Each alias of each entry, as an argument in two forms or as a variable."""
    for setting, entries in NAMES[engine].items():
        for entry in entries:
            for name in entry.split("|"):
                if not name.startswith("-"):
                    assert setting in settings(engine, env={name: "v1"}), name
                    continue
                assert setting in settings(engine, "--port", "1", name, "v1"), name
                if name.startswith("--"):
                    assert setting in settings(engine, f"{name}=v1"), name
                    under = "--" + name[2:].replace("-", "_")
                    assert setting in settings(engine, under, "v1"), name


def test_a_model_may_come_first() -> None:
    """As vLLM and trtllm-serve take it; a flag wins over it, and neither is no default."""
    assert settings(EngineType.VLLM, "org/m", "--dtype", "float16") == {
        "model": "org/m", "dtype": "float16",
    }  # fmt: skip
    assert settings(EngineType.TENSORRT_LLM, "serve", "org/m")["model"] == "org/m"
    assert settings(EngineType.VLLM, "org/m", "--model", "n")["model"] == "n"
    declared = read(EngineType.VLLM, "--dtype", "float16")
    assert "model" not in declared.by_default


def test_a_shells_words_are_read_like_others() -> None:
    """Variables that the pod sets are put in; what a command prints is not known."""
    script = "export D=bfloat16; exec vllm serve /m --dtype $D --quantization $(cat /q) --seed $S"
    container = {
        "name": "e", "image": "own", "command": ["sh", "-c", script],
        "env": [{"name": "S", "value": "7"}],
    }  # fmt: skip
    declared = declared_of(container, EngineType.VLLM)
    assert dict(declared.settings) == {"model": "/m", "dtype": "bfloat16", "seed": "7"}
    assert "quantization" not in declared.by_default
    assert "kv_cache_dtype" in declared.by_default


def test_flags_with_several_values_and_flags_that_add_up() -> None:
    """All of them; of others the last one counts."""
    assert settings(
        EngineType.VLLM, "--lora-modules", "a=/a", "b=/b", "--seed", "1", "--seed", "2",
        "--speculative-config.model", "d", "--speculative-config.num_speculative_tokens=3",
    ) == {
        "lora": "a=/a, b=/b", "seed": "2", "speculative": "model=d, num-speculative-tokens=3",
    }  # fmt: skip
    assert settings(EngineType.LLAMA_CPP, "--lora", "/a", "--lora", "/b")["lora"] == "/a, /b"


def test_negative_numbers_are_values_and_flags_are_not() -> None:
    """`-n -1` is a number; a switch takes nothing of what follows."""
    assert settings(EngineType.LLAMA_CPP, "-n", "-1", "-c", "512") == {
        "sampling.n_predict": "-1", "max_model_len": "512",
    }  # fmt: skip
    assert settings(EngineType.VLLM, "--trust-remote-code", "--dtype", "float16") == {
        "model_code": "trust-remote-code=true", "dtype": "float16",
    }  # fmt: skip


def test_a_switch_takes_no_word_that_is_not_its_own() -> None:
    """`--no-` turns it off, and off is the default of most."""
    assert settings(EngineType.VLLM, "--trust-remote-code", "org/m") == {
        "model_code": "trust-remote-code=true"
    }
    off = read(EngineType.VLLM, "--trust-remote-code", "--no-trust-remote-code")
    assert off == read(EngineType.VLLM)
    assert settings(EngineType.LLAMA_CPP, "--no-jinja") == {"chat_template": "jinja=false"}
    assert settings(EngineType.TGI, "--disable-grammar-support", "true")["guided_decoding"] == (
        "disable-grammar-support=true"
    )


def test_parts_of_a_setting_are_named_where_there_are_several() -> None:
    """One alone, the main one, is its value."""
    assert settings(EngineType.LLAMA_CPP, "-c", "512", "-np", "4")["max_model_len"] == (
        "ctx-size=512, parallel=4"
    )


def test_a_flag_wins_over_a_variable_and_a_script_over_the_container() -> None:
    """As engines take them."""
    env = {"LLAMA_ARG_CTX_SIZE": "1024"}
    assert settings(EngineType.LLAMA_CPP, env=env)["max_model_len"] == "1024"
    assert settings(EngineType.LLAMA_CPP, "-c", "512", env=env)["max_model_len"] == "512"
    container = {
        "name": "e", "image": "own", "env": [{"name": "OLLAMA_CONTEXT_LENGTH", "value": "1"}],
        "command": ["sh", "-c", "export OLLAMA_CONTEXT_LENGTH=2; ollama serve"],
    }  # fmt: skip
    assert dict(declared_of(container, EngineType.OLLAMA).settings)["max_model_len"] == "2"


@pytest.mark.parametrize(
    ("engine", "args"),
    [
        (EngineType.VLLM, ("--dtype", "auto")),
        (EngineType.VLLM, ("--kv-cache-dtype=auto", "--load-format", "auto")),
        (EngineType.SGLANG, ("--quantization", "None")),
    ],
)
def test_a_default_that_is_written_down_is_a_default(
    engine: EngineType, args: tuple[str, ...]
) -> None:
    """So it is the same as one that is not."""
    assert read(engine, *args) == read(engine)


def test_two_words_for_one_type_are_one() -> None:
    """As vLLM and SGLang read them."""
    assert settings(EngineType.VLLM, "--dtype", "half") == {"dtype": "float16"}


def test_what_may_be_said_elsewhere_is_not_left_to_the_engine() -> None:
    """A file, a whole ConfigMap, a Secret, a script in the image, a variable with more words."""
    for flag in OF_FILES:
        assert read(EngineType.VLLM, flag, "f").by_default == frozenset()
    hidden = {"name": "e", "image": IMAGES[EngineType.OLLAMA], "envFrom": [{"configMapRef": {}}]}
    assert declared_of(hidden, EngineType.OLLAMA) == Declared()
    secret = {"OLLAMA_CONTEXT_LENGTH": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}}
    assert "max_model_len" not in read(EngineType.OLLAMA, env=secret).by_default
    script = {"name": "e", "image": "own", "command": ["/start.sh"]}
    assert declared_of(script, EngineType.VLLM) == Declared()
    more = {"name": "e", "image": "own", "command": ["sh", "-c", "vllm serve m $ARGS"]}
    more["env"] = [{"name": "ARGS", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]
    assert declared_of(more, EngineType.VLLM) == Declared(settings=(("model", "m"),))


def test_nothing_is_known_of_an_engine_that_is_not() -> None:
    """Generic, or a word that somebody wrote into the annotation."""
    container = {"name": "e", "image": "own", "args": ["--model", "m"]}
    assert declared_of(container, "Generic") == declared_of(container, "forged") == Declared()


@pytest.mark.parametrize(
    "value",
    [
        "s3://key:hush@bucket/m?X-Sig=hush#hush",
        '{"api_key": "hush"}',
        "hf_hush0123456789abcdef",
        "Bearer hush",
        "--password=hush",
    ],
)
def test_no_secret_is_shown(value: str) -> None:
    """Cut out of an address; else the value is not told, and not left to a default either."""
    declared = read(EngineType.VLLM, "--hf-overrides", value, "--model", value)
    assert "hush" not in str(declared)
    assert "overrides" not in declared.by_default


def test_an_address_stays_without_its_secrets() -> None:
    """Which model it is must be told."""
    assert settings(EngineType.VLLM, "--model", "s3://k:s@b/m?sig=1")["model"] == "s3://b/m"


def test_a_template_stands_as_its_digest_and_a_path_as_itself() -> None:
    """A template may hold a system prompt."""
    inline = settings(EngineType.VLLM, "--chat-template", "{{ messages }} You are Bob.")
    assert inline["chat_template"].startswith("sha256:")
    path = settings(EngineType.VLLM, "--chat-template", "/t/chat.jinja")
    assert path["chat_template"] == "/t/chat.jinja"


@given(st.text(min_size=1, max_size=3 * MAX_SETTING))
def test_values_are_bounded(value: str) -> None:
    """Whatever is written."""
    told = settings(EngineType.VLLM, f"--hf-overrides={value}", f"--dtype={value}")
    assert all(len(text) <= MAX_SETTING for text in told.values())


def test_long_values_that_differ_go_on_to_differ() -> None:
    """By their digests."""
    long = "x" * MAX_SETTING
    first, second = (settings(EngineType.VLLM, "--hf-overrides", long + end) for end in "ab")
    assert first != second
    assert first["overrides"].startswith("sha256:")


def test_equal_containers_share_what_they_declare() -> None:
    """Five thousand pods of one Deployment hold one object."""
    one, two = (read(EngineType.VLLM, "--dtype", "float16") for _ in range(2))
    assert one is two


@given(any_pod(), st.sampled_from([*IMAGES, EngineType.GENERIC]))
def test_no_pod_is_too_odd(pod: dict[str, Any], engine: EngineType) -> None:
    """Whatever an API server takes is read, with names that are known."""
    for container in pod["spec"]["containers"]:
        declared = declared_of(container, engine, pod["metadata"].get("labels"))
        names = {name for name, _ in declared.settings} | declared.by_default
        assert all(name.partition(".")[0] in set(Setting) for name in names)


DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/versions.md").read_text(encoding="utf-8")


def test_the_page_names_every_setting() -> None:
    """In the first column of its table, and no other."""
    table = DOCUMENT.partition("### Settings")[2].partition("\n#")[0]
    named = {name for row in re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
             for name in re.findall(r"`(\w+)`", row)}  # fmt: skip
    assert named == {setting.value for setting in Setting}


def test_the_page_has_every_spelling() -> None:
    """A row for each engine, in the code's order."""
    table = DOCUMENT.partition("### What a pod declares")[2].partition("\n#")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE))
    assert list(rows) == [engine.value for engine in NAMES]
    for engine, names in NAMES.items():
        spelled = [name for some in names.values() for entry in some for name in entry.split("|")]
        assert re.findall(r"`([^`]+)`", rows[engine.value]) == spelled, engine
        assert rows[engine.value].startswith("the first argument") == (engine in MODEL_FIRST)
