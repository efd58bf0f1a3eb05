"""What engines answer when they are asked who they are: written after their sources and
specifications, llama.cpp's after the running server.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque

from sidelight_contract.engines import EngineType
from sidelight_contract.identity import RuntimeIdentity
from sidelight_sidecar.observer.engine.client import Answer
from sidelight_sidecar.observer.identity.table import first_questions
from sidelight_sidecar.observer.identity.told import Told, parsed

COMMIT = "e985a63cdc139290c5f700ff1929f0b5942cced2"

VLLM: dict[str, object] = {
    "/version": {"version": "0.33.0"},
    "/v1/models": {
        "object": "list",
        "data": [
            {"id": "chat", "object": "model", "created": 1795525185, "owned_by": "vllm",
             "root": "/models/qwen", "parent": None, "max_model_len": 8192,
             "permission": [{"id": "modelperm-1", "allow_sampling": True}]},
            {"id": "sql", "object": "model", "created": 1795525190, "owned_by": "vllm",
             "root": "/adapters/sql", "parent": "chat", "max_model_len": None},
        ],
    },
}  # fmt: skip
VLLM_METRICS = (
    b'vllm:num_requests_waiting{engine="0",model_name="chat"} 0.0\n'
    b'vllm:cache_config_info{block_size="16",cache_dtype="fp8_e4m3",calculate_kv_scales="False",'
    b'engine="0",mamba_ssm_cache_dtype="None",num_gpu_blocks="1000"} 1.0\n'
)

SGLANG: dict[str, object] = {
    "/v1/models": {
        "object": "list",
        "data": [
            {"id": "chat", "object": "model", "created": 1, "owned_by": "sglang", "root": "chat",
             "parent": None, "max_model_len": 32768},
            {"id": "poems", "object": "model", "created": 1, "owned_by": "sglang",
             "root": "/adapters/poems", "parent": "chat", "max_model_len": None},
        ],
    },
    "/get_server_info": {
        "model_path": "meta/llama", "tokenizer_path": "meta/llama", "tokenizer_mode": "auto",
        "load_format": "auto", "dtype": "bfloat16", "quantization": "fp8", "revision": COMMIT,
        "kv_cache_dtype": "auto", "context_length": None, "chat_template": None,
        "served_model_name": "chat", "port": 30000, "host": "127.0.0.1", "random_seed": 812345,
        "api_key": "do-not-tell", "admin_api_key": "do-not-tell-either", "tp_size": 2,
        "reasoning_parser": "deepseek-r1", "tool_call_parser": None, "sampling_defaults": "model",
        "weight_version": "default", "speculative_algorithm": "EAGLE",
        "speculative_accept_threshold_single": 0.9, "speculative_accept_threshold_acc": 1.0,
        "enable_fp32_lm_head": True, "enable_deterministic_inference": False,
        "internal_states": [{"avg_spec_accept_length": 3.3, "memory_usage": {"weight": 14.9}}],
        "max_total_num_tokens": 441234, "version": "0.5.9",
    },
}  # fmt: skip

TGI: dict[str, object] = {
    "/info": {
        "model_id": "HuggingFaceH4/zephyr-7b-beta", "model_sha": COMMIT,
        "model_pipeline_tag": "text-generation", "max_concurrent_requests": 128, "max_best_of": 2,
        "max_stop_sequences": 4, "max_input_tokens": 4095, "max_total_tokens": 4096,
        "validation_workers": 2, "max_client_batch_size": 4, "router": "text-generation-router",
        "version": "3.3.6", "sha": "a1b2", "docker_label": "sha-a1b2",
    },
}  # fmt: skip

TEI: dict[str, object] = {
    "/info": {
        "model_id": "thenlper/gte-base", "model_sha": None, "model_dtype": "float16",
        "model_type": {"embedding": {"pooling": "cls"}}, "max_concurrent_requests": 512,
        "max_input_length": 512, "max_batch_tokens": 16384, "max_batch_requests": None,
        "max_client_batch_size": 32, "auto_truncate": False, "tokenization_workers": 8,
        "version": "1.9.0", "sha": None, "docker_label": None,
    },
}  # fmt: skip

TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
LLAMA_CPP: dict[str, object] = {
    "/props": {
        "default_generation_settings": {
            "params": {
                "seed": 4294967295, "temperature": 0.800000011920929, "top_k": 40,
                "top_p": 0.949999988079071, "min_p": 0.05000000074505806, "repeat_last_n": 64,
                "ignore_eos": False, "samplers": ["penalties", "top_k", "temperature"],
                "n_predict": -1, "reasoning_format": "none", "lora": [],
            },
            "n_ctx": 2048,
        },
        "total_slots": 1, "model_alias": "smollm2", "model_ftype": "Q4_1",
        "model_path": "/models/smollm2.gguf", "modalities": {"vision": False},
        "media_marker": "<__media_wtsw2Bumz61QlrRMMussEF1vZw5f53YZ__>", "endpoint_slots": True,
        "chat_template": TEMPLATE, "bos_token": "<|im_start|>", "build_info": "b11549-abcdef",
        "is_sleeping": False,
    },
    "/v1/models": {
        "models": [{"name": "smollm2", "model": "smollm2"}],
        "object": "list",
        "data": [
            {"id": "smollm2", "aliases": ["smollm2", "small"], "tags": [], "object": "model",
             "created": 1795525185, "owned_by": "llamacpp",
             "meta": {"vocab_type": 2, "n_vocab": 49152, "n_ctx": 2048, "n_ctx_train": 8192,
                      "n_embd": 576, "n_params": 134515008, "size": 96576768, "ftype": "Q4_1"}},
        ],
    },
    "/lora-adapters": [
        {"id": 0, "path": "/adapters/b.gguf", "scale": 0.5, "task_name": "", "prompt_prefix": ""},
        {"id": 1, "path": "/adapters/a.gguf", "scale": 1.0, "task_name": "", "prompt_prefix": ""},
    ],
}  # fmt: skip

OLLAMA_DIGEST = "365c0bd3c000a25d28ddbf732fe1c6add414de7275464c4e4d1c3b5fcb5d8ad1"
OLLAMA: dict[str, object] = {
    "/api/version": {"version": "0.19.0"},
    "/api/tags": {
        "models": [
            {"name": "llama3.2:3b", "model": "llama3.2:3b", "size": 2019393189,
             "modified_at": "2026-11-03T20:14:15.123456789Z", "digest": OLLAMA_DIGEST,
             "details": {"parent_model": "", "format": "gguf", "family": "llama",
                         "families": ["llama"], "parameter_size": "3.2B",
                         "quantization_level": "Q4_K_M"}},
        ],
    },
}  # fmt: skip

TRITON: dict[str, object] = {
    "/v2": {"name": "triton", "version": "2.66.0", "extensions": ["model_repository"]},
    "/v2/repository/index": [
        {"name": "ensemble", "version": "1", "state": "READY"},
        {"name": "llm", "version": "2", "state": "READY"},
        {"name": "llm", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"},
        {"name": "broken"},
    ],
    "/v2/models/ensemble/config": {"name": "ensemble", "platform": "ensemble"},
    "/v2/models/llm/config": {
        "name": "llm", "platform": "", "backend": "tensorrtllm", "max_batch_size": 64,
        "parameters": {"gpt_model_path": {"string_value": "/engines/llm"}},
        "instance_group": [{"kind": "KIND_GPU", "gpus": [0]}],
    },
}  # fmt: skip

KSERVE: dict[str, object] = {
    "/v2": {"name": "kserve", "version": "0.17.0", "extensions": ["model_repository_extension"]},
    "/v2/models": {"models": ["bert", "chat"]},
    "/openai/v1/models": {"object": "list", "data": [{"id": "chat", "object": "model"}]},
}

TENSORRT_LLM: dict[str, object] = {
    "/version": {"version": "1.3.0"},
    "/v1/models": {
        "object": "list",
        "data": [{"id": "llama", "object": "model", "created": 1, "owned_by": "tensorrt_llm"}],
    },
}

PROFILE = "193649a2eb95e821309d6023a2cabb31489d3b690a9973c7ab5d1ff58b0aa7eb"
NIM: dict[str, object] = {
    "/v1/version": {"release": "2.0.1", "api": "2.0.0"},
    "/v1/models": {
        "object": "list",
        "data": [{"id": "meta/llama-3.1-8b-instruct", "object": "model", "owned_by": "vllm",
                  "root": "meta/llama-3.1-8b-instruct", "max_model_len": 131072}],
    },
    "/v1/metadata": {
        "assetInfo": [], "licenseInfo": {"name": "l", "path": "/l", "sha": "1", "size": 1},
        "modelInfo": [{"shortName": "llama-3.1-8b-instruct:hf-8c22764-nim1.3b", "modelUrl": ""}],
        "repository_override": "", "version": "2.0.1",
        "selectedModelProfileId": PROFILE,
    },
}  # fmt: skip

MAX: dict[str, object] = {
    "/version": {"version": "26.5.0"},
    "/v1/models": {
        "object": "list",
        "data": [{"id": "google/gemma-3-4b-it", "object": "model", "owned_by": ""}],
    },
}

ANSWERS: dict[EngineType, dict[str, object]] = {
    EngineType.VLLM: VLLM,
    EngineType.SGLANG: SGLANG,
    EngineType.TGI: TGI,
    EngineType.TEI: TEI,
    EngineType.LLAMA_CPP: LLAMA_CPP,
    EngineType.OLLAMA: OLLAMA,
    EngineType.TRITON: TRITON,
    EngineType.KSERVE: KSERVE,
    EngineType.TENSORRT_LLM: TENSORRT_LLM,
    EngineType.NIM: NIM,
    EngineType.MAX: MAX,
}


class Engine:
    """An engine that answers from such a table, counts what it is asked, and has a tokenizer that
    makes a token of every word.

    Attributes:
        answers: by path; what is not there is 404, a number is that status without a body.
        waiting: requests in its queue; None: it has no metrics; below zero: who has them is away.
        form: the field that its tokenizer takes a text in; empty: it has none.
        up: it takes connections.
    """

    def __init__(
        self, answers: dict[str, object], *, waiting: float | None = 0.0, form: str = ""
    ) -> None:
        self.answers = dict(answers)
        self.waiting = waiting
        self.form = form
        self.metrics = VLLM_METRICS
        self.up = True
        self.asked: list[str] = []

    async def get(self, address: str, path: str) -> Answer:
        """One of its documents, or its metrics."""
        self.asked.append(path)
        if not self.up:
            return Answer(0)
        if path == "/metrics":
            if self.waiting is None:
                return Answer(404)
            if self.waiting < 0:
                return Answer(0)
            waiting = b"vllm:num_requests_waiting %f\n" % self.waiting
            return Answer(200, waiting + self.metrics.partition(b"\n")[2])
        return self._document(path)

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """Its tokenizer, its template, or a document."""
        self.asked.append(path)
        if not self.up:
            return Answer(0)
        asked = json.loads(body)
        if path == "/tokenize" and self.form:
            if self.form == "prompt" and "messages" in asked:
                words = [message["content"] for message in asked["messages"]]
                return _tokens(" ".join(words), "token_strs")
            return _tokens(asked.get(self.form, ""))
        if path == "/apply-template" and self.form == "content":
            return Answer(200, json.dumps({"prompt": repr(asked["messages"])}).encode())
        return self._document(path)

    def _document(self, path: str) -> Answer:
        found = self.answers.get(path, 404)
        return Answer(found) if isinstance(found, int) else Answer(200, json.dumps(found).encode())

    def asked_for(self, *paths: str) -> int:
        """How often it was asked for any of these."""
        return sum(path in paths for path in self.asked)


def _tokens(text: str, *also: str) -> Answer:
    words = text.split()
    told: dict[str, object] = {"tokens": [len(word) for word in words], "count": len(words)}
    return Answer(200, json.dumps(told | dict.fromkeys(also, words)).encode())


def told_by(engine: EngineType, answers: dict[str, object]) -> tuple[RuntimeIdentity, Engine]:
    """What comes of all questions to an engine of this type, asked one after another."""
    asked, told = Engine(answers), Told()
    open_questions = deque(first_questions(engine))
    while open_questions:
        question = open_questions.popleft()
        for path in filter(None, (question.path, question.older)):
            ask = asked.get("", path) if question.body is None else asked.post("", path, b"{}")
            answer = asyncio.run(ask)
            if answer.status == 200:
                question.read(parsed(answer.body), told)
                break
        if question.then is not None:
            open_questions.extend(question.then(told))
    return told.identity(), asked
