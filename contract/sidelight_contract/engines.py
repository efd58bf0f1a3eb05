"""What Sidelight knows of inference servers: one table, pure data, for operator and sidecar alike.

Standard library only: the sidecar reads it too. `docs/engines.md` shows it; a test holds them
together. A user adds a server of their own in `spec.engine.profile`, with the same fields.
"""

from dataclasses import dataclass
from enum import StrEnum


class EngineType(StrEnum):
    """Inference servers that Sidelight knows by name (`docs/engines.md`)."""

    AUTO = "Auto"
    VLLM = "VLLM"
    SGLANG = "SGLang"
    TGI = "TGI"
    LLAMA_CPP = "LlamaCpp"
    OLLAMA = "Ollama"
    TRITON = "Triton"
    TENSORRT_LLM = "TensorRTLLM"
    MAX = "MAX"
    HAYHOOKS = "Hayhooks"
    KSERVE = "KServe"
    NIM = "NIM"
    TEI = "TEI"
    GENERIC = "Generic"


@dataclass(frozen=True, slots=True)
class MorePort:
    """A further port of an engine on which inference is served."""

    flag: str
    default: int
    off: tuple[str, ...] = ()
    """Arguments that say it is not served."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """How an engine is told where its model's files are (`docs/versions.md`)."""

    flags: tuple[str, ...] = ()
    """Arguments that name it: a folder, a file or, where `hub`, a repository."""
    variables: tuple[str, ...] = ()
    """Environment variables that do, where no argument does."""
    first_word: bool = False
    """The first argument does, where it is no flag."""
    before_word: tuple[str, ...] = ()
    """What may stand before it."""
    hub: bool = False
    """Repositories of a Hugging Face hub are kept in its cache (`HF_HUB_CACHE`, `HF_HOME`)."""
    cache_flags: tuple[str, ...] = ()
    """Arguments that name that cache."""
    cache_folders: tuple[str, ...] = ()
    """Where its image keeps it when told nothing; empty: `~/.cache/huggingface/hub`."""
    revision_flags: tuple[str, ...] = ("--revision",)
    revision_variables: tuple[str, ...] = ()
    store_variable: str = ""
    """Environment variable that names a folder of all that it has fetched."""
    store_folder: str = ""
    """That folder when it is told nothing."""
    store_inside: tuple[str, ...] = ("",)
    """Where in that folder the models may be."""


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """How to recognise an engine, where it serves, and how that is changed."""

    type: EngineType
    default_port: int
    images: tuple[str, ...] = ()
    """Parts of image names that tell it, where the container has no command."""
    programs: tuple[str, ...] = ()
    """Words of a command, without their folder, that tell it wherever they start something."""
    scripts: tuple[str, ...] = ()
    """Words that tell it only in one of `images`: names that others use as well."""
    entrypoint: str | None = None
    """What such an image runs before the container's `args`; empty: the server, in words unknown;
    None: the image alone starts no server."""
    default_args: str = ""
    """What it runs when there are no `args`."""
    port_flags: tuple[str, ...] = ()
    """Arguments that set the port; the last one given wins, and wins over the environment."""
    port_variables: tuple[str, ...] = ()
    """Environment variables that set the port. Where there are several, all are moved."""
    address_variables: tuple[str, ...] = ()
    """Environment variables of the form `host:port` or `host`."""
    host_flags: tuple[str, ...] = ()
    """Arguments that set the address the engine binds."""
    host_variables: tuple[str, ...] = ()
    """Environment variables that set it."""
    loopback_by_default: bool = False
    """Without one of these it binds 127.0.0.1 alone, in every image."""
    image_ports: tuple[str, ...] = ()
    """`default_port` is these images' own setting, and not certain in any other."""
    config_flags: tuple[str, ...] = ()
    """Arguments that name a file which may set the port, or words after which it does."""
    config_variables: tuple[str, ...] = ()
    """Environment variables that may."""
    no_api: tuple[str, ...] = ()
    """Arguments with which it serves no inference API over HTTP here."""
    many_ports: tuple[str, ...] = ()
    """Arguments with which it serves on a row of ports, whose number is not written down."""
    rank_flags: tuple[str, ...] = ()
    """Arguments whose value, when it is not 0, says that the API is in another pod."""
    more_ports: tuple[MorePort, ...] = ()
    metrics_port: int = 0
    """Where its own metrics are; 0: on the port that it serves."""
    metrics_path: str = ""
    """Empty: it has none."""
    health_path: str = "/health"
    tokenizer_path: str = ""
    """Where it counts tokens; empty: it cannot be asked."""
    model: ModelFiles = ModelFiles()


_HOST = ("--host",)

PROFILES: tuple[EngineProfile, ...] = (
    EngineProfile(
        type=EngineType.VLLM,
        default_port=8000,
        images=(
            "vllm/vllm-openai", "/vllm-openai", "/vllm-cpu", "/vllm:", "/vllm-rocm",
            "kthena-engine:vllm",
        ),
        programs=(
            "vllm serve", "vllm.entrypoints.openai.api_server", "vllm.entrypoints.api_server",
            "vllm.entrypoints.cli.main serve",
        ),
        scripts=("api_server.py",),
        entrypoint="vllm serve",
        port_flags=("--port",),
        host_flags=_HOST,
        config_flags=("--config",),
        no_api=("--headless", "--uds"),
        many_ports=("--data-parallel-multi-port-external-lb",),
        rank_flags=("--node-rank",),
        metrics_path="/metrics",
        tokenizer_path="/tokenize",
        model=ModelFiles(
            flags=("--model",), first_word=True, hub=True, cache_flags=("--download-dir",),
        ),
    ),
    EngineProfile(
        type=EngineType.SGLANG,
        default_port=30000,
        images=("lmsysorg/sglang",),
        programs=("sglang.launch_server", "sglang serve"),
        port_flags=("--port",),
        host_flags=_HOST,
        loopback_by_default=True,
        config_flags=("--config",),
        no_api=("--grpc-mode",),
        rank_flags=("--node-rank",),
        metrics_path="/metrics",
        tokenizer_path="/tokenize",
        model=ModelFiles(
            flags=("--model-path", "--model"), hub=True, cache_flags=("--download-dir",),
        ),
    ),
    EngineProfile(
        type=EngineType.TGI,
        default_port=80,
        images=("text-generation-inference", "tgi-gaudi", "tgi-tpu"),
        programs=("text-generation-launcher", "tgi-entrypoint.sh"),
        entrypoint="text-generation-launcher",
        port_flags=("--port", "-p"),
        port_variables=("PORT",),
        host_flags=("--hostname",),
        image_ports=("huggingface/text-generation-inference",),
        metrics_path="/metrics",
        model=ModelFiles(
            flags=("--model-id",), variables=("MODEL_ID",), hub=True,
            cache_flags=("--huggingface-hub-cache",), cache_folders=("/data", "/data/hub"),
            revision_variables=("REVISION",),
        ),
    ),
    EngineProfile(
        type=EngineType.LLAMA_CPP,
        default_port=8080,
        images=("ggml-org/llama.cpp:server", "ggerganov/llama.cpp:server", "llama-server"),
        programs=("llama-server",),
        entrypoint="llama-server",
        port_flags=("--port",),
        port_variables=("LLAMA_ARG_PORT",),
        host_flags=_HOST,
        host_variables=("LLAMA_ARG_HOST",),
        metrics_path="/metrics",
        tokenizer_path="/tokenize",
        model=ModelFiles(flags=("--model", "-m"), variables=("LLAMA_ARG_MODEL",)),
    ),
    EngineProfile(
        type=EngineType.OLLAMA,
        default_port=11434,
        images=("ollama/ollama",),
        programs=("ollama serve", "ollama start"),
        entrypoint="ollama",
        default_args="serve",
        address_variables=("OLLAMA_HOST",),
        health_path="/",
        model=ModelFiles(store_variable="OLLAMA_MODELS", store_folder="~/.ollama/models"),
    ),
    EngineProfile(
        type=EngineType.TENSORRT_LLM,
        default_port=8000,
        images=("nvidia/tensorrt-llm/release",),
        programs=("trtllm-serve",),
        port_flags=("--port",),
        host_flags=_HOST,
        loopback_by_default=True,
        config_flags=("disaggregated",),
        no_api=("disaggregated_mpi_worker",),
        metrics_path="/prometheus/metrics",
        model=ModelFiles(
            first_word=True, before_word=("serve",), hub=True,
            revision_flags=("--hf_revision", "--revision"),
        ),
    ),
    EngineProfile(
        type=EngineType.TRITON,
        default_port=8000,
        images=("nvidia/tritonserver",),
        programs=("tritonserver",),
        port_flags=("--http-port",),
        host_flags=("--http-address",),
        more_ports=(MorePort("--grpc-port", 8001, ("--allow-grpc=false", "--allow-grpc=0")),),
        metrics_port=8002,
        metrics_path="/metrics",
        health_path="/v2/health/live",
        model=ModelFiles(flags=("--model-repository", "--model-store")),
    ),
    EngineProfile(
        type=EngineType.MAX,
        default_port=8000,
        images=("modular/max-",),
        programs=("max serve", "max.entrypoints.pipelines serve"),
        entrypoint="max serve",
        port_flags=("--port",),
        port_variables=("MAX_SERVE_PORT",),
        host_variables=("MAX_SERVE_HOST",),
        metrics_port=8001,
        metrics_path="/metrics",
        model=ModelFiles(
            flags=("--model", "--model-path"), hub=True,
            revision_flags=("--huggingface-model-revision",),
        ),
    ),
    EngineProfile(
        type=EngineType.HAYHOOKS,
        default_port=1416,
        images=("deepset/hayhooks",),
        programs=("hayhooks run",),
        entrypoint="hayhooks",
        default_args="run",
        port_flags=("--port",),
        port_variables=("HAYHOOKS_PORT",),
        host_flags=_HOST,
        host_variables=("HAYHOOKS_HOST",),
        health_path="/status",
    ),
    EngineProfile(
        type=EngineType.KSERVE,
        default_port=8080,
        images=(
            "kserve/huggingfaceserver", "kserve/sklearnserver", "kserve/xgbserver",
            "kserve/lgbserver", "kserve/pmmlserver", "kserve/paddleserver",
            "kserve/predictiveserver",
        ),
        programs=(
            "huggingfaceserver", "sklearnserver", "xgbserver", "lgbserver", "pmmlserver",
            "paddleserver", "predictiveserver",
        ),
        entrypoint="",
        port_flags=("--http_port",),
        more_ports=(MorePort("--grpc_port", 8081, ("--enable_grpc=false", "--enable_grpc=False")),),
        metrics_path="/metrics",
        health_path="/v2/health/live",
        model=ModelFiles(
            flags=("--model_dir", "--model_id"), hub=True, revision_flags=("--model_revision",),
        ),
    ),
    EngineProfile(
        type=EngineType.NIM,
        default_port=8000,
        images=("nvcr.io/nim/",),
        programs=("vllm_nvext.entrypoints.openai.api_server", "nim-serve"),
        scripts=("start-server.sh",),
        entrypoint="",
        port_variables=("NIM_SERVER_PORT", "NIM_HTTP_API_PORT"),
        config_variables=("NIM_PASSTHROUGH_ARGS",),
        metrics_path="/v1/metrics",
        health_path="/v1/health/live",
        model=ModelFiles(
            variables=("NIM_MODEL_PATH", "NIM_MODEL_NAME"),
            store_variable="NIM_CACHE_PATH", store_folder="/opt/nim/.cache",
            store_inside=("ngc/hub", "huggingface/hub"),
        ),
    ),
    EngineProfile(
        type=EngineType.TEI,
        default_port=80,
        images=("text-embeddings-inference",),
        programs=("text-embeddings-router",),
        entrypoint="text-embeddings-router",
        port_flags=("--port", "-p"),
        port_variables=("PORT",),
        host_flags=("--hostname",),
        image_ports=("huggingface/text-embeddings-inference",),
        metrics_path="/metrics",
        model=ModelFiles(
            flags=("--model-id",), variables=("MODEL_ID",), hub=True,
            cache_flags=("--huggingface-hub-cache",), cache_folders=("/data",),
            revision_variables=("REVISION",),
        ),
    ),
)  # fmt: skip
"""In this order they are tried; no two share a program."""


def profile_of(engine: EngineType) -> EngineProfile | None:
    """The profile of a type; None for Auto and Generic, which have none."""
    return next((profile for profile in PROFILES if profile.type is engine), None)
